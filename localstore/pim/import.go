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

// Import reads one file and hands every record in it to emit, in file order.
// The format is found by content, then by the extension of name: vCards,
// iCalendar, text or Markdown (one note), JPEG, PNG, GIF, WebP, HEIC (one
// picture). Broken places are in the report and never stop the rest. The error
// is that of r or emit, or ErrUnknownFormat, or ErrTooLarge.
//
// A picture's blob source reads r: keep it open until the blob is stored.
func Import(name string, r io.ReadSeeker, emit func(Object) error) (Report, error) {
	im := &importer{name: name, emit: emit, seen: map[string]int{}}
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
	im := &importer{name: path, emit: emit, seen: map[string]int{}}
	err = im.file(f, func() (io.ReadCloser, error) { return os.Open(path) })
	return im.finish(path, err)
}

// importer is the state of one Import.
type importer struct {
	name   string
	emit   func(Object) error
	report Report
	seen   map[string]int // kind and UID, and how often the file had it
	alone  bool           // the component at hand stood without a calendar
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
	r := &componentReader{lines: newLineReader(b, im.problem), problem: im.problem}
	for {
		c := r.next()
		if c == nil {
			return nil
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
	o.UID, o.ByContent = im.identity(&o, uid)
	im.report.Objects++
	return im.emit(o)
}

// identity is the UID by which the record is known. A file that has a UID
// twice means two records: the later one is known by its content. Equal
// contents are counted, so that importing the file again finds each of them.
func (im *importer) identity(o *Object, uid string) (id string, byContent bool) {
	if uid = strings.TrimSpace(uid); uid != "" {
		slot := string(o.Kind) + "\x00" + uid
		if im.seen[slot]++; im.seen[slot] == 1 {
			return uid, false
		}
		im.problem(o.Line, "its UID stood in this file before; kept as a record of its own", Repaired)
	}
	content := o.contentUID()
	slot := string(o.Kind) + "\x00" + content
	if im.seen[slot]++; im.seen[slot] > 1 {
		content += "-" + strconv.Itoa(im.seen[slot])
	}
	return content, true
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
