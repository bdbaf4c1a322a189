package localstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"sidekeep/localstore/record"
)

// Cursor returns how far the cloud's log of a kind was read; zero if never. A
// Part is of the epoch that the cursor names, which may not be the present one.
func (s *Store) Cursor(ctx context.Context, kind record.Kind) (c Cursor, err error) {
	err = s.read(ctx, func(r *session) error {
		var epoch []byte
		var seq int64
		_, err := r.one([]any{&epoch, &seq}, "SELECT epoch, seq FROM cloud WHERE kind = ?", string(kind))
		copy(c.Epoch[:], epoch)
		c.Seq = uint64(seq)
		if err != nil || seq != 0 {
			return err
		}
		var walk []byte
		if _, err := r.one([]any{&walk}, "SELECT value FROM meta WHERE key = ?", metaWalk+string(kind)); err != nil || len(walk) != walkBytes {
			return err // a shortcut: without it reconcile finds what is missing
		}
		copy(c.Epoch[:], walk[:16])
		c.Seq = binary.BigEndian.Uint64(walk[16:])
		c.Part = &Ref{ID: record.ID(walk[24:40]), VersionID: record.VersionID(walk[40:])}
		return nil
	})
	return c, err
}

// walkBytes is the size of a cursor with a part: epoch, sequence, record, version.
const walkBytes = 16 + 8 + 16 + 16

// SetCursor stores a cursor without applying anything, as after a reconcile. It
// is not synced to flash: an older cursor costs only reading again.
func (s *Store) SetCursor(ctx context.Context, kind record.Kind, c Cursor) error {
	return s.write(ctx, true, func(t *tx) error { return t.setCursor(kind, c) })
}

func (t *tx) setCursor(kind record.Kind, c Cursor) error {
	if c.Part != nil { // to other programs the kind was never read
		walk := binary.BigEndian.AppendUint64(c.Epoch[:], c.Seq)
		return t.setMeta(metaWalk+string(kind), append(append(walk, c.Part.ID[:]...), c.Part.VersionID[:]...))
	}
	if err := t.setMeta(metaWalk+string(kind), nil); err != nil {
		return err
	}
	err := t.exec("INSERT INTO cloud (kind, epoch, seq) VALUES (?, ?, ?) ON CONFLICT (kind) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq",
		string(kind), c.Epoch[:], int64(c.Seq))
	if err != nil {
		return fmt.Errorf("store cursor: %w", err)
	}
	return nil
}

// Epoch returns the cloud's epoch as the last session knew it; zero before the first.
func (s *Store) Epoch(ctx context.Context) (e Epoch, err error) {
	err = s.read(ctx, func(c *session) error {
		_, err := c.metaBytes(metaEpoch, e[:])
		return err
	})
	if err != nil {
		return Epoch{}, fmt.Errorf("read the epoch: %w", err)
	}
	return e, nil
}

// ResetEpoch notes that the cloud's storage is another one: all cursors become
// (epoch, 0), what the cloud proved is forgotten, and chunks are offered again.
// Which records the cloud lacks is left to reconcile. With the epoch that is
// already known it does nothing.
func (s *Store) ResetEpoch(ctx context.Context, epoch Epoch) error {
	err := s.write(ctx, false, func(t *tx) error {
		var known Epoch
		if found, err := t.metaBytes(metaEpoch, known[:]); err != nil || found && known == epoch {
			return err
		}
		return errors.Join(
			t.setMeta(metaEpoch, epoch[:]),
			t.exec("UPDATE cloud SET epoch = ?, seq = 0, count = NULL, sum = NULL, proven_epoch = NULL, head = NULL, proven_at = NULL", epoch[:]),
			t.exec("UPDATE chunk SET sent = 2 WHERE sent = 1"),
			t.exec("DELETE FROM meta WHERE key > 'restoring/' AND key < 'restoring0' OR key > 'walk/' AND key < 'walk0'"))
	})
	if err != nil {
		return fmt.Errorf("reset epoch: %w", err)
	}
	return nil
}

// CloudState returns what the cloud last told to hold of a kind; zero if it never
// did since its epoch is the present one.
func (s *Store) CloudState(ctx context.Context, kind record.Kind) (c CloudState, err error) {
	err = s.read(ctx, func(r *session) error {
		var epoch, sum []byte
		var count, head, at int64
		_, err := r.one([]any{&count, &sum, &epoch, &head, &at},
			"SELECT count, sum, proven_epoch, head, coalesce(proven_at, 0) FROM cloud WHERE kind = ? AND count IS NOT NULL", string(kind))
		c.Digest.Count, c.Head = uint64(count), uint64(head)
		copy(c.Digest.Sum[:], sum)
		copy(c.Epoch[:], epoch)
		if at != 0 {
			c.ProvenAt = time.Unix(at, 0)
		}
		return err
	})
	return c, err
}

// SetCloudState stores what the cloud proved to hold of a kind, for Status. Not synced to flash.
func (s *Store) SetCloudState(ctx context.Context, kind record.Kind, c CloudState) error {
	return s.write(ctx, true, func(t *tx) error {
		if !c.ProvenAt.IsZero() {
			if err := errors.Join(t.settleLost(kind), t.setMeta(metaUnasked+string(kind), nil)); err != nil {
				return err
			}
		}
		var restoring any
		if c.Restoring {
			restoring = 1
		}
		if err := t.setMeta(metaRestoring+string(kind), restoring); err != nil {
			return err
		}
		return t.exec(`INSERT INTO cloud (kind, count, sum, proven_epoch, head, proven_at) VALUES (?, ?, ?, ?, ?, ?)
 ON CONFLICT (kind) DO UPDATE SET count = excluded.count, sum = excluded.sum, proven_epoch = excluded.proven_epoch, head = excluded.head, proven_at = excluded.proven_at`,
			string(kind), int64(c.Digest.Count), c.Digest.Sum[:], c.Epoch[:], int64(c.Head), unixOrNull(c.ProvenAt))
	})
}

func unixOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

// receive joins a vector into what was received in this transaction.
func (t *tx) receive(v record.Vector) {
	if t.received == nil {
		t.received = record.Vector{}
	}
	for r, c := range v {
		if t.received[r] < c {
			t.received[r] = c
		}
	}
}

func (t *tx) saveReceived() error {
	for r, c := range t.received {
		err := t.exec("INSERT INTO peer (replica, counter) VALUES (?, ?) ON CONFLICT (replica) DO UPDATE SET counter = excluded.counter WHERE excluded.counter > counter", r[:], int64(c))
		if err != nil {
			return err
		}
	}
	return nil
}

// seen is what no vector that leaves this device may pass (P3): the join of all
// received vectors, and the own counter. In a transaction it is complete only
// for versions that were stored before it.
func (s *Store) seen(c *session) (record.Vector, error) {
	v := record.Vector{}
	err := c.each(func(scan func(...any) error) error {
		var b []byte
		var n int64
		if err := scan(&b, &n); err != nil {
			return err
		}
		var r record.ReplicaID
		copy(r[:], b)
		v[r] = uint64(n)
		return nil
	}, "SELECT replica, counter FROM peer")
	if err != nil {
		return nil, err
	}
	var own record.ReplicaID
	found, err := c.metaBytes(metaReplica, own[:])
	if err != nil || !found {
		return v, err
	}
	counter, err := c.metaInt(metaCounter)
	v[own] = uint64(counter)
	return v, err
}
