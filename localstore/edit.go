package localstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"sidekeep/localstore/record"
)

// NewID draws a random record id.
func (s *Store) NewID() (id record.ID, err error) { return id, s.random(id[:]) }

// Put writes a whole record: created when id is unknown, otherwise changed to
// exactly these fields. Writing a deleted record brings it back. It is durable
// when Put returns.
func (s *Store) Put(ctx context.Context, kind record.Kind, id record.ID, fields []record.Field) error {
	if !kind.Valid() || kind == record.Witness {
		return fmt.Errorf("put: %q is not a kind of personal data", string(kind))
	}
	err := s.write(ctx, false, func(t *tx) error {
		r, err := t.rowByID(id)
		if err != nil {
			return err
		}
		if r == nil {
			r = &row{id: id, kind: kind}
		}
		if r.kind != kind {
			return fmt.Errorf("it is of another kind")
		}
		return t.edited(r, fields, false)
	})
	if err != nil {
		return fmt.Errorf("put record %s: %w", id, err)
	}
	return nil
}

// Edit reads a record, lets change give its new fields, and writes them, in one
// transaction. keys are written even if their value did not change, which
// resolves a conflict in favour of the shown value. change must not keep or
// change the slice it gets, and must not call the store.
func (s *Store) Edit(ctx context.Context, id record.ID, change func(kind record.Kind, fields []record.Field) ([]record.Field, error), keys ...string) error {
	err := s.write(ctx, false, func(t *tx) error {
		r, err := t.mustRow(id)
		if err != nil {
			return err
		}
		old, err := r.fields(r.kind)
		if err != nil {
			return err
		}
		fields, err := change(r.kind, slices.Clone(old))
		if err != nil {
			return err
		}
		if r.deleted || !sameFields(old, fields) {
			if err := t.edited(r, fields, false); err != nil {
				return err
			}
		}
		return t.rewrite(r, keys)
	})
	if err != nil {
		return fmt.Errorf("edit record %s: %w", id, err)
	}
	return nil
}

// rewrite makes the next minting write these keys though their value is the
// same. On a record without siblings that would be a write for nothing.
func (t *tx) rewrite(r *row, keys []string) error {
	if r.conflicts == 0 || len(keys) == 0 {
		return nil
	}
	keys = append(slices.Clone(r.keys), keys...)
	slices.Sort(keys)
	list, err := json.Marshal(slices.Compact(keys))
	if err != nil {
		return err
	}
	if err := t.makeDirty(r); err != nil {
		return err
	}
	return t.exec("UPDATE dirty SET keys = ? WHERE n = ?", string(list), r.n)
}

// makeDirty keeps the before-image of a row whose document did not change.
func (t *tx) makeDirty(r *row) error {
	t.changed = true
	return t.exec("INSERT INTO dirty (n, kind, doc, par, raw, deleted) SELECT n, kind, doc, par, raw, deleted FROM record WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM dirty WHERE n = ?1)", r.n)
}

func (t *tx) mustRow(id record.ID) (*row, error) {
	r, err := t.rowByID(id)
	if err == nil && r == nil {
		err = ErrNotFound
	}
	return r, err
}

// Delete moves records to the trash, all or none. Deleting a deleted record does nothing.
func (s *Store) Delete(ctx context.Context, ids ...record.ID) error {
	return s.setDeleted(ctx, "delete", true, ids)
}

// Undelete brings records back from the trash, all or none. It returns
// ErrPurged for one whose fields are gone.
func (s *Store) Undelete(ctx context.Context, ids ...record.ID) error {
	return s.setDeleted(ctx, "undelete", false, ids)
}

func (s *Store) setDeleted(ctx context.Context, action string, deleted bool, ids []record.ID) error {
	return s.write(ctx, false, func(t *tx) error {
		for _, id := range ids {
			if err := t.setDeleted(id, deleted); err != nil {
				return fmt.Errorf("%s record %s: %w", action, id, err)
			}
		}
		return nil
	})
}

func (t *tx) setDeleted(id record.ID, deleted bool) error {
	r, err := t.mustRow(id)
	if err != nil || r.deleted == deleted {
		return err
	}
	fields, err := r.fields(r.kind)
	if err != nil {
		return err
	}
	if !deleted && len(fields) == 0 && r.vid != nil {
		return ErrPurged
	}
	return t.edited(r, fields, deleted)
}
