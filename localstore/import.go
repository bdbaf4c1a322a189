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
	ID      record.ID
	Outcome Outcome
}

// Import stores objects, in one transaction: all are durable when it returns
// without an error, and none otherwise. Give it some hundreds at a time. An
// object whose UID is known changes that record; importing a file twice
// changes nothing. One that was deleted comes back.
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
	id, own := pim.OwnID(o.UID)
	if !own {
		id = t.s.hash.RecordID(o.Kind, o.UID)
	}
	fields, err := t.withBlobs(o)
	if err != nil {
		return ImportResult{}, err
	}
	r, err := t.rowByID(id)
	switch {
	case err != nil:
		return ImportResult{}, err
	case r == nil:
		return ImportResult{id, Created}, t.edited(&row{id: id, kind: o.Kind}, fields, false)
	case r.kind != o.Kind:
		return ImportResult{}, fmt.Errorf("record %s is of another kind", id)
	}
	old, err := r.fields(r.kind)
	if err != nil {
		return ImportResult{}, fmt.Errorf("record %s: %w", id, err)
	}
	if o.ByContent {
		// It began as this very content: edits since then are newer.
		fields = old
	} else {
		fields = pim.Merge(o.Kind, old, fields)
	}
	if !r.deleted && sameFields(old, fields) {
		return ImportResult{id, Unchanged}, nil
	}
	return ImportResult{id, Changed}, t.edited(r, fields, false)
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
