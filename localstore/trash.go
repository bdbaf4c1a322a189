package localstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sidekeep/localstore/record"
)

// Ran adds to the time the agent has run, which is the only clock that empties
// the trash (see Expire): neither the handset's clock nor the cloud's can. Call
// it every few minutes with what passed since.
func (s *Store) Ran(ctx context.Context, d time.Duration) error {
	err := s.write(ctx, true, func(t *tx) error {
		ran, err := t.metaInt(metaRan)
		if err != nil {
			return err
		}
		return t.setMeta(metaRan, ran+int64(max(d, 0)/time.Second))
	})
	if err != nil {
		return fmt.Errorf("count running time: %w", err)
	}
	return nil
}

// Expire purges (rule W6) at most max records that have been in the trash for
// Options.TrashDays of running time, and erases those that no other device ever
// saw, but none of which something is held. Only call it in sync, in a session. It returns how many it took.
func (s *Store) Expire(ctx context.Context, max int) (n int, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		ran, err := t.metaInt(metaRan)
		if err != nil {
			return err
		}
		rows, err := t.rowsOf("WHERE r.trashed IS NOT NULL AND r.trashed <= ? AND r.deleted = 1 AND o.n IS NULL AND h.n IS NULL AND (r.vid IS NULL OR d.n IS NULL) ORDER BY r.trashed LIMIT ?",
			ran-int64(s.TrashDays)*24*60*60, max)
		if err != nil {
			return err
		}
		if len(rows) > 0 { // what was purged leaves nothing in the history
			if err := t.pruneHistory(); err != nil {
				return err
			}
		}
		for _, r := range rows {
			if err := t.expire(r); err != nil {
				return fmt.Errorf("record %s: %w", r.id, err)
			}
		}
		n = len(rows)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("empty the trash: %w", err)
	}
	return n, nil
}

func (t *tx) expire(r *row) error {
	if r.vid == nil {
		return t.erase(r)
	}
	v, err := t.current(r)
	if err != nil {
		return err
	}
	m, err := t.mint()
	if err != nil {
		return err
	}
	// A purged record does not come up again.
	forget := t.exec
	if v.Purged() {
		return forget("UPDATE record SET trashed = NULL WHERE n = ?", r.n)
	}
	acked := v.Vector[m.replica]
	next := record.Purge(v, m)
	encoded, err := record.Encode(next)
	if err != nil {
		return err
	}
	if err := t.versioned(r, next, t.s.hash.VersionID(r.kind, r.id, encoded)); err != nil {
		return err
	}
	return errors.Join(t.queue(r, acked), forget("UPDATE record SET trashed = NULL WHERE n = ?", r.n))
}

// erase removes a row that was never minted, and all that hangs on it.
func (t *tx) erase(r *row) error {
	return errors.Join(
		t.exec("INSERT INTO erase (n) VALUES (?)", r.n),
		t.exec("DELETE FROM record WHERE n = ?", r.n),
		t.exec("DELETE FROM erase"),
		t.exec("DELETE FROM dirty WHERE n = ?", r.n),
		t.exec("DELETE FROM stale WHERE n = ?", r.n),
		t.exec("DELETE FROM phone WHERE record = ?", r.n),
		t.exec("DELETE FROM chunk_ref WHERE record = ?", r.n),
		t.exec("DELETE FROM history WHERE record = ?", r.n),
		t.exec("DELETE FROM fulltext WHERE rowid = ?", r.n))
}

// chunksDroppedMax is how many unused chunks one Maintain removes.
const chunksDroppedMax = 256

// walBytesMax is the size of the write-ahead log from which Maintain empties it.
const walBytesMax = 8 << 20

// Maintain does what can wait until the agent is idle: full text, the size of
// the write-ahead log, history that is too old or too much, chunks that nothing
// refers to.
func (s *Store) Maintain(ctx context.Context) error {
	if err := s.flush(ctx); err != nil {
		return fmt.Errorf("maintain: %w", err)
	}
	if err := s.retainHistory(ctx); err != nil {
		return fmt.Errorf("maintain the history: %w", err)
	}
	var unused int
	err := s.read(ctx, func(c *session) (err error) {
		unused, err = c.count("SELECT count(*) FROM (SELECT 1 FROM chunk WHERE NOT EXISTS (SELECT 1 FROM chunk_ref WHERE chunk = chunk.n) LIMIT 1)")
		return err
	})
	if err == nil && unused > 0 {
		err = s.write(ctx, true, func(t *tx) error { return t.dropChunks(chunksDroppedMax) })
	}
	if err == nil && s.walBytes() > walBytesMax {
		err = s.truncateWAL(ctx)
	}
	if err != nil {
		return fmt.Errorf("maintain: %w", err)
	}
	return nil
}

// truncateWAL moves the write-ahead log into the file and empties it. A reader
// that is still at work makes it do nothing.
func (s *Store) truncateWAL(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	var busy, pages, moved int
	_, err := s.writer.one([]any{&busy, &pages, &moved}, "PRAGMA wal_checkpoint(TRUNCATE)")
	if errors.Is(explain(err), ErrBusy) {
		return nil
	}
	return explain(err)
}
