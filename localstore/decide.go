package localstore

import (
	"context"
	"fmt"

	"sidekeep/localstore/record"
)

// What a person decides about the losses that wait: see judge.go for the
// incoming ones, hold.go for the outgoing ones.

// AcceptHeld agrees to held losses: outgoing ones go out, incoming ones are
// applied, those that a write has to come before in the next session. It
// decides on the given records; without any, on all of a kind ("" for all
// kinds). It returns how many records it decided on; others are passed over.
func (s *Store) AcceptHeld(ctx context.Context, kind record.Kind, ids ...record.ID) (int, error) {
	n, err := s.decide(ctx, kind, ids, func(t *tx, r *row) error {
		if r.hold == holdHeld {
			if err := t.setHold(r, holdReleased); err != nil {
				return err
			}
		}
		if r.held == nil || r.held.state != heldWaits {
			return nil
		}
		return t.accept(r)
	})
	if err != nil {
		return 0, fmt.Errorf("accept held deletions: %w", err)
	}
	return n, nil
}

// RejectHeld undoes held losses, chosen as by AcceptHeld: the records stay, or
// come back, on every device. For incoming ones that is a new version, written
// in the next session.
func (s *Store) RejectHeld(ctx context.Context, kind record.Kind, ids ...record.ID) (int, error) {
	n, err := s.decide(ctx, kind, ids, func(t *tx, r *row) error {
		if r.hold == holdHeld {
			if err := t.reject(r); err != nil {
				return err
			}
		}
		if r.held == nil || r.held.state != heldWaits {
			return nil
		}
		return t.setHeldState(r, heldRejected)
	})
	if err != nil {
		return 0, fmt.Errorf("reject held deletions: %w", err)
	}
	return n, nil
}

func (t *tx) setHeldState(r *row, state int) error {
	r.held.state = state
	return t.exec("UPDATE held SET state = ? WHERE n = ?", state, r.n)
}

// accept applies what is held of a row at once if it has seen all that the row
// has, so that no write is needed.
func (t *tx) accept(r *row) error {
	if r.dirty || !r.held.over {
		return t.setHeldState(r, heldAccepted)
	}
	own, err := t.current(r)
	if err != nil {
		return err
	}
	h, err := t.heldOf(r)
	if err != nil || h == nil {
		return err
	}
	if r.dirty || !h.Vector.Dominates(own.Vector) { // it was damaged
		return t.setHeldState(r, heldAccepted)
	}
	var me record.ReplicaID
	if _, err := t.metaBytes(metaReplica, me[:]); err != nil {
		return err
	}
	return t.endHold(r, own, h, me)
}

// decide calls visit for the rows of which something waits, and returns how many there are.
func (s *Store) decide(ctx context.Context, kind record.Kind, ids []record.ID, visit func(*tx, *row) error) (n int, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		var rows []*row
		if len(ids) == 0 {
			var err error
			if rows, err = t.rowsOf("WHERE (d.hold = 1 OR h.state = 1) AND (?1 = '' OR r.kind = ?1)", string(kind)); err != nil {
				return err
			}
		}
		for _, id := range ids {
			r, err := t.rowByID(id)
			if err != nil {
				return err
			}
			if r == nil {
				return fmt.Errorf("record %s: %w", id, ErrNotFound)
			}
			if r.waits().Any() && (kind == "" || r.kind == kind) {
				rows = append(rows, r)
			}
		}
		n = len(rows)
		t.changed = n > 0
		for _, r := range rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := visit(t, r); err != nil {
				return fmt.Errorf("record %s: %w", r.id, err)
			}
		}
		return nil
	})
	return n, err
}

// waits says what of a row waits for a person.
func (r *row) waits() (h Hold) {
	if r.hold == holdHeld {
		h.Out = LossEmptied
		if r.deleted && !r.wasDeleted {
			h.Out = LossDeleted
		}
	}
	if r.held != nil && r.held.state == heldWaits {
		h.In = LossEmptied
		if r.held.loss == lossDeleted {
			h.In = LossDeleted
		}
	}
	return h
}
