package localstore

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// This file has the two ways in which a row of table record is written: as an
// edit, which makes it dirty, and as a version, which does not.

// edited writes a document as a local edit. The triggers of the schema keep the
// before-image, exactly as for an edit by another program.
func (t *tx) edited(r *row, fields []record.Field, deleted bool) error {
	if err := checkFields(fields); err != nil {
		return err
	}
	return t.written(r, fields, deleted)
}

// written is edited for fields that a row has or had, whatever their size.
func (t *tx) written(r *row, fields []record.Field, deleted bool) error {
	values := make([]any, len(fields))
	d, err := redrawn(r.kind, fields, &document{}, nil, values)
	if err != nil {
		return err
	}
	c := pim.ColumnsWith(r.kind, fields, values)
	trashed, err := t.trashedAt(r, deleted)
	if err != nil {
		return err
	}
	t.changed = true
	fresh := r.n == 0
	if fresh {
		r.n, err = t.insert(`INSERT INTO record (id, kind, deleted, doc, par, raw, trashed, title, sort, start_utc, end_utc, due_utc)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.id.String(), string(r.kind), deleted, d.doc, text(d.par), d.raw, trashed, c.Title, c.SortKey, text(c.Start), text(c.End), text(c.Due))
	} else {
		err = errors.Join(
			t.exec(`UPDATE record SET deleted = ?, doc = ?, par = ?, raw = ?, trashed = ?, title = ?, sort = ?, start_utc = ?, end_utc = ?, due_utc = ? WHERE n = ?`,
				deleted, d.doc, text(d.par), d.raw, trashed, c.Title, c.SortKey, text(c.Start), text(c.End), text(c.Due), r.n),
			t.exec("UPDATE stale SET columns = 0 WHERE n = ?", r.n))
	}
	if err != nil {
		return fmt.Errorf("store record %s: %w", r.id, err)
	}
	r.document, r.deleted, r.trashed, r.noRefs = d, deleted, trashed, false
	return errors.Join(t.phones(r, fresh, c.Digits), t.addRefs(r.n, chunksOf(fields)), t.text(r, c))
}

// drawn is a version as a row holds it.
type drawn struct {
	document
	fields    []record.Field
	values    []any // of the fields; nil: not decoded
	state     []byte
	conflicts int
	deleted   bool
	columns   *pim.Columns // nil: not needed as it seems
}

// draw gives what versioned will write. It touches neither the database nor the
// row, so that another goroutine can do it beside a transaction. lines are those
// of the row's document where the version was made from them, else nil.
func draw(r *row, v *record.Version, lines []line) (*drawn, error) {
	d := &drawn{fields: shown(r.kind, v), deleted: v.Dead()}
	if lines == nil {
		d.values = make([]any, len(d.fields))
	}
	var err error
	if d.document, err = redrawn(r.kind, d.fields, &r.document, lines, d.values); err != nil {
		return nil, err
	}
	d.state = encodeState(v, d.fields)
	d.conflicts = len(conflictKeys(r.kind, v, d.fields))
	if r.n == 0 || !d.shows(r) {
		d.column(r.kind)
	}
	return d, nil
}

// shows reports whether the row's document is this one already.
func (d *drawn) shows(r *row) bool {
	return d.doc == r.doc && d.par == r.par && d.deleted == r.deleted
}

func (d *drawn) column(kind record.Kind) pim.Columns {
	if d.columns == nil {
		c := pim.ColumnsWith(kind, d.fields, d.values)
		d.columns = &c
	}
	return *d.columns
}

// versioned writes a version, whose id is next, as the state of a row, which is
// clean afterwards.
func (t *tx) versioned(r *row, v *record.Version, next record.VersionID) error {
	d, err := draw(r, v, nil)
	if err != nil {
		return err
	}
	return t.versionedAs(r, v, next, d)
}

// versionedAs is versioned for who has drawn the version.
func (t *tx) versionedAs(r *row, v *record.Version, next record.VersionID, d *drawn) error {
	trashed, err := t.trashedAt(r, d.deleted)
	if err != nil {
		return err
	}
	fresh := r.n == 0
	known := !fresh && d.shows(r)
	if known && !r.filled {
		was, err := t.execCount("UPDATE stale SET columns = 0 WHERE n = ? AND columns = 1", r.n)
		if err != nil {
			return err
		}
		known = was == 0
	}
	var c pim.Columns
	if known && bytes.Equal(d.raw, r.raw) && trashed == r.trashed {
		// As after an import: no index has to be touched.
		err = t.exec("UPDATE record SET vid = ?, state = ?, conflicts = ? WHERE n = ?", next[:], d.state, d.conflicts, r.n)
	} else if c = d.column(r.kind); fresh {
		r.n, err = t.insert(`INSERT INTO record (id, kind, deleted, doc, par, raw, vid, state, conflicts, trashed, title, sort, start_utc, end_utc, due_utc)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.id.String(), string(r.kind), d.deleted, d.doc, text(d.par), d.raw, next[:], d.state, d.conflicts, trashed, c.Title, c.SortKey, text(c.Start), text(c.End), text(c.Due))
	} else {
		err = t.exec(`UPDATE record SET deleted = ?, doc = ?, par = ?, raw = ?, vid = ?, state = ?, conflicts = ?, trashed = ?, title = ?, sort = ?, start_utc = ?, end_utc = ?, due_utc = ? WHERE n = ?`,
			d.deleted, d.doc, text(d.par), d.raw, next[:], d.state, d.conflicts, trashed, c.Title, c.SortKey, text(c.Start), text(c.End), text(c.Due), r.n)
	}
	if err != nil {
		return fmt.Errorf("store version of record %s: %w", r.id, err)
	}
	if err := t.replaceVersion(r, v, next); err != nil {
		return err
	}
	if r.dirty {
		if err := t.exec("DELETE FROM dirty WHERE n = ?", r.n); err != nil {
			return err
		}
	}
	r.document, r.deleted, r.trashed, r.state = d.document, d.deleted, trashed, d.state
	r.dirty, r.before, r.keys, r.hold = false, nil, nil, holdNone
	refs := v.Chunks()
	if r.held != nil {
		refs = append(refs, r.held.v.Chunks()...)
	}
	if len(refs) > 0 || !fresh && !r.noRefs {
		if err := t.setRefs(r.n, refs); err != nil {
			return err
		}
		r.noRefs = false
	}
	if known {
		return nil
	}
	return errors.Join(t.phones(r, fresh, c.Digits), t.text(r, c))
}

// replaceVersion moves the digest of a row from its old version to the next.
// What the next version includes is held no more.
func (t *tx) replaceVersion(r *row, v *record.Version, next record.VersionID) error {
	if _, err := t.heldOf(r); err != nil {
		return err
	}
	if err := t.digestRow(r, t.digestRemove); err != nil {
		return err
	}
	r.vid = &next
	t.saw(v.Vector)
	if r.held != nil {
		if err := t.reorder(r, v); err != nil {
			return err
		}
	}
	return t.digestRow(r, t.digestAdd)
}

// digestRow enters the versions of a row that are in the set of its kind, or
// takes them out: of its own and the held one those that the other does not dominate.
func (t *tx) digestRow(r *row, change func(record.Kind, record.VersionID) error) error {
	if r.vid != nil && (r.held == nil || !r.held.over) {
		if err := change(r.kind, *r.vid); err != nil {
			return err
		}
	}
	if r.held != nil {
		return change(r.kind, r.held.vid)
	}
	return nil
}

// trashedAt is when a record went to the trash, on the clock of running time.
func (t *tx) trashedAt(r *row, deleted bool) (sql.NullInt64, error) {
	if !deleted {
		return sql.NullInt64{}, nil
	}
	if r.deleted && r.trashed.Valid {
		return r.trashed, nil
	}
	ran, err := t.metaInt(metaRan)
	return sql.NullInt64{Int64: ran, Valid: true}, err
}

// checkFields refuses, before anything is stored, a record that no version can
// hold, or that has a key twice.
func checkFields(fields []record.Field) error {
	const overhead = 1 << 10 // of the encoding, for a vector and a tombstone
	if len(fields) > record.KeysMax {
		return &record.LimitError{What: "fields in one record", Value: len(fields), Max: record.KeysMax}
	}
	bytes, chunks := overhead, 0
	keys := make(map[string]bool, len(fields))
	for i := range fields {
		if keys[fields[i].Key] {
			return fmt.Errorf("two fields have the key %q", fields[i].Key)
		}
		keys[fields[i].Key] = true
		bytes += len(fields[i].Key) + len(fields[i].Line) + 16
		if b := fields[i].Blob; b != nil {
			chunks += len(b.Chunks)
		}
	}
	if bytes += chunks * len(record.ChunkID{}); bytes > record.EncodedBytesMax {
		return &record.LimitError{What: "bytes in one record", Value: bytes, Max: record.EncodedBytesMax}
	}
	if chunks > record.ChunksMax {
		return &record.LimitError{What: "chunks in one record", Value: chunks, Max: record.ChunksMax}
	}
	return nil
}

// text stores "" as NULL.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func chunksOf(fields []record.Field) []record.ChunkID {
	var ids []record.ChunkID
	for i := range fields {
		if fields[i].Blob != nil {
			ids = append(ids, fields[i].Blob.Chunks...)
		}
	}
	return ids
}

// tailDigits is how many last digits of a number identify a caller.
const tailDigits = 7

// phones keeps the table of numbers for a row, which may be fresh.
func (t *tx) phones(r *row, fresh bool, digits []string) error {
	if r.kind != record.Contacts {
		return nil
	}
	if !fresh {
		if err := t.exec("DELETE FROM phone WHERE record = ?", r.n); err != nil {
			return err
		}
	}
	if r.deleted {
		return nil
	}
	for _, d := range digits {
		tail := d
		if len(tail) > tailDigits {
			tail = tail[len(tail)-tailDigits:]
		}
		err := t.exec("INSERT INTO phone (tail, digits, record) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", tail, d, r.n)
		if err != nil {
			return fmt.Errorf("store phone numbers: %w", err)
		}
	}
	return nil
}
