package localstore

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// Outcome says what Import did with one object.
type Outcome string

// The outcomes of an import.
const (
	Created   Outcome = "created"
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged"
)

// ImportResult is the record that an object became.
type ImportResult struct {
	ID        record.ID
	Outcome   Outcome
	Deleted   bool // it is in the trash and stays there: what was deleted is not brought back by the same content
	Undeleted bool // it was in the trash, and other content than was imported brought it back
}

// Import stores objects, in one transaction: all are durable when it returns
// without an error, and none otherwise. Give it some hundreds at a time. An
// object whose UID is known changes that record. What was imported before
// changes nothing, whatever happened to the record since: it was edited, or
// deleted. Nor does what is no newer than a record that came from another
// device, by SEQUENCE, REV, LAST-MODIFIED or DTSTAMP. A deleted record comes
// back only with other content than was imported.
func (s *Store) Import(ctx context.Context, objects []pim.Object) ([]ImportResult, error) {
	results := make([]ImportResult, len(objects))
	err := s.write(ctx, false, func(t *tx) error {
		for i := range objects {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			if results[i], err = t.importObject(&objects[i]); err != nil {
				return fmt.Errorf("object at line %d: %w", objects[i].Line, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	return results, nil
}

func (t *tx) importObject(o *pim.Object) (ImportResult, error) {
	id, err := t.importID(o.Kind, o.UID)
	if err != nil {
		return ImportResult{}, err
	}
	fields, err := t.withBlobs(o)
	if err != nil {
		return ImportResult{}, err
	}
	r, err := t.rowIfKnown(id)
	if err != nil {
		return ImportResult{}, err
	}
	hash := pim.ContentHash(o.Kind, fields)
	if o.FileUID != "" { // an earlier import can have given the UID to this one
		named, err := t.importID(o.Kind, o.FileUID)
		if err != nil {
			return ImportResult{}, err
		}
		if known, _, err := t.wasImported(named, hash); err != nil {
			return ImportResult{}, err
		} else if other, err := t.rowIfKnown(named); err != nil || known && other != nil {
			return ImportResult{ID: named, Outcome: Unchanged, Deleted: err == nil && other.deleted}, err
		}
	}
	if r == nil {
		if err := t.edited(&row{id: id, kind: o.Kind}, fields, false); err != nil {
			return ImportResult{}, err
		}
		return ImportResult{ID: id, Outcome: Created}, t.noteImport(id, hash)
	}
	if r.kind != o.Kind {
		return ImportResult{}, fmt.Errorf("record %s is of another kind", id)
	}
	if o.ByContent { // it began as this very content: what happened since is newer
		return ImportResult{ID: id, Outcome: Unchanged, Deleted: r.deleted}, nil
	}
	known, others, err := t.wasImported(id, hash)
	if err != nil {
		return ImportResult{}, err
	}
	if known {
		return ImportResult{ID: id, Outcome: Unchanged, Deleted: r.deleted}, nil
	}
	old, err := r.fields(r.kind)
	if err != nil {
		return ImportResult{}, fmt.Errorf("record %s: %w", id, err)
	}
	contentID, err := t.importID(o.Kind, o.ContentUID())
	if err != nil {
		return ImportResult{}, err
	}
	own, err := t.rowByID(contentID)
	switch {
	case err != nil:
		return ImportResult{}, err
	case own != nil && own.kind == o.Kind: // kept as a record of its own by an earlier import
		return ImportResult{ID: own.id, Outcome: Unchanged, Deleted: own.deleted}, nil
	}
	merged := pim.Merge(o.Kind, old, fields)
	if sameFields(old, merged) {
		return ImportResult{ID: id, Outcome: Unchanged, Deleted: r.deleted}, t.noteImport(id, hash)
	}
	if len(old) > 0 && notNewer(o.Kind, old, fields, others) {
		return ImportResult{ID: id, Outcome: Unchanged, Deleted: r.deleted}, nil
	}
	result := ImportResult{ID: id, Outcome: Changed, Undeleted: r.deleted}
	if err := t.edited(r, merged, false); err != nil {
		return ImportResult{}, err
	}
	return result, t.noteImport(id, hash)
}

// importID is the record that a UID stands for: by the keys of the account, or
// by those it had before, if there is a record of that id.
func (t *tx) importID(kind record.Kind, uid string) (record.ID, error) {
	if id, own := pim.OwnID(uid); own {
		return id, nil
	}
	id := t.s.hash.RecordID(kind, uid)
	for _, before := range t.s.Before {
		known, err := t.count("SELECT count(*) FROM record WHERE id = ?", id.String())
		if err != nil || known > 0 {
			return id, err
		}
		old := before.RecordID(kind, uid)
		if known, err = t.count("SELECT count(*) FROM record WHERE id = ?", old.String()); err != nil || known > 0 {
			return old, err
		}
	}
	return id, nil
}

// Named reports whether an import of uid leads to record id, if there is one.
func (s *Store) Named(kind record.Kind, uid string, id record.ID) bool {
	if own, ok := pim.OwnID(uid); ok {
		return own == id
	}
	return s.hash.RecordID(kind, uid) == id ||
		slices.ContainsFunc(s.Before, func(h Hasher) bool { return h.RecordID(kind, uid) == id })
}

// notNewer reports whether what an import brings is an older revision than what
// is stored. Where this device never imported the record, which then came from
// another one, one of the same age is the one that the record began as.
func notNewer(kind record.Kind, old, fresh []record.Field, imported bool) bool {
	a, b := pim.RevisionOf(kind, fresh), pim.RevisionOf(kind, old)
	if imported {
		order, ok := a.Compare(b)
		return ok && order < 0
	}
	order, ok := a.CompareStamps(b)
	return ok && order <= 0
}

// wasImported reports whether this very content was imported into a record on
// this device, and whether any was.
func (t *tx) wasImported(id record.ID, hash [16]byte) (this, any bool, err error) {
	n, err := t.count("SELECT count(*) FROM imported WHERE id = ? AND hash = ?", id.String(), hash[:])
	if err != nil || n > 0 {
		return n > 0, n > 0, err
	}
	n, err = t.count("SELECT count(*) FROM imported WHERE id = ?", id.String())
	return false, n > 0, err
}

func (t *tx) noteImport(id record.ID, hash [16]byte) error {
	return t.exec("INSERT INTO imported (id, hash) VALUES (?, ?) ON CONFLICT DO NOTHING", id.String(), hash[:])
}

// withBlobs returns the fields of an object with its large values stored.
func (t *tx) withBlobs(o *pim.Object) ([]record.Field, error) {
	if len(o.Blobs) == 0 {
		return o.Fields, nil
	}
	fields := slices.Clone(o.Fields)
	for _, key := range slices.Sorted(maps.Keys(o.Blobs)) {
		i := slices.IndexFunc(fields, func(f record.Field) bool { return f.Key == key })
		if i < 0 {
			return nil, fmt.Errorf("a large value has no field %s", key)
		}
		blob, err := t.divide(o.Blobs[key])
		if err != nil {
			return nil, err
		}
		fields[i].Blob = blob
	}
	return fields, nil
}

// sameFields reports whether both have the same keys with the same values, in
// whatever order.
func sameFields(a, b []record.Field) bool {
	if len(a) != len(b) {
		return false
	}
	at := make(map[string]*record.Field, len(a))
	for i := range a {
		at[a[i].Key] = &a[i]
	}
	for i := range b {
		o := at[b[i].Key]
		if o == nil || !bytes.Equal(o.Line, b[i].Line) || !o.Blob.Equal(b[i].Blob) {
			return false
		}
	}
	return true
}
