package localstore

import (
	"errors"
	"fmt"

	"sidekeep/localstore/record"
)

// What would take a living record away, or most of it (blanked.go), is not applied when it
// comes: its versions are joined into one that is held beside the record (H1).
// This file keeps that version; judge.go decides on it.

// States of held.state.
const (
	heldFresh    = 0 // not judged yet
	heldWaits    = 1 // for a person
	heldAccepted = 2 // to be applied in the next session
	heldRejected = 3 // to be undone in the next session
)

// What a version would take, as held.loss has it.
const (
	lossNone    = 0
	lossDeleted = 1
	lossEmptied = 2
)

// heldRow is a row of table held.
type heldRow struct {
	vid     record.VersionID
	encoded []byte
	v       *record.Version // nil until heldVersion
	over    bool
	state   int
	loss    int
	queued  bool   // in the outbox: the cloud lacks it
	acked   uint64 // highest own counter in it that the cloud has
}

// ackedOf is the highest own counter in the held version that the cloud
// acknowledged or sent.
func (h *heldRow) ackedOf(own record.ReplicaID) uint64 {
	if h.queued {
		return h.acked
	}
	return h.v.Vector[own]
}

// heldVersion reads the held version of a row that has one, and asserts its id.
func (s *Store) heldVersion(r *row) (*record.Version, error) {
	h := r.held
	if h.v != nil {
		return h.v, nil
	}
	v, err := record.Decode(h.encoded)
	if err == nil && s.hash.VersionID(r.kind, r.id, h.encoded) != h.vid {
		err = errors.New("it does not have its id")
	}
	if err != nil {
		return nil, &damagedError{r, fmt.Errorf("the version that is held: %w", err), true}
	}
	h.v = v
	return v, nil
}

// heldOf returns the held version of a row, nil if there is none. A damaged one
// is dropped: the digest no longer equals the cloud's, and reconcile brings it again.
func (t *tx) heldOf(r *row) (*record.Version, error) {
	if r.held == nil {
		return nil, nil
	}
	v, err := t.s.heldVersion(r)
	if errors.Is(err, ErrDamaged) {
		return nil, errors.Join(
			t.problem("damage", "a deletion that was held is damaged and is fetched again", &r.id),
			t.dropHeld(r))
	}
	return v, err
}

func (t *tx) dropHeld(r *row) error {
	if err := t.digestRow(r, t.digestRemove); err != nil {
		return err
	}
	r.held = nil
	t.unsee()
	return errors.Join(t.exec("DELETE FROM held WHERE n = ?", r.n), t.digestRow(r, t.digestAdd))
}

// reorder finds anew how the held version stands to v, which is the row's from
// now on. The digest must not count the row meanwhile.
func (t *tx) reorder(r *row, v *record.Version) error {
	h := r.held
	if v.Vector.Includes(h.v.Vector) {
		r.held = nil
		return t.exec("DELETE FROM held WHERE n = ?", r.n)
	}
	over := h.v.Vector.Dominates(v.Vector)
	if over == h.over {
		return nil
	}
	h.over = over
	return t.exec("UPDATE held SET over = ? WHERE n = ?", over, r.n)
}

// setAside holds h, which is what was held of a row joined with what came. own
// is the row's version.
func (t *tx) setAside(r *row, own, h *record.Version, loss int, in *Incoming, me record.ReplicaID, a *Applied) error {
	encoded, err := record.Encode(h)
	if err != nil { // too many values to hold both: the cloud keeps both
		return t.problem("too-large", "two deletions of a record can not be merged: "+err.Error(), &r.id)
	}
	next := &heldRow{
		vid: t.s.hash.VersionID(r.kind, r.id, encoded), encoded: encoded, v: h,
		over: h.Vector.Dominates(own.Vector), loss: loss, acked: in.Version.Vector[me],
	}
	atCloud := next.vid == in.VersionID
	if old := r.held; old != nil {
		next.state, next.acked = old.state, max(next.acked, old.ackedOf(me))
		atCloud = atCloud || next.vid == old.vid && !old.queued
	}
	if err := t.digestRow(r, t.digestRemove); err != nil {
		return err
	}
	r.held, r.noRefs = next, false
	t.saw(h.Vector)
	err = errors.Join(
		t.exec("INSERT OR REPLACE INTO held (n, kind, id, vid, version, over, state, loss, acked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			r.n, string(r.kind), r.id.String(), next.vid[:], encoded, next.over, next.state, loss, int64(next.acked)),
		t.digestRow(r, t.digestAdd),
		t.addRefs(r.n, h.Chunks()))
	if err != nil {
		return err
	}
	a.SetAside++
	if next.over {
		err = t.dequeue(r) // the cloud has a version that has seen it
	} else {
		err = t.raiseAcked(r, in.Version.Vector[me]) // or some of its writes
	}
	if err != nil {
		return err
	}
	if atCloud {
		return nil
	}
	a.ToPush = append(a.ToPush, Ref{r.id, next.vid})
	return t.queueHeld(r, next.acked)
}

// queueHeld puts the held version of a row at the end of the outbox.
func (t *tx) queueHeld(r *row, acked uint64) error {
	order, err := t.nextOrder()
	if err != nil {
		return err
	}
	r.held.queued, r.held.acked = true, acked
	t.changed = true
	return t.exec("UPDATE held SET ord = ?, acked = ? WHERE n = ?", order, int64(acked), r.n)
}

// forkHeld moves own dots that the cloud has not acknowledged, in held versions
// that are joins, to a new replica id (C5).
func (t *tx) forkHeld(old, fresh record.ReplicaID) error {
	rows, err := t.rowsOf("WHERE h.ord IS NOT NULL")
	if err != nil {
		return err
	}
	for _, r := range rows {
		h, err := t.heldOf(r)
		if err != nil {
			return err
		}
		if h == nil {
			continue
		}
		next := record.Fork(h, old, fresh, r.held.acked)
		if next == h {
			continue
		}
		encoded, err := record.Encode(next)
		if err != nil { // a full vector: what was held comes again
			if err := t.dropHeld(r); err != nil {
				return err
			}
			continue
		}
		if err := t.digestRow(r, t.digestRemove); err != nil {
			return err
		}
		r.held.vid, r.held.encoded, r.held.v = t.s.hash.VersionID(r.kind, r.id, encoded), encoded, next
		err = errors.Join(
			t.exec("UPDATE held SET vid = ?, version = ?, acked = 0 WHERE n = ?", r.held.vid[:], encoded, r.n),
			t.digestRow(r, t.digestAdd))
		if err != nil {
			return err
		}
	}
	return nil
}

// merged gives what is held of a row once in has joined it, and the version
// that the row would have if that was applied to own. next is own itself if
// own has seen all of in.
func (t *tx) merged(r *row, own *record.Version, in *record.Version, m *minter) (got, next *record.Version, clashes []record.Clash, err error) {
	next, clashes = record.Join(own, in, m)
	held, err := t.heldOf(r)
	if err != nil || held == nil || next == own {
		return in, next, clashes, err
	}
	start := m.counter
	got, _ = record.Join(held, in, m)
	if m.counter != start { // it was written to: its vector must not hide writes of own that are not in it
		got, _ = record.Join(own, held, m)
		got, _ = record.Join(got, in, m)
	}
	next, _ = record.Join(own, got, m)
	return got, next, clashes, nil
}
