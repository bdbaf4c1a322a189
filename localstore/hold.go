package localstore

import (
	"errors"
	"maps"

	"sidekeep/localstore/record"
)

// The brake on outgoing mass deletion (H4; judge.go has the incoming one): before records of a kind are minted, those
// that delete or blank a record (blanked.go) are judged together. If they, and those that
// went out within the window, are more than the brake allows, all are held: set
// aside until a person accepts or rejects them.

// brakeWindowS is how long (s) deletions that went out count.
const brakeWindowS = 24 * 60 * 60

// onlyNew remembers of which kinds all dirty records that were not judged are new,
// so that no loss is among them: a first sync mints page after page, and would
// look at all that are left for each. It is true until another connection commits,
// or this one does what is more than minting and noting acknowledgements.
type onlyNew struct {
	kinds map[record.Kind]bool
	data  int // data_version then
}

// isOnlyNew reports whether nothing of a kind is to be judged. data is data_version now.
func (s *Store) isOnlyNew(kind record.Kind, data int) bool {
	return s.onlyNew.data == data && s.onlyNew.kinds[kind]
}

// noteOnlyNew notes, when a transaction was committed, what its judging found.
func (t *tx) noteOnlyNew() {
	switch {
	case !t.mints:
		t.s.onlyNew = onlyNew{}
	case t.onlyNew.kinds != nil && t.onlyNew.data != t.s.onlyNew.data || t.s.onlyNew.kinds == nil:
		t.s.onlyNew = t.onlyNew
	default:
		maps.Copy(t.s.onlyNew.kinds, t.onlyNew.kinds)
	}
}

// judge holds or releases the deletions of a kind that were not judged yet. The
// first minting records, in the order of their rows, are minted next; what else
// is no loss is noted as judged, so that it is looked at once only.
func (t *tx) judge(kind record.Kind, minting int) error {
	data, err := t.count("PRAGMA data_version")
	if err != nil || t.s.isOnlyNew(kind, data) {
		return err
	}
	fresh, err := t.count("SELECT count(*) FROM dirty WHERE kind = ? AND hold = 0 AND doc IS NOT NULL", string(kind))
	if err != nil {
		return err
	}
	if fresh == 0 {
		t.onlyNew = onlyNew{map[record.Kind]bool{kind: true}, data}
		return nil
	}
	t.mints = false
	held, err := t.count("SELECT count(*) FROM dirty WHERE kind = ? AND hold = 1", string(kind))
	if err != nil {
		return err
	}
	now := t.s.Now().Unix()
	spent, err := t.count("SELECT coalesce(sum(count), 0) FROM brake WHERE kind = ? AND abs(? - at) < ?", string(kind), now, brakeWindowS)
	if err != nil {
		return err
	}
	rows, err := t.rowsOf("WHERE d.kind = ? AND d.hold = 0 AND d.doc IS NOT NULL ORDER BY d.n", string(kind))
	if err != nil {
		return err
	}
	var losses []*row
	deletions := 0
	for i, r := range rows {
		emptied := false
		if !r.deleted && !r.wasDeleted {
			if emptied, err = t.blanked(r); err != nil {
				return err
			}
		}
		switch {
		case r.deleted && !r.wasDeleted:
			losses = append(losses, r)
			deletions++
		case emptied:
			losses = append(losses, r)
		case i >= minting:
			if err := t.setHold(r, holdReleased); err != nil {
				return err
			}
		}
	}
	if len(losses) == 0 {
		return nil
	}
	live, err := t.count("SELECT count(*) FROM record WHERE kind = ? AND deleted = 0", string(kind))
	if err != nil {
		return err
	}
	if held+spent+len(losses) > t.s.allowed(live+deletions+spent) {
		return t.hold(kind, losses)
	}
	for _, r := range losses {
		if err := t.setHold(r, holdReleased); err != nil {
			return err
		}
	}
	return errors.Join(
		t.exec("DELETE FROM brake WHERE abs(? - at) >= ?", now, brakeWindowS),
		t.exec("INSERT INTO brake (kind, at, count) VALUES (?, ?, ?)", string(kind), now, len(losses)))
}

// allowed is how many of so many living records may be lost without a person's word.
func (s *Store) allowed(live int) int { return max(s.BrakeMin, live*s.BrakePercent/100) }

func (t *tx) hold(kind record.Kind, losses []*row) error {
	for _, r := range losses {
		if err := t.setHold(r, holdHeld); err != nil {
			return err
		}
	}
	t.s.Log.Warn("a mass deletion is held", "kind", kind, "records", len(losses))
	return nil
}

func (t *tx) setHold(r *row, hold int) error {
	r.hold = hold
	return t.exec("UPDATE dirty SET hold = ? WHERE n = ?", hold, r.n)
}

// reject undoes what was held of a row. A deletion leaves the document, so
// edits made before it stay; a blanked document becomes its before-image.
func (t *tx) reject(r *row) error {
	d := &r.document
	if !r.deleted && r.before != nil {
		d = r.before
	}
	fields, err := d.fields(r.kind)
	if err != nil {
		return err
	}
	if err := t.written(r, fields, false); err != nil {
		return err
	}
	if r.before == nil {
		return t.setHold(r, holdNone)
	}
	base, err := r.before.fields(r.kind)
	if err != nil {
		return err
	}
	if !r.wasDeleted && len(r.keys) == 0 && sameFields(base, fields) {
		return t.clean(r)
	}
	return t.setHold(r, holdNone)
}
