package pim

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"sidekeep/localstore/record"
)

var errSize = errors.New("the stored value has another size than it should have")

// Item is one record to export.
type Item struct {
	ID     record.ID
	Fields []record.Field
}

// ExportOptions are what an export needs from its caller.
type ExportOptions struct {
	// OpenBlob opens a large value. Without it fields with a blob are an error.
	OpenBlob func(*record.Blob) (io.ReadCloser, error)
	// Named reports whether an import of uid leads to record id. With it, a record
	// that has no UID, and that a later import would not recognise by its content,
	// gets the UID that leads back to Item.ID. Without it no UID is added.
	Named func(kind record.Kind, uid string, id record.ID) bool
	// Stamp is the DTSTAMP of entries that were made here and have none. The
	// zero time adds none.
	Stamp time.Time
}

// Export writes records of one kind as one file: contacts as vCards; events,
// tasks, notes and pictures as iCalendar, with each calendar head and time zone
// once. Records whose calendar heads differ, or whose time zones of one name
// differ, stand in calendars of their own. A calendar is held in memory until
// all items are read.
func Export(w io.Writer, kind record.Kind, items iter.Seq2[Item, error], o ExportOptions) error {
	x := &exporter{kind: kind, opt: o}
	lw := &lineWriter{w: bufio.NewWriter(w)}
	var calendars []*calendarOut
	byHead := map[string][]*calendarOut{}
	for it, err := range items {
		if err != nil {
			return err
		}
		fields, err := x.lines(it)
		if err != nil {
			return fmt.Errorf("export %s %s: %w", kind, it.ID, err)
		}
		root := buildTree(kind, fields)
		if kind == record.Contacts {
			x.main(lw, root)
			continue
		}
		head := root.headKey()
		i := 0
		for i < len(byHead[head]) && !byHead[head][i].take(root) {
			i++
		}
		if i == len(byHead[head]) {
			c := newCalendarOut(root)
			calendars = append(calendars, c)
			byHead[head] = append(byHead[head], c)
		}
	}
	for _, c := range calendars {
		x.calendar(lw, c)
	}
	return lw.w.Flush()
}

// exporter writes records of one kind.
type exporter struct {
	kind record.Kind
	opt  ExportOptions
}

// outLine is a field ready to be written: its whole line, blob included.
type outLine struct {
	key  string
	line []byte
}

// lines puts blobs back into their lines and adds what a record that was made
// here still needs to be read by others.
func (x *exporter) lines(it Item) ([]outLine, error) {
	out := make([]outLine, 0, len(it.Fields)+1)
	for i := range it.Fields {
		f := &it.Fields[i]
		line := f.Line
		if f.Blob != nil {
			var err error
			if line, err = x.withBlob(f); err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Key, err)
			}
		}
		if len(line) > 0 {
			out = append(out, outLine{f.Key, line})
		}
	}
	uid, err := x.uidFor(it)
	if err != nil {
		return nil, err
	}
	return x.complete(out, uid), nil
}

// withBlob returns the whole line of a field with a large value.
func (x *exporter) withBlob(f *record.Field) ([]byte, error) {
	r, err := x.open(f.Blob)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, int64(f.Blob.Size)+1))
	if err != nil {
		return nil, err
	}
	if uint64(len(data)) != f.Blob.Size {
		return nil, errSize
	}
	if text, ok := bytes.CutSuffix(f.Line, []byte{0}); ok {
		return append(bytes.Clone(text), data...), nil
	}
	return base64.StdEncoding.AppendEncode(bytes.Clone(f.Line), data), nil
}

func (x *exporter) open(b *record.Blob) (io.ReadCloser, error) {
	if x.opt.OpenBlob == nil {
		return nil, errors.New("large values are not available to this export")
	}
	return x.opt.OpenBlob(b)
}

// uidFor returns the UID to add to a record, or "".
func (x *exporter) uidFor(it Item) (string, error) {
	if x.opt.Named == nil {
		return "", nil
	}
	for i := range it.Fields {
		if leafName(it.Fields[i].Key) == "UID" {
			return "", nil
		}
	}
	uid, err := contentUID(it.Fields, func(i int) (io.ReadCloser, error) {
		if b := it.Fields[i].Blob; b != nil {
			return x.open(b)
		}
		return nil, nil
	})
	if err != nil {
		return "", err
	}
	for n := 1; n <= equalContentsMax; n++ {
		if x.opt.Named(x.kind, numbered(uid, n), it.ID) {
			return "", nil
		}
	}
	return ownUID + it.ID.String(), nil
}

// complete adds to a record what its kind must have and what only a record that
// was made here can lack: an imported one that lacks it has a BEGIN marker.
func (x *exporter) complete(lines []outLine, uid string) []outLine {
	has := map[string]bool{}
	mains := []string{}
	for _, l := range lines {
		has[l.key] = true
		path, leaf := splitKey(l.key)
		if p := mainPath(path, leaf); p != nil && !has["\x00"+*p] {
			has["\x00"+*p] = true
			mains = append(mains, *p)
		}
	}
	var added []outLine
	for _, p := range mains {
		if x.kind == record.Contacts && !has["VERSION"] && !has[leafBegin] {
			added = append(added, outLine{"VERSION", []byte("VERSION:3.0")})
		}
		if uid != "" {
			added = append(added, outLine{p + "UID", []byte("UID:" + uid)})
		}
		if x.kind != record.Contacts && !x.opt.Stamp.IsZero() && !has[p+"DTSTAMP"] && !has[p+leafBegin] {
			added = append(added, outLine{p + "DTSTAMP", []byte("DTSTAMP:" + x.opt.Stamp.UTC().Format("20060102T150405Z"))})
		}
	}
	if len(added) == 0 {
		return lines
	}
	// A component's first line decides where it stands; its own lines follow.
	return insertAfterBegin(lines, added)
}

// mainPath returns the path of the main component or override that a key
// belongs to, or nil for the calendar around it.
func mainPath(path, leaf string) *string {
	if len(leaf) >= len(zonePrefix) && leaf[:len(zonePrefix)] == zonePrefix {
		return nil
	}
	first := path
	for i := range path {
		if path[i] == '/' {
			first = path[:i+1]
			break
		}
	}
	switch {
	case first == pathCalendar+"/":
		return nil
	case len(first) > 0 && first[0] == '@':
		return &first
	}
	main := ""
	return &main
}

// insertAfterBegin puts each added line before the first line of its component,
// but after that component's BEGIN marker.
func insertAfterBegin(lines, added []outLine) []outLine {
	out := make([]outLine, 0, len(lines)+len(added))
	for _, l := range lines {
		path, leaf := splitKey(l.key)
		p := mainPath(path, leaf)
		isBegin := path == "" && leaf == leafBegin || p != nil && l.key == *p+leafBegin
		if isBegin {
			out = append(out, l)
		}
		rest := added[:0:0]
		for _, a := range added {
			if ap, _ := splitKey(a.key); p != nil && ap == *p {
				out = append(out, a)
			} else {
				rest = append(rest, a)
			}
		}
		added = rest
		if !isBegin {
			out = append(out, l)
		}
	}
	return out
}
