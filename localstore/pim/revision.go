package pim

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// Revision is what the lines of a record say about how new they are. RFC 6350
// section 6.7.4 (REV), RFC 5545 sections 3.8.7.2 to 3.8.7.4.
type Revision struct {
	sequence, sequenced int    // sequenced 0: there is no SEQUENCE
	modified            string // REV or LAST-MODIFIED, "" if there is none
	stamp               string
}

// RevisionOf reads the revision of a record: of its main component, or of the
// newest of its overrides where it has none.
func RevisionOf(kind record.Kind, fields []record.Field) Revision {
	var r Revision
	main := kind == record.Contacts || hasMain(fields)
	for i := range fields {
		path, _ := splitKey(fields[i].Key)
		if main && path != "" || strings.Count(path, "/") > 1 || path == pathCalendar+"/" {
			continue
		}
		name := leafName(fields[i].Key)
		value := func() string { return decodedText(kind, name, fields[i].Line) }
		switch name {
		case "SEQUENCE":
			if n, err := strconv.Atoi(strings.TrimSpace(value())); err == nil {
				r.sequence, r.sequenced = max(r.sequence, n), 1
			}
		case "REV", "LAST-MODIFIED":
			r.modified = max(r.modified, changeTime(value()))
		case "DTSTAMP":
			r.stamp = max(r.stamp, changeTime(value()))
		}
	}
	return r
}

// changeTime makes the forms in which programs write a time of change comparable as
// text, or "" where it is none.
func changeTime(s string) string {
	s = strings.TrimSpace(s)
	for _, layout := range []string{"20060102T150405Z07:00", "2006-01-02T15:04:05Z07:00", "20060102T150405.999Z07:00", "20060102T150405Z0700", "20060102T150405", "2006-01-02T15:04:05", "20060102", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Format("20060102T150405.000")
		}
	}
	return ""
}

// Compare reports whether r is older (-1), as new (0) or newer (+1) than q, by
// SEQUENCE first, then by REV or LAST-MODIFIED. ok is false where they do not say.
func (r Revision) Compare(q Revision) (order int, ok bool) {
	if r.sequenced > 0 && q.sequenced > 0 && r.sequence != q.sequence {
		return sign(r.sequence > q.sequence), true
	}
	if r.modified != "" && q.modified != "" {
		if r.modified == q.modified {
			return 0, true
		}
		return sign(r.modified > q.modified), true
	}
	return 0, false
}

// CompareStamps is Compare, with DTSTAMP where that decides nothing.
func (r Revision) CompareStamps(q Revision) (order int, ok bool) {
	if order, ok = r.Compare(q); ok || r.stamp == "" || q.stamp == "" {
		return order, ok
	}
	if r.stamp == q.stamp {
		return 0, true
	}
	return sign(r.stamp > q.stamp), true
}

func sign(greater bool) int {
	if greater {
		return 1
	}
	return -1
}

// ContentHash is a hash of what a record's lines say. Lines that a program
// writes anew at each export, DTSTAMP and PRODID, do not count.
func ContentHash(kind record.Kind, fields []record.Field) (hash [16]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00", kind)
	for i := range fields {
		f := &fields[i]
		if name := leafName(f.Key); name == "DTSTAMP" || name == "PRODID" {
			continue
		}
		path, _ := splitKey(f.Key)
		fmt.Fprintf(h, "%s\x00%d\x00", path, len(f.Line))
		h.Write(f.Line)
		if f.Blob != nil {
			fmt.Fprintf(h, "\x00%d\x00%s", f.Blob.Size, blobKey(f.Blob))
		}
	}
	copy(hash[:], h.Sum(nil))
	return hash
}

// ByItsContent gives o the identity of its content instead of that of its UID.
func (o *Object) ByItsContent() {
	o.FileUID, o.UID, o.ByContent = o.UID, o.ContentUID(), true
}

// ContentUID is the identity that ByItsContent gives.
func (o *Object) ContentUID() string { return o.contentUID() }

// Run tells, over all files of one import, which objects of one UID belong
// together. The zero value is ready. It keeps some two hundred bytes a record.
type Run struct {
	seen map[slot]*claim
}

// slot is a hash of a kind and a UID.
type slot [16]byte

// claim is the record that a UID stands for in this run.
type claim struct {
	file     string
	contents [][16]byte // of the objects that are that record
	revision Revision
	parts    []string // main component and overrides it has: "", "@..."
}

// Take looks at an object of a file before it is stored. Where its UID stood in
// another file for something that is not a revision of it, and that it does not
// complete, it gets the identity of its content. The reason says what was done,
// "" if nothing.
func (r *Run) Take(file string, o *Object) (reason string) {
	if o.ByContent {
		return ""
	}
	if r.seen == nil {
		r.seen = map[slot]*claim{}
	}
	uid := sha256.Sum256([]byte(string(o.Kind) + "\x00" + o.UID))
	at, hash := slot(uid[:len(slot{})]), o.hash()
	fresh := &claim{file, [][16]byte{hash}, RevisionOf(o.Kind, o.Fields), partsOf(o)}
	c := r.seen[at]
	if c == nil {
		r.seen[at] = fresh
		return ""
	}
	if slices.Contains(c.contents, hash) {
		return ""
	}
	disjoint := !slices.ContainsFunc(fresh.parts, func(p string) bool { return slices.Contains(c.parts, p) })
	if disjoint && o.Kind != record.Contacts {
		c.parts = append(c.parts, fresh.parts...)
		c.contents = append(c.contents, hash)
		return ""
	}
	switch order, ok := fresh.revision.Compare(c.revision); {
	case ok && order > 0:
		fresh.contents = append(c.contents, hash)
		was := c.file
		r.seen[at] = fresh
		return "a newer revision of what stands in " + was + "; it replaces that"
	case ok && order < 0:
		c.contents = append(c.contents, hash)
		return "an older revision of what stands in " + c.file + "; the newer one is kept"
	}
	o.ByItsContent()
	return "its UID stands in " + c.file + " too; kept as a record of its own"
}

// hash is ContentHash of an object whose blobs are not stored yet.
func (o *Object) hash() (hash [16]byte) {
	plain := ContentHash(o.Kind, o.Fields)
	if len(o.Blobs) == 0 {
		return plain
	}
	h := sha256.New()
	h.Write(plain[:])
	for i := range o.Fields {
		s, ok := o.Blobs[o.Fields[i].Key]
		if !ok {
			continue
		}
		// A blob that can not be read is an error when it is stored.
		_ = hashBlob(h, i, func(int) (io.ReadCloser, error) { return s.Open() })
	}
	copy(hash[:], h.Sum(nil))
	return hash
}

// partsOf lists the main component and the overrides of an object.
func partsOf(o *Object) []string {
	var parts []string
	for i := range o.Fields {
		path, leaf := splitKey(o.Fields[i].Key)
		if p := mainPath(path, leaf); p != nil && !slices.Contains(parts, *p) {
			parts = append(parts, strings.Clone(*p))
		}
	}
	return parts
}
