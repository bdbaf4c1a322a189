package localstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"sidekeep/localstore/record"
)

// The history is kept for a time that the agent runs, and within a number of
// bytes. Over the budget, states in the middle go before those that a record
// had at the beginning of the window: whoever writes a record a thousand times
// pushes out nothing but his own writes.

const (
	// historyPruneS is how much (s) of running time piles up beyond
	// Options.HistoryDays before Maintain removes it, so that it writes seldom.
	historyPruneS = 6 * 60 * 60
	// historyRowBytes is what a change counts beside its document.
	historyRowBytes = 32
	// historySumEvery is from how many changes on that were counted their sum is
	// kept, so that the next process need not count them again.
	historySumEvery = 500
)

// retainHistory removes what is too old or too much.
func (s *Store) retainHistory(ctx context.Context) error {
	var late, over bool
	var sum string
	err := s.read(ctx, func(c *session) error {
		cutoff, err := s.historyCutoff(c)
		if err != nil {
			return err
		}
		n, err := c.count("SELECT count(*) FROM (SELECT ran FROM history ORDER BY n LIMIT 1) WHERE ran <= ?", cutoff-historyPruneS)
		if err != nil {
			return err
		}
		late = n > 0
		over, sum, err = s.historyOver(c)
		return err
	})
	if err != nil || !late && !over && sum == "" {
		return err
	}
	return s.write(ctx, true, func(t *tx) error {
		if !late && !over {
			return t.setMeta(metaHistorySum, sum)
		}
		if err := t.setMeta(metaHistorySum, nil); err != nil {
			return err
		}
		if err := t.pruneHistory(); err != nil || !over {
			return err
		}
		return t.evictHistory(s.HistoryBytes - s.HistoryBytes/8)
	})
}

// historyCutoff is the running time up to which changes are too old.
func (s *Store) historyCutoff(c *session) (int64, error) {
	ran, err := c.metaInt(metaRan)
	return ran - int64(s.HistoryDays)*24*60*60, err
}

// historyOver reports whether the history has passed its budget. It adds up
// what came since it, or another process, looked last, and returns the sum if it
// is to be kept. A sum that is too large, because changes were removed since, has
// all of them counted by evictHistory.
func (s *Store) historyOver(c *session) (over bool, sum string, err error) {
	s.historyMu.Lock()
	defer s.historyMu.Unlock()
	if s.historySeen == 0 {
		text, err := c.metaText(metaHistorySum)
		if err != nil {
			return false, "", err
		}
		var newest, n, bytes int64
		if _, err := c.one([]any{&newest}, "SELECT coalesce(max(n), 0) FROM history"); err != nil {
			return false, "", err
		}
		if read, _ := fmt.Sscanf(text, "%d %d", &n, &bytes); read == 2 && n > 0 && n <= newest && bytes >= 0 {
			s.historySeen, s.historyBytes = n, bytes
		}
	}
	var last, count, bytes int64
	_, err = c.one([]any{&last, &count, &bytes}, "SELECT coalesce(max(n), ?1), count(*), coalesce(sum("+historyBytes+"), 0) FROM history WHERE n > ?1", s.historySeen)
	if err != nil {
		return false, "", err
	}
	s.historySeen, s.historyBytes = last, s.historyBytes+bytes
	if s.historyBytes > s.HistoryBytes {
		s.historySeen, s.historyBytes = 0, 0 // what is removed now is counted anew
		return true, "", nil
	}
	if count >= historySumEvery {
		sum = fmt.Sprintf("%d %d", s.historySeen, s.historyBytes)
	}
	return false, sum, nil
}

const historyBytes = "32 + coalesce(octet_length(doc), 0) + coalesce(octet_length(par), 0) + coalesce(octet_length(raw), 0)"

// pruneHistory removes changes older than Options.HistoryDays of running time.
func (t *tx) pruneHistory() error {
	cutoff, err := t.s.historyCutoff(t.session)
	if err != nil {
		return err
	}
	// Running time does not go backwards: the old ones stand first.
	var n, at int64
	err = t.each(func(scan func(...any) error) error { return scan(&n, &at) },
		"SELECT n, at FROM history WHERE n < coalesce((SELECT n FROM history WHERE ran > ? ORDER BY n LIMIT 1), 9223372036854775807) ORDER BY n DESC LIMIT 1", cutoff)
	if err != nil || n == 0 {
		return err
	}
	var blobs []int64
	err = t.each(func(scan func(...any) error) error {
		var r int64
		err := scan(&r)
		blobs = append(blobs, r)
		return err
	}, "SELECT DISTINCT record FROM history WHERE blobs = 1 AND n <= ?", n)
	if err != nil {
		return err
	}
	return errors.Join(
		t.exec("DELETE FROM history WHERE n <= ?", n),
		t.setMeta(metaHistoryN, n),
		t.setMeta(metaHistoryAt, at),
		t.forgetRefs(blobs))
}

// kept is a row of history, as eviction looks at it.
type kept struct {
	n, record int64
	bytes     int64
	newer     int64   // bytes of the record's states from this one on
	first     bool    // the first state of its record that is kept
	with      []int64 // rows whose content is the one of this row
	blobs     bool
}

// evictHistory makes states unknown until the history has at most so many
// bytes: first those of which most newer bytes of the same record are there,
// never the first of a record; and only if that is not enough the first ones,
// oldest first.
func (t *tx) evictHistory(bytes int64) error {
	rows, total, err := t.keptStates()
	if err != nil {
		return err
	}
	newer := map[int64]int64{}
	for i := len(rows) - 1; i >= 0; i-- {
		newer[rows[i].record] += rows[i].bytes
		rows[i].newer = newer[rows[i].record]
	}
	slices.SortStableFunc(rows, func(a, b kept) int {
		switch {
		case a.first != b.first && a.first:
			return 1
		case a.first != b.first:
			return -1
		case a.first:
			return cmp.Compare(a.n, b.n)
		}
		return cmp.Or(cmp.Compare(b.newer, a.newer), cmp.Compare(a.n, b.n))
	})
	var blobs []int64
	for i := range rows {
		if total <= bytes {
			break
		}
		total -= rows[i].bytes
		for _, n := range append(rows[i].with, rows[i].n) {
			if err := t.exec("UPDATE history SET was = 3, doc = NULL, par = NULL, raw = NULL, blobs = 0 WHERE n = ?", n); err != nil {
				return err
			}
		}
		if rows[i].blobs {
			blobs = append(blobs, rows[i].record)
		}
	}
	slices.Sort(blobs)
	return errors.Join(t.mergeUnknown(), t.forgetRefs(slices.Compact(blobs)))
}

// keptStates reads the states that have a content, oldest first, and the bytes of all rows.
func (t *tx) keptStates() (rows []kept, total int64, err error) {
	waiting := map[int64][]int64{} // rows of a record whose content is the next one's
	known := map[int64]bool{}      // records of which a state that is known was met
	err = t.each(func(scan func(...any) error) error {
		var k kept
		var was int
		var content bool
		if err := scan(&k.n, &k.record, &was, &content, &k.bytes, &k.blobs); err != nil {
			return err
		}
		total += k.bytes
		switch {
		case content:
			k.bytes -= historyRowBytes
			k.first = !known[k.record]
			k.with = waiting[k.record]
			delete(waiting, k.record)
			rows = append(rows, k)
		case was < wasAbsent:
			waiting[k.record] = append(waiting[k.record], k.n)
			return nil
		default:
			delete(waiting, k.record)
		}
		known[k.record] = known[k.record] || was != wasUnknown
		return nil
	}, "SELECT n, record, was, doc IS NOT NULL, "+historyBytes+", blobs FROM history ORDER BY n")
	return rows, total, err
}

// mergeUnknown makes one row of neighbouring changes of a record before which
// its state is not known.
func (t *tx) mergeUnknown() error {
	unknown := map[int64]int64{} // record: its last row, if that is unknown
	var gone []int64
	err := t.each(func(scan func(...any) error) error {
		var n, rec int64
		var was int
		if err := scan(&n, &rec, &was); err != nil {
			return err
		}
		if was != wasUnknown {
			delete(unknown, rec)
			return nil
		}
		if last, ok := unknown[rec]; ok {
			gone = append(gone, last)
		}
		unknown[rec] = n
		return nil
	}, "SELECT n, record, was FROM history ORDER BY n")
	for _, n := range gone {
		if err != nil {
			break
		}
		err = t.exec("DELETE FROM history WHERE n = ?", n)
	}
	return err
}

// forgetRefs makes records refer to exactly the chunks they need, after states
// of theirs were removed from the history.
func (t *tx) forgetRefs(records []int64) error {
	for _, n := range records {
		rows, err := t.rowsOf("WHERE r.n = ?", n)
		if err != nil {
			return err
		}
		for _, r := range rows {
			v, base, _, err := t.s.version(r)
			if errors.Is(err, ErrDamaged) {
				continue // it keeps them; verify tells
			} else if err != nil {
				return err
			}
			fields, err := r.fields(r.kind)
			if err != nil {
				continue
			}
			chunks := slices.Concat(v.Chunks(), chunksOf(base), chunksOf(fields))
			if held, err := t.heldOf(r); err != nil {
				return err
			} else if held != nil {
				chunks = append(chunks, held.Chunks()...)
			}
			if err := t.setRefs(r.n, chunks); err != nil {
				return err
			}
		}
	}
	return nil
}

// historyChunks gives the chunks that a record's history refers to.
func (c *session) historyChunks(n int64) ([]record.ChunkID, error) {
	var ids []record.ChunkID
	err := c.each(func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		fields, err := parseRaw(raw)
		if err != nil {
			return nil // of a program's making; verify tells
		}
		for _, f := range fields {
			ids = append(ids, chunksOf([]record.Field{f})...)
		}
		return nil
	}, "SELECT raw FROM history WHERE record = ? AND blobs = 1", n)
	return ids, err
}

// restartHistory puts the marks of the history right after its table, those
// marks or its triggers were lost. What records were meanwhile is not known.
func (t *tx) restartHistory(lost, unseen bool) error {
	t.s.recent = recent{}
	now := t.s.Now().UnixMilli()
	if lost {
		return errors.Join(t.setMeta(metaHistoryN, 0), t.setMeta(metaHistoryAt, now))
	}
	n, at, err := t.historyStart()
	if err != nil {
		return err
	}
	if at == 0 { // the marks were lost: take those of the first change
		n, at = 0, now
		if _, err := t.one([]any{&n, &at}, "SELECT n, at FROM history ORDER BY n LIMIT 1"); err != nil {
			return err
		}
	}
	ran, err := t.metaInt(metaRan)
	if err != nil {
		return err
	}
	if _, err := t.one([]any{&ran}, "SELECT max(ran, ?) FROM history ORDER BY n DESC LIMIT 1", ran); err != nil {
		return err
	}
	err = errors.Join(t.setMeta(metaHistoryN, n), t.setMeta(metaHistoryAt, at), t.setMeta(metaRan, ran))
	if err == nil && unseen {
		err = t.exec(`INSERT INTO history (n, record, ran, at, was, blobs)
 SELECT (SELECT max(coalesce((SELECT max(n) FROM history), 0), ?1)) + row_number() OVER (ORDER BY n), n, ?2, ?3, 3, 0 FROM record`, n, ran, now)
	}
	return err
}
