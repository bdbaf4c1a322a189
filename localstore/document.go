package localstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// document is a record as its row holds it: see table record in FORMAT.md.
type document struct {
	doc string // JSON object, key to value, in line order
	par string // JSON object, key to head; "" when no key has one
	raw []byte // lines that doc and par can not regenerate, and blobs; see appendRaw
}

// line is one field of a document, decoded.
type line struct {
	record.Field
	value any // string, or []any
	head  string
	plain bool // the field's line is known to decode to value and head, and they to give the line
}

// makeDocument gives the document of fields. The fields' keys must differ.
func makeDocument(kind record.Kind, fields []record.Field) (document, error) {
	return redrawn(kind, fields, &document{}, nil, nil)
}

// redrawn is makeDocument for fields most of which are still as in old, whose
// lines these are. The decoded values go into values, if that is not nil.
func redrawn(kind record.Kind, fields []record.Field, old *document, lines []line, values []any) (document, error) {
	room := 2
	for i := range fields {
		room += len(fields[i].Key) + len(fields[i].Line) + 8 // of quotes, separators and escapes
	}
	doc := make([]byte, 0, room)
	var par, raw []byte
	if old.par != "" {
		par = make([]byte, 0, len(old.par)+16)
	}
	doc = append(doc, '{')
	for i := range fields {
		f := &fields[i]
		if err := checkKey(f.Key); err != nil {
			return document{}, err
		}
		plain := i < len(lines) && lines[i].plain && lines[i].Key == f.Key && bytes.Equal(lines[i].Line, f.Line)
		var value any
		var head string
		if plain {
			value, head = lines[i].value, lines[i].head
		} else {
			value, head = pim.Decode(kind, f.Key, f.Line)
		}
		if values != nil {
			values[i] = value
		}
		var err error
		if len(doc) > 1 {
			doc = append(doc, ',')
		}
		doc = appendString(doc, f.Key)
		doc = append(doc, ':')
		if doc, err = appendValue(doc, value); err != nil {
			return document{}, fmt.Errorf("document of %s: %w", kind, err)
		}
		if head != "" {
			par = append(par, sepOf(par, '{'))
			par = appendString(par, f.Key)
			par = append(par, ':')
			par = appendString(par, head)
		}
		if f.Blob != nil || !plain && !pim.Returns(kind, f.Key, f.Line, value, head) {
			raw = appendRaw(raw, f)
		}
	}
	d := document{doc: textOf(append(doc, '}'), old.doc), raw: raw}
	if len(par) > 0 {
		d.par = textOf(append(par, '}'), old.par)
	}
	return d, nil
}

// textOf is string(b), without a copy if that is old.
func textOf(b []byte, old string) string {
	if string(b) == old {
		return old
	}
	return string(b)
}

// sepOf is what stands before the next member of the JSON object or list b.
func sepOf(b []byte, begin byte) byte {
	if len(b) == 0 {
		return begin
	}
	return ','
}

// checkKey refuses keys that a document can not have.
func checkKey(key string) error {
	switch {
	case key == "" || len(key) > record.KeyBytesMax:
		return fmt.Errorf("field key: %w", &record.LimitError{What: "bytes in a field key", Value: len(key), Max: record.KeyBytesMax})
	case !documentKey(key):
		return errors.New("a field key can not begin with '!' and must be UTF-8")
	}
	return nil
}

// documentKey reports whether a key of a version can stand in a document. What
// can not is carried in the causal state alone.
func documentKey(key string) bool {
	return record.IsFieldKey(key) && utf8.ValidString(key) && key != ""
}

// lines gives the fields of a document with their values. It is total: what a
// program wrote that is not a value becomes text. A raw line is used only while
// it still decodes to what doc and par say, so an edit of those wins.
func (d *document) lines(kind record.Kind) ([]line, error) {
	heads, err := d.heads()
	if err != nil {
		return nil, err
	}
	raw, err := parseRaw(d.raw)
	if err != nil {
		return nil, err
	}
	members, err := membersOf(d.doc)
	if err != nil {
		return nil, err
	}
	lines := make([]line, 0, len(members))
	text := make([]byte, 0, len(d.doc)+len(d.par)) // of all lines that are made, in one piece of memory
	var places places
	for _, m := range members {
		if m.value == nil || len(m.key) > record.KeyBytesMax || !documentKey(m.key) {
			continue
		}
		head := heads.of(m.key)
		l := line{Field: record.Field{Key: m.key}, value: m.value, head: head}
		if r, ok := raw[m.key]; ok {
			if v, h := pim.Decode(kind, m.key, r.Line); h == head && sameValue(v, m.value) {
				l.Line, l.Blob = r.Line, r.Blob
			}
		}
		if l.Line == nil {
			start := len(text)
			text = appendLine(text, kind, m.key, m.value, head)
			l.Line = text[start:len(text):len(text)]
			l.plain = pim.Stays(kind, m.key, m.value, head)
		}
		if i := places.of(lines, m.key); i >= 0 {
			lines[i] = l
			continue
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// places finds a key among lines; a map helps where there are many.
type places map[string]int

const fewLines = 32

func (p *places) of(lines []line, key string) int {
	if len(lines) < fewLines {
		for i := range lines {
			if lines[i].Key == key {
				return i
			}
		}
		return -1
	}
	if *p == nil {
		*p = make(places, 2*len(lines))
	}
	for i := len(*p); i < len(lines); i++ {
		(*p)[lines[i].Key] = i
	}
	if i, ok := (*p)[key]; ok {
		return i
	}
	return -1
}

// appendLine appends the line of a value that has no raw line. A value that a
// program wrote and that can not stand under its head stands under the plain
// name; one that can not stand at all becomes its text.
func appendLine(b []byte, kind record.Kind, key string, value any, head string) []byte {
	if b, err := pim.Append(b, kind, key, value, head); err == nil {
		return b
	}
	if b, err := pim.Append(b, kind, key, value, ""); err == nil {
		return b
	}
	text, ok := value.(string)
	if !ok {
		b, _ := json.Marshal(value)
		text = string(b)
	}
	text = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if b, err := pim.Append(b, kind, key, text, ""); err == nil {
		return b
	}
	name := key[strings.LastIndexByte(key, '/')+1:]
	name, _, _ = strings.Cut(name, ".")
	return append(append(append(b, name...), ':'), text...)
}

// heads finds the head of a key.
type heads struct {
	list  []member
	byKey map[string]string // nil while they are few
}

func (d *document) heads() (h heads, err error) {
	if d.par == "" {
		return h, nil
	}
	if h.list, err = membersOf(d.par); err != nil || len(h.list) < fewLines {
		return h, err
	}
	h.byKey = make(map[string]string, len(h.list))
	for _, m := range h.list {
		if s, ok := m.value.(string); ok {
			h.byKey[m.key] = s
		}
	}
	return h, nil
}

// of is "" for a key that has none. Of a key that stands twice the last one counts.
func (h *heads) of(key string) string {
	if h.byKey != nil {
		return h.byKey[key]
	}
	for i := len(h.list) - 1; i >= 0; i-- {
		if s, ok := h.list[i].value.(string); ok && h.list[i].key == key {
			return s
		}
	}
	return ""
}

func (d *document) fields(kind record.Kind) ([]record.Field, error) {
	lines, err := d.lines(kind)
	if err != nil {
		return nil, err
	}
	return fieldsOf(lines), nil
}

func fieldsOf(lines []line) []record.Field {
	fields := make([]record.Field, len(lines))
	for i := range lines {
		fields[i] = lines[i].Field
	}
	return fields
}

// sanitise replaces what is not UTF-8 in text that a program wrote, and reports
// whether there was any.
func (d *document) sanitise() bool {
	if utf8.ValidString(d.doc) && utf8.ValidString(d.par) {
		return false
	}
	d.doc = strings.ToValidUTF8(d.doc, "\uFFFD")
	d.par = strings.ToValidUTF8(d.par, "\uFFFD")
	return true
}

// sameValue compares decoded values: strings, or lists of them.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !sameValue(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return false
}

// The raw column: entries of
//
//	len key  len line  blob          numbers are unsigned LEB128 varints
//	blob = 0 | 1 size count chunk[16]*

func appendRaw(b []byte, f *record.Field) []byte {
	b = binary.AppendUvarint(b, uint64(len(f.Key)))
	b = append(b, f.Key...)
	b = binary.AppendUvarint(b, uint64(len(f.Line)))
	b = append(b, f.Line...)
	return appendBlob(b, f.Blob)
}

func appendBlob(b []byte, blob *record.Blob) []byte {
	if blob == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, blob.Size)
	b = binary.AppendUvarint(b, uint64(len(blob.Chunks)))
	for i := range blob.Chunks {
		b = append(b, blob.Chunks[i][:]...)
	}
	return b
}

func parseRaw(b []byte) (map[string]record.Field, error) {
	if len(b) == 0 {
		return nil, nil
	}
	m := map[string]record.Field{}
	p := parser{b: b}
	for len(p.b) > 0 && !p.bad {
		f := record.Field{Key: string(p.bytes())}
		f.Line = p.bytes()
		f.Blob = p.blob()
		m[f.Key] = f
	}
	if p.bad {
		return nil, fmt.Errorf("column raw: %w", ErrDamaged)
	}
	return m, nil
}

// parser reads the binary columns. After anything wrong it is bad and gives zeros.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) number() uint64 {
	x, n := binary.Uvarint(p.b)
	if n <= 0 || p.bad {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return x
}

func (p *parser) take(n uint64) []byte {
	if p.bad || n > uint64(len(p.b)) {
		p.bad = true
		return nil
	}
	b := p.b[:n:n]
	p.b = p.b[n:]
	return b
}

// bytes reads a length and so many bytes, which alias the column; never nil when good.
func (p *parser) bytes() []byte { return p.take(p.number()) }

func (p *parser) blob() *record.Blob {
	flag := p.take(1)
	if p.bad || flag[0] == 0 {
		return nil
	}
	blob := &record.Blob{Size: p.number()}
	n := p.number()
	if n > uint64(len(p.b)/len(record.ChunkID{})) {
		p.bad = true
		return nil
	}
	blob.Chunks = make([]record.ChunkID, n)
	for i := range blob.Chunks {
		copy(blob.Chunks[i][:], p.take(uint64(len(record.ChunkID{}))))
	}
	return blob
}
