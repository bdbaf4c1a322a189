package pim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrUnknownFormat is returned for a file that is none of the formats this package reads.
var ErrUnknownFormat = errors.New("not a format that can be imported")

// ErrTooLarge is wrapped by the error for a file that is larger than an import takes.
var ErrTooLarge = errors.New("file is too large")

// Import reads one file and hands every record in it to emit, in file order but
// for records whose UID stands in several places: those come last.
// The format is found by content, then by the extension of name: vCards,
// iCalendar, text or Markdown (one note), JPEG, PNG, GIF, WebP, HEIC (one
// picture). Broken places are in the report and never stop the rest. The error
// is that of r or emit, or ErrUnknownFormat, or ErrTooLarge.
//
// A picture's blob source reads r: keep it open until the blob is stored.
func Import(name string, r io.ReadSeeker, emit func(Object) error) (Report, error) {
	im := newImporter(name, emit)
	err := im.file(r, func() (io.ReadCloser, error) {
		_, err := r.Seek(0, io.SeekStart)
		return io.NopCloser(r), err
	})
	return im.finish(name, err)
}

// ImportFile is Import of the file at path. Its blob sources open the file again.
func ImportFile(path string, emit func(Object) error) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	im := newImporter(path, emit)
	err = im.file(f, func() (io.ReadCloser, error) { return os.Open(path) })
	return im.finish(path, err)
}

// importer is the state of one Import.
type importer struct {
	name   string
	emit   func(Object) error
	report Report
	alone  bool                // the component at hand stood without a calendar
	uids   map[string]int      // lines of the file with that UID, where there are several
	held   map[string][]Object // by kind and UID: those that can turn out to stand twice
	order  []string            // keys of held, in file order
	seen   map[string]int      // kind and content identity, and how often the file had it
}

func newImporter(name string, emit func(Object) error) *importer {
	return &importer{name: name, emit: emit, held: map[string][]Object{}, seen: map[string]int{}}
}

func (im *importer) problem(line int, reason string, o Outcome) {
	im.report.add(Problem{im.name, line, reason, o})
}

// finish puts the problems in file order.
func (im *importer) finish(path string, err error) (Report, error) {
	slices.SortStableFunc(im.report.Problems, func(a, b Problem) int { return a.Line - b.Line })
	if err != nil {
		err = fmt.Errorf("import %s: %w", filepath.Base(path), err)
	}
	return im.report, err
}

func (im *importer) file(r io.ReadSeeker, open func() (io.ReadCloser, error)) error {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err = r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	start := make([]byte, sniffBytes)
	n, err := io.ReadFull(r, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if _, err = r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f := sniff(im.name, start[:n])
	switch {
	case f == formatUnknown:
		return ErrUnknownFormat
	case f.isPicture() && size > PictureBytesMax, !f.isPicture() && size > TextFileBytesMax:
		return ErrTooLarge
	case f.isPicture():
		return im.picture(f, r, BlobSource{size, open})
	}
	b, err := io.ReadAll(io.LimitReader(r, TextFileBytesMax+1))
	if err != nil {
		return err
	}
	if f == formatText {
		return im.note(b)
	}
	return im.components(im.fromUTF16(b))
}

// components imports a file of cards and calendars, in any mixture.
func (im *importer) components(b []byte) error {
	im.uids = countUIDs(b)
	r := &componentReader{lines: newLineReader(b, im.problem), problem: im.problem}
	for {
		c := r.next()
		if c == nil {
			return im.emitHeld()
		}
		var err error
		switch c.name {
		case "VCARD":
			err = im.card(c)
		case "VCALENDAR":
			err = im.calendar(c)
		default:
			err = im.bare(c)
		}
		if err != nil {
			return err
		}
	}
}

// bare imports a component that stands without a calendar around it.
func (im *importer) bare(c *component) error {
	if c.name != "VTIMEZONE" && c.name != "VFREEBUSY" && entryKinds[c.name] == "" {
		im.problem(c.no, "not a component that can stand alone", Refused)
		return nil
	}
	im.alone = true
	defer func() { im.alone = false }()
	return im.calendar(&component{name: pathCalendar, no: c.no, items: []item{{no: c.no, sub: c}}})
}

// checkLines reports the lines inside c that are not well formed. They are
// carried all the same.
func (im *importer) checkLines(c *component) {
	for _, it := range c.items {
		if it.sub != nil {
			if it.sub.name != pathCalendar { // checked when its turn comes
				im.checkLines(it.sub)
			}
			continue
		}
		p, ok := parseProperty(it.line)
		switch {
		case !ok:
			im.problem(it.no, "a line without a name before a colon; kept as it stands", Repaired)
		case !isName(p.name):
			im.problem(it.no, "a property name with characters that no name has; kept as it stands", Repaired)
		case findCharset(p.param("CHARSET")) != nil || p.encoding() == "QUOTED-PRINTABLE":
		case !utf8.Valid(it.line):
			im.problem(it.no, "text that is not UTF-8; kept as it stands and shown as Windows-1252", Repaired)
		case bytes.IndexByte(it.line, 0) >= 0:
			im.problem(it.no, "a zero byte in the text; kept as it stands", Repaired)
		}
	}
}

// emitObject finishes a record, gives it its identity and hands it on. at is
// the component that names its line in the file.
func (im *importer) emitObject(b *builder, at *component, uid string) error {
	o, err := b.object()
	if err != nil {
		im.problem(at.no, err.Error(), Refused)
		return nil
	}
	o.Line = at.no
	im.report.Objects++
	uid = strings.TrimSpace(uid)
	switch {
	case uid == "":
		im.nameByContent(&o)
	case im.uids[uid] > 1:
		slot := string(o.Kind) + "\x00" + uid
		if im.held[slot] == nil {
			im.order = append(im.order, slot)
		}
		o.UID = uid
		im.held[slot] = append(im.held[slot], o)
		return nil
	default:
		o.UID = uid
	}
	return im.emit(o)
}

// nameByContent gives o the identity of its content. Equal contents are
// counted, so that importing the file again finds each of them.
func (im *importer) nameByContent(o *Object) {
	o.UID, o.ByContent = o.contentUID(), true
	slot := string(o.Kind) + "\x00" + o.UID
	im.seen[slot]++
	o.UID = numbered(o.UID, im.seen[slot])
}

// numbered is the identity of the n-th record with one content.
func numbered(uid string, n int) string {
	if n == 1 {
		return uid
	}
	return uid + "-" + strconv.Itoa(n)
}

// emitHeld hands on the records whose UID stands in several places: overrides
// with the event that they belong to. Beside that, a file that has a UID twice means two records: one is known by the UID, the others by
// their content. The largest gets the UID, whatever the order in the file.
func (im *importer) emitHeld() error {
	for _, slot := range im.order {
		objects := joinOverrides(im.held[slot])
		im.report.Objects -= len(im.held[slot]) - len(objects)
		if len(objects) > 1 {
			content := make(map[int]string, len(objects))
			for i := range objects {
				content[objects[i].Line] = objects[i].contentUID()
			}
			slices.SortStableFunc(objects, func(a, b Object) int {
				if d := len(b.Fields) - len(a.Fields); d != 0 {
					return d
				}
				return strings.Compare(content[a.Line], content[b.Line])
			})
		}
		for i := range objects {
			if i > 0 {
				im.problem(objects[i].Line, "its UID stands more than once in this file; kept as a record of its own", Repaired)
				im.nameByContent(&objects[i])
			}
			if err := im.emit(objects[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// countUIDs finds the UIDs that more than one line of a file has.
func countUIDs(b []byte) map[string]int {
	uids := map[string]int{}
	r := newLineReader(b, func(int, string, Outcome) {})
	for {
		l, ok := r.next()
		if !ok {
			return uids
		}
		if colon := valueColon(l.text); colon >= 3 && colon < headBytesMax {
			if p := parseHead(string(l.text[:colon])); equalFold(p.name, "UID") {
				uids[strings.TrimSpace(joinValue(decodeValue(verbatim, p, l.text[colon+1:]), ""))]++
			}
		}
	}
}

// fromUTF16 converts a file that begins with a UTF-16 byte-order mark.
func (im *importer) fromUTF16(b []byte) []byte {
	if len(b) < 2 || !(b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff) {
		return b
	}
	im.problem(0, "the file is UTF-16; converted to UTF-8", Repaired)
	lo := 0
	if b[0] == 0xfe {
		lo = 1
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 2; i+1 < len(b); i += 2 {
		units = append(units, uint16(b[i+lo])|uint16(b[i+1-lo])<<8)
	}
	return []byte(string(utf16.Decode(units)))
}
