package localstore

import (
	"errors"
	"maps"
	"slices"

	"sidekeep/localstore/record"
)

// settle brings what is held of a kind to its end where that is possible: what
// a person decided is done, what an edit or a local deletion ended is applied,
// and what was set aside since the last time is judged as a whole (H1, H2). It
// is called when everything that is known to be at the cloud was read.
func (t *tx) settle(kind record.Kind) error {
	// Records that were changed here, too, are minted: they are judged on their
	// way out before that.
	changed, err := t.count("SELECT count(*) FROM held h JOIN dirty d ON d.n = h.n WHERE h.kind = ? AND h.state <> 1 AND d.hold = 0", string(kind))
	if err == nil && changed > 0 {
		err = t.judge(kind, 0)
	}
	if err != nil {
		return err
	}
	rows, err := t.rowsOf("WHERE h.kind = ? AND h.state <> 1 ORDER BY h.n", string(kind))
	if err != nil {
		return err
	}
	t.mints = t.mints && len(rows) == 0
	var fresh []*row
	for _, r := range rows {
		waits, err := t.settleRow(r)
		if err != nil {
			return err
		}
		if waits {
			fresh = append(fresh, r)
		}
	}
	return t.judgeIncoming(kind, fresh)
}

// settleRow does for one row what needs no judgement, and reports whether one is needed.
func (t *tx) settleRow(r *row) (fresh bool, err error) {
	if r.dirty && r.hold != holdHeld {
		if err := t.mintRow(r); err != nil {
			return false, err
		}
	}
	own, err := t.current(r)
	if err != nil || r.held == nil {
		return false, err
	}
	h, err := t.heldOf(r)
	if err != nil || h == nil {
		return false, err
	}
	m, err := t.mint()
	if err != nil {
		return false, err
	}
	switch r.held.state {
	case heldAccepted:
		next, _ := record.Join(own, h, m)
		return false, t.endHold(r, own, next, m.replica)
	case heldRejected:
		return false, t.endHold(r, own, rejected(r, own, h, m), m.replica)
	case heldFresh:
		ended, err := t.reconsider(r, own)
		return err == nil && !ended && r.held != nil, err
	}
	return false, nil
}

// rejected is rule H3. A record that was emptied gets its values back too,
// though the held version has others, or empty ones, under their keys; of what
// that added only empty values go.
func rejected(r *row, own, h *record.Version, m record.Minter) *record.Version {
	if r.held.loss == lossEmptied {
		h = h.Clone()
		maps.DeleteFunc(h.Fields, func(k string, es []record.Entry) bool {
			_, known := own.Fields[k]
			filled := slices.ContainsFunc(es, func(e record.Entry) bool { return !emptyField(r.kind, k, e.Line, e.Blob) })
			return record.IsFieldKey(k) && (known || !filled)
		})
	}
	return record.Reject(own, h, m)
}

// reconsider ends the hold of a row, whose version is own now, if what is held
// takes nothing from it any more: something else keeps the record alive, or it
// is deleted here too (H2).
func (t *tx) reconsider(r *row, own *record.Version) (ended bool, err error) {
	h, err := t.heldOf(r)
	if err != nil || h == nil {
		return false, err
	}
	m, err := t.mint()
	if err != nil {
		return false, err
	}
	start := m.counter
	next, _ := record.Join(own, h, m)
	if loss, err := t.lossOf(r, own, next); err != nil || loss != lossNone {
		m.counter = start
		return false, err
	}
	return true, t.endHold(r, own, next, m.replica)
}

// judgeIncoming lets the fresh losses of a kind in if they, those that wait and
// those that were let in within the window are no more than the brake allows;
// else all are held.
func (t *tx) judgeIncoming(kind record.Kind, fresh []*row) error {
	if len(fresh) == 0 {
		return nil
	}
	waiting, err := t.count("SELECT count(*) FROM held WHERE kind = ? AND state = 1", string(kind))
	if err != nil {
		return err
	}
	now := t.s.Now().Unix()
	spent, err := t.count("SELECT coalesce(sum(count), 0) FROM intake WHERE kind = ? AND abs(? - at) < ?", string(kind), now, brakeWindowS)
	if err != nil {
		return err
	}
	live, err := t.count("SELECT count(*) FROM record WHERE kind = ? AND deleted = 0", string(kind))
	if err != nil {
		return err
	}
	if waiting+spent+len(fresh) > t.s.allowed(live+spent) {
		for _, r := range fresh {
			r.held.state = heldWaits
			if err := t.exec("UPDATE held SET state = 1 WHERE n = ?", r.n); err != nil {
				return err
			}
		}
		t.s.Log.Warn("an incoming mass deletion is held", "kind", kind, "records", len(fresh))
		return nil
	}
	m, err := t.mint()
	if err != nil {
		return err
	}
	for _, r := range fresh {
		own, err := t.current(r)
		if err != nil {
			return err
		}
		next, _ := record.Join(own, r.held.v, m)
		if err := t.endHold(r, own, next, m.replica); err != nil {
			return err
		}
	}
	return errors.Join(
		t.exec("DELETE FROM intake WHERE abs(? - at) >= ?", now, brakeWindowS),
		t.exec("INSERT INTO intake (kind, at, count) VALUES (?, ?, ?)", string(kind), now, len(fresh)))
}

// endHold makes next, which has seen own and what is held, the version of a row.
func (t *tx) endHold(r *row, own, next *record.Version, me record.ReplicaID) error {
	encoded, err := record.Encode(next)
	if err != nil { // it stays as it is: both are at the cloud
		return t.problem("too-large", "what is held of a record can not be merged with it: "+err.Error(), &r.id)
	}
	id := t.s.hash.VersionID(r.kind, r.id, encoded)
	if r.vid != nil && id == *r.vid {
		return t.dropHeld(r)
	}
	acked := max(r.ackedOf(own, me), r.held.ackedOf(me))
	atCloud := id == r.held.vid && !r.held.queued
	t.changed = true
	if r.dirty {
		err = t.rebase(r, next, id)
	} else {
		err = t.versioned(r, next, id)
	}
	if err != nil {
		return err
	}
	if atCloud {
		return t.dequeue(r)
	}
	return t.queue(r, acked)
}
