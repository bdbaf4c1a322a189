package pim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"sidekeep/localstore/record"
)

// builder makes the fields of one record.
type builder struct {
	kind   record.Kind
	keys   keySet
	fields []record.Field
	blobs  map[string]BlobSource
}

func newBuilder(kind record.Kind) *builder {
	return &builder{kind: kind, keys: keySet{}, blobs: map[string]BlobSource{}}
}

// line adds one content line of the component whose keys begin with prefix.
func (b *builder) line(prefix string, line []byte) {
	b.put(b.keys.line(b.kind, prefix, line), line)
}

// add puts line under a key that nothing else has.
func (b *builder) add(key string, line []byte) {
	b.keys[key]++
	b.put(key, line)
}

// put puts line under key, its large value aside.
func (b *builder) put(key string, line []byte) {
	line, data := splitBlob(line)
	if data != nil {
		b.blobs[key] = BytesSource(data)
	}
	b.fields = append(b.fields, record.Field{Key: key, Line: line})
}

// splitBlob divides a line with a large value into what stays inline and the
// blob: base64 that we would write exactly so becomes its bytes, any other
// long text stays text. data is nil if the whole line stays.
func splitBlob(line []byte) (inline, data []byte) {
	p, ok := parseProperty(line)
	if ok && bytes.IndexByte(line, '\n') < 0 {
		at := len(line) - len(p.value)
		base64 := p.encoding() == "BASE64"
		if head := p.value[:min(len(p.value), 256)]; equalFold(string(head[:min(len(head), 5)]), "DATA:") {
			if i := bytes.IndexByte(head, ','); i >= 0 && bytes.HasSuffix(bytes.TrimSuffix(head[:i], []byte(`\`)), []byte(";base64")) {
				base64, at = true, at+i+1
			}
		}
		if base64 {
			if d, exact := decodeExactBase64(line[at:]); exact && len(d) >= BlobBytesMin {
				return line[:at:at], d
			} else if !exact && len(line) > inlineBase64Max {
				return toText(line)
			}
		}
	}
	if len(line) > InlineLineBytesMax {
		return toText(line)
	}
	return line, nil
}

// toText moves the text of a line to a blob; the zero byte says so.
func toText(line []byte) (inline, data []byte) {
	at := valueColon(line) + 1
	if at > headBytesMax {
		at = 0
	}
	return append(bytes.Clone(line[:at]), 0), line[at:]
}

// component adds c under prefix. name is what the markers are made of on
// export; keep adds the BEGIN marker even where it is the usual one.
func (b *builder) component(prefix, name string, c *component, keep bool) {
	if keep || len(c.items) == 0 || string(c.begin) != "BEGIN:"+name {
		b.add(prefix+leafBegin, c.begin)
	}
	for i := 0; i < len(c.items); i++ {
		it := c.items[i]
		switch {
		case it.sub == nil && i+1 < len(c.items) && c.items[i+1].sub != nil && c.items[i+1].sub.name == "VCARD" && isAgent(it.line):
			i++ // the AGENT of vCard 2.1: a card as value
			b.line(prefix, append(append(bytes.Clone(it.line), '\n'), c.items[i].sub.raw()...))
		case it.sub == nil:
			b.line(prefix, it.line)
		default:
			b.sub(prefix, it.sub)
		}
	}
	switch {
	case c.end != nil && string(c.end) != "END:"+name:
		b.add(prefix+leafEnd, c.end)
	case c.end == nil && c.name != name:
		b.add(prefix+leafEnd, []byte("END:"+c.name))
	}
}

// sub adds a component inside the one whose keys begin with prefix.
func (b *builder) sub(prefix string, c *component) {
	name := keyName(c.name)
	path := b.keys.unique(prefix + name + "." + tag(string(c.raw())))
	b.component(path+"/", name, c, false)
}

// object gives the finished object, with further long lines moved to blobs
// where the whole is too large. The error says what can not be carried.
func (b *builder) object() (Object, error) {
	if len(b.fields) > PropertiesMax {
		return Object{}, fmt.Errorf("it has %d lines, more than the %d that one record can hold", len(b.fields), PropertiesMax)
	}
	size := 0
	for i := range b.fields {
		size += len(b.fields[i].Key) + len(b.fields[i].Line) + fieldOverheadBytes
	}
	for size > objectBytesAim {
		longest := slices.MaxFunc(b.fields, func(x, y record.Field) int { return b.movable(x) - b.movable(y) })
		if b.movable(longest) < BlobBytesMin {
			break
		}
		i := slices.IndexFunc(b.fields, func(f record.Field) bool { return f.Key == longest.Key })
		inline, data := toText(longest.Line)
		b.blobs[longest.Key] = BytesSource(data)
		b.fields[i].Line = inline
		size -= len(longest.Line) - len(inline)
	}
	if size > ObjectBytesMax {
		return Object{}, fmt.Errorf("it is larger than the %d bytes that one record can hold", ObjectBytesMax)
	}
	o := Object{Kind: b.kind, Fields: b.fields, Blobs: b.blobs}
	o.Title = TitleOf(o.Kind, o.Fields)
	return o, nil
}

// movable is how many bytes moving the field's text to a blob would save.
func (b *builder) movable(f record.Field) int {
	if _, moved := b.blobs[f.Key]; moved {
		return 0
	}
	return len(f.Line) - (valueColon(f.Line) + 1)
}

// contentUID is the identity of a record that has no UID: a hash of its own
// lines, without those that programs rewrite at will and those that belong to
// the calendar around it. blob gives the data of a field's blob, or nil.
func contentUID(fields []record.Field, blob func(i int) (io.ReadCloser, error)) (string, error) {
	h := sha256.New()
	for i := range fields {
		f := &fields[i]
		path, leaf := splitKey(f.Key)
		if NeverConflicts(f.Key) || strings.HasPrefix(leaf, zonePrefix) || path == pathCalendar+"/" {
			continue
		}
		fmt.Fprintf(h, "%s\x00%d\x00", path, len(f.Line))
		h.Write(f.Line)
		if err := hashBlob(h, i, blob); err != nil {
			return "", err
		}
	}
	return "content-" + hex.EncodeToString(h.Sum(nil)[:16]), nil
}

func hashBlob(h hash.Hash, i int, blob func(i int) (io.ReadCloser, error)) error {
	r, err := blob(i)
	if err != nil || r == nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(h, r); err != nil {
		return fmt.Errorf("read blob: %w", err)
	}
	return nil
}

// contentUID is contentUID of an object that was just imported.
func (o *Object) contentUID() string {
	uid, _ := contentUID(o.Fields, func(i int) (io.ReadCloser, error) { // its blobs are in memory
		if s, ok := o.Blobs[o.Fields[i].Key]; ok {
			return s.Open()
		}
		return nil, nil
	})
	return uid
}
