package localstore

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sidekeep/localstore/record"
)

// queue puts a row's version at the end of the outbox. acked is the highest own
// counter in the record that the cloud has acknowledged or sent.
func (t *tx) queue(r *row, acked uint64) error {
	order, err := t.nextOrder()
	if err != nil {
		return err
	}
	r.queued, r.acked = true, acked
	t.changed = true
	return t.exec("INSERT INTO outbox (n, kind, ord, acked) VALUES (?, ?, ?, ?) ON CONFLICT (n) DO UPDATE SET ord = excluded.ord, acked = excluded.acked",
		r.n, string(r.kind), order, int64(acked))
}

// nextOrder gives a place at the end of the outbox. The transaction stores the
// last one when it finishes.
func (t *tx) nextOrder() (int64, error) {
	if t.order == 0 {
		order, err := t.metaInt(metaOrder)
		if err != nil {
			return 0, err
		}
		t.order = order
	}
	t.order++
	return t.order, nil
}

func (t *tx) saveOrder() error {
	if t.order == 0 {
		return nil
	}
	return t.setMeta(metaOrder, t.order)
}

// outgoing reads versions from the outbox.
func (s *Store) outgoing(c *session, kind record.Kind, after int64, maxRecords, maxBytes int) ([]Outgoing, error) {
	type place struct {
		n, ord int64
		held   bool
	}
	var places []place
	err := c.each(func(scan func(...any) error) error {
		var p place
		err := scan(&p.n, &p.ord, &p.held)
		places = append(places, p)
		return err
	}, `SELECT n, ord, 0 FROM outbox WHERE kind = ?1 AND ord > ?2
 UNION ALL SELECT n, ord, 1 FROM held WHERE kind = ?1 AND ord IS NOT NULL AND ord > ?2 ORDER BY 2 LIMIT ?3`, string(kind), after, maxRecords)
	if err != nil {
		return nil, err
	}
	var out []Outgoing
	size := 0
	for _, p := range places {
		o, bytes, err := s.outgoingRow(c, p.n, p.held)
		if err != nil {
			return nil, err
		}
		o.Order, o.held = p.ord, p.held
		if size += bytes; size > maxBytes && len(out) > 0 {
			break
		}
		out = append(out, o)
	}
	return out, s.goesOut(c, out)
}

// goesOut asserts rule P3 of what goes out, and notes the highest own counter of
// each version for its acknowledgement.
func (s *Store) goesOut(c *session, out []Outgoing) error {
	if len(out) == 0 {
		return nil
	}
	peers, err := s.seen(c)
	if err != nil {
		return err
	}
	var own record.ReplicaID
	if _, err := c.metaBytes(metaReplica, own[:]); err != nil {
		return err
	}
	for i := range out {
		if err := record.CheckPush(out[i].vectorOf(), own, peers[own], peers); err != nil {
			return fmt.Errorf("record %s: %w: %w", out[i].ID, ErrVector, err)
		}
	}
	s.sentMu.Lock()
	defer s.sentMu.Unlock()
	for i := range out {
		if c := out[i].vectorOf()[own]; c > 0 && !out[i].held {
			s.sent[out[i].VersionID] = sentVersion{c, out[i].row}
		}
	}
	return nil
}

// sentVersion is a version that was given out to be pushed.
type sentVersion struct {
	counter uint64 // highest own one in it
	row     int64  // of table record; 0: not known
}

// acknowledged gives what is known of a version that was pushed.
func (s *Store) acknowledged(id record.VersionID) sentVersion {
	s.sentMu.Lock()
	defer s.sentMu.Unlock()
	v := s.sent[id]
	delete(s.sent, id)
	return v
}

func (s *Store) outgoingRow(c *session, n int64, held bool) (Outgoing, int, error) {
	rows, err := c.rowsOf("WHERE r.n = ?", n)
	if err != nil {
		return Outgoing{}, 0, err
	}
	if len(rows) == 0 {
		return Outgoing{}, 0, fmt.Errorf("the outbox names a record that is not there: %w", ErrDamaged)
	}
	r := rows[0]
	if held && r.held != nil {
		v, err := s.heldVersion(r)
		if err != nil {
			return Outgoing{}, 0, err
		}
		return Outgoing{Kind: r.kind, ID: r.id, VersionID: r.held.vid, Version: v, Encoded: r.held.encoded}, len(r.held.encoded), nil
	}
	return s.outgoingOf(r)
}

func (s *Store) outgoingOf(r *row) (Outgoing, int, error) {
	v, _, encoded, err := s.version(r)
	if err != nil {
		return Outgoing{}, 0, err
	}
	return Outgoing{Kind: r.kind, ID: r.id, VersionID: *r.vid, Version: v, Encoded: encoded, row: r.n}, len(encoded), nil
}

// Version returns the current minted version of a record, or ErrNotFound. A
// dirty record's is the one before its changes.
func (s *Store) Version(ctx context.Context, id record.ID) (o Outgoing, err error) {
	err = s.read(ctx, func(c *session) error {
		r, err := c.rowByID(id)
		if err != nil {
			return err
		}
		if r == nil || r.vid == nil {
			return ErrNotFound
		}
		o, _, err = s.outgoingOf(r)
		return err
	})
	if err != nil {
		return Outgoing{}, fmt.Errorf("version of record %s: %w", id, err)
	}
	return o, nil
}

// Acked notes that the cloud has committed these versions. It is not synced to
// flash: losing it costs a repeat.
func (s *Store) Acked(ctx context.Context, refs []Ref) error {
	err := s.write(ctx, true, func(t *tx) error {
		t.mints = true
		statements, err := t.witnessIDs()
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if statements[ref.VersionID] {
				if err := t.exec("UPDATE witness SET ord = NULL WHERE vid = ?", ref.VersionID[:]); err != nil {
					return err
				}
				continue
			}
			sent := s.acknowledged(ref.VersionID)
			if sent.row != 0 { // nearly always it is still the one that waits
				// The index was just written, and is small beside the records.
				n, err := t.execCount(`DELETE FROM outbox WHERE n = ?1
 AND EXISTS (SELECT 1 FROM record INDEXED BY record_set WHERE kind = outbox.kind AND id = ?3 AND vid = ?2 AND +n = ?1)`, sent.row, ref.VersionID[:], ref.ID.String())
				if err != nil && !lacksIndex(err) {
					return err
				}
				if n > 0 {
					continue
				}
			}
			id := ref.ID.String()
			err := errors.Join(
				// A newer one may wait in its place: of its dots the cloud has these now (C5).
				t.exec("UPDATE outbox SET acked = ?1 WHERE acked < ?1 AND n = (SELECT n FROM record WHERE id = ?2)", int64(sent.counter), id),
				t.exec("DELETE FROM outbox WHERE n = (SELECT n FROM record WHERE id = ? AND vid = ?)", id, ref.VersionID[:]),
				t.exec("UPDATE held SET ord = NULL WHERE ord IS NOT NULL AND n = (SELECT n FROM record WHERE id = ?) AND vid = ?", id, ref.VersionID[:]))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note acknowledgements: %w", err)
	}
	return nil
}

// lacksIndex reports whether a statement could not be made because a program
// dropped or replaced an index that it names. Nothing was done then.
func lacksIndex(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_ERROR
}

// MarkSent notes that reconcile found these versions at the cloud. Like Acked.
func (s *Store) MarkSent(ctx context.Context, refs []Ref) error { return s.Acked(ctx, refs) }

// MarkUnsent puts versions that reconcile found missing at the cloud back into
// the outbox, and has their chunks offered again; those that are no longer
// current are skipped. It returns those that were not in the outbox: the cloud had
// them once, unless the keys were replaced since the kind was last proven.
func (s *Store) MarkUnsent(ctx context.Context, refs []Ref) (had []Ref, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		had = nil
		var own record.ReplicaID
		if _, err := t.metaBytes(metaReplica, own[:]); err != nil {
			return err
		}
		statements, err := t.witnessIDs()
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if err := ctx.Err(); err != nil {
				return err
			}
			if statements[ref.VersionID] {
				if err := t.queueWitness(ref.VersionID); err != nil {
					return err
				}
				continue
			}
			r, err := t.rowByID(ref.ID)
			if err != nil {
				return err
			}
			applied, held := r != nil && r.vid != nil && *r.vid == ref.VersionID, r != nil && r.held != nil && r.held.vid == ref.VersionID
			if !applied && !held {
				continue
			}
			// A cloud that lost a version may have lost its chunks.
			if err := t.exec("UPDATE chunk SET sent = 2 WHERE sent = 1 AND n IN (SELECT chunk FROM chunk_ref WHERE record = ?)", r.n); err != nil {
				return err
			}
			if held && !r.held.queued {
				h, err := t.heldOf(r)
				if err != nil {
					return err
				}
				if h == nil {
					continue
				}
				if err := t.queueHeld(r, h.Vector[own]); err != nil {
					return err
				}
				if err := t.hadOnce(r.kind, ref, &had); err != nil {
					return err
				}
			}
			if !applied || r.queued || r.held != nil && r.held.over {
				continue
			}
			v, _, _, err := t.s.version(r)
			if err != nil {
				return err
			}
			// What was acknowledged once may be on other devices: it keeps its dots in a fork.
			if err := t.queue(r, v.Vector[own]); err != nil {
				return err
			}
			if err := t.hadOnce(r.kind, ref, &had); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("queue what the cloud lacks: %w", err)
	}
	return had, nil
}

// hadOnce adds to had what the cloud lacks and once had.
func (t *tx) hadOnce(kind record.Kind, ref Ref, had *[]Ref) error {
	unasked, err := t.metaInt(metaUnasked + string(kind))
	if err == nil && unasked == 0 {
		*had = append(*had, ref)
	}
	return err
}
