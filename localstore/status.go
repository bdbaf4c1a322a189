package localstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"time"

	"sidekeep/localstore/record"
)

// Status counts everything, in one snapshot.
func (s *Store) Status(ctx context.Context) (st Status, err error) {
	err = s.read(ctx, func(c *session) error {
		st = Status{Kinds: map[record.Kind]KindStatus{}}
		kinds, err := c.kinds()
		if err != nil {
			return err
		}
		for _, k := range kinds {
			st.Kinds[k] = KindStatus{}
		}
		if err := c.countRecords(&st); err != nil {
			return err
		}
		if err := c.cloudStates(&st); err != nil {
			return err
		}
		if err := c.countBlobs(&st.Blobs); err != nil {
			return err
		}
		if st.Stale, err = c.count("SELECT count(*) FROM stale"); err != nil {
			return err
		}
		if st.Problems, err = c.problems(); err != nil {
			return err
		}
		if st.Lost, err = c.lost(); err != nil {
			return err
		}
		if st.Sample, err = c.sampleStatus(); err != nil {
			return err
		}
		if st.Withheld, err = c.withheld(); err != nil {
			return err
		}
		if st.Stated, err = c.count("SELECT count(DISTINCT id) FROM witness"); err != nil {
			return err
		}
		if _, err := c.metaBytes(metaReplica, st.Replica[:]); err != nil {
			return err
		}
		_, err = c.metaBytes(metaEpoch, st.Epoch[:])
		return err
	})
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	st.WALBytes = s.walBytes()
	return st, nil
}

func (s *Store) walBytes() int64 {
	fi, err := os.Stat(s.path + "-wal")
	if err != nil {
		return 0
	}
	return fi.Size()
}

// kindsOfRecords is a subquery that gives the kinds that have records, and NULL: a
// loose index scan, one step for each kind, not for each record.
const kindsOfRecords = `(WITH RECURSIVE k(kind) AS (SELECT min(kind) FROM record UNION ALL SELECT (SELECT min(kind) FROM record WHERE kind > k.kind) FROM k WHERE k.kind IS NOT NULL)
 SELECT kind FROM k)`

// kinds returns the kinds that have records, and the five known ones, in order of priority.
func (c *session) kinds() ([]record.Kind, error) {
	kinds := slices.Clone(record.Kinds[:])
	err := c.each(func(scan func(...any) error) error {
		var k record.Kind
		if err := scan(&k); err != nil {
			return err
		}
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
		return nil
	}, "SELECT kind FROM "+kindsOfRecords+" WHERE kind IS NOT NULL UNION SELECT kind FROM cloud")
	kinds = slices.DeleteFunc(kinds, func(k record.Kind) bool { return k == record.Witness })
	slices.SortStableFunc(kinds, func(a, b record.Kind) int {
		return cmp.Or(cmp.Compare(a.Priority(), b.Priority()), cmp.Compare(a, b))
	})
	return kinds, err
}

// unsyncedEdit is the condition that a row of dirty, d, has something for the cloud:
// what was made and deleted here since the last sync has not.
const unsyncedEdit = "d.n NOT IN (SELECT n FROM record INDEXED BY record_list WHERE kind IN " + kindsOfRecords + " AND deleted = 1 AND vid IS NULL)"

func (c *session) countRecords(st *Status) error {
	for _, q := range []struct {
		query string
		set   func(*KindStatus, int)
	}{
		{"SELECT kind, count(*) FROM record GROUP BY kind", func(k *KindStatus, n int) { k.Live = n }},
		{"SELECT kind, count(*) FROM record INDEXED BY record_list WHERE kind IN " + kindsOfRecords + " AND deleted = 1 GROUP BY kind", func(k *KindStatus, n int) { k.Deleted, k.Live = n, k.Live-n }},
		{"SELECT kind, count(*) FROM record WHERE conflicts > 0 AND deleted = 0 GROUP BY kind", func(k *KindStatus, n int) { k.Conflicts = n }},
		{"SELECT kind, count(*) FROM (SELECT n, kind FROM dirty WHERE hold = 1 UNION SELECT n, kind FROM held WHERE state = 1) GROUP BY kind", func(k *KindStatus, n int) { k.Held = n }},
		{"SELECT kind, count(*) FROM held WHERE state = 1 GROUP BY kind", func(k *KindStatus, n int) { k.HeldIn = n }},
		{"SELECT kind, count(*) FROM outbox GROUP BY kind", func(k *KindStatus, n int) { k.Unsynced = n }},
		{"SELECT kind, count(*) FROM dirty d WHERE " + unsyncedEdit + " AND NOT EXISTS (SELECT 1 FROM outbox WHERE n = d.n) GROUP BY kind", func(k *KindStatus, n int) { k.Unsynced += n }},
		{"SELECT kind, count(*) FROM held h WHERE (state > 1 OR ord IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM outbox WHERE n = h.n)" +
			" AND NOT EXISTS (SELECT 1 FROM dirty d WHERE n = h.n AND " + unsyncedEdit + ") GROUP BY kind", func(k *KindStatus, n int) { k.Unsynced += n }},
	} {
		err := c.each(func(scan func(...any) error) error {
			var kind record.Kind
			var n int
			if err := scan(&kind, &n); err != nil {
				return err
			}
			k := st.Kinds[kind]
			q.set(&k, n)
			st.Kinds[kind] = k
			return nil
		}, q.query)
		if err != nil {
			return err
		}
	}
	for kind, k := range st.Kinds {
		var err error
		if k.Digest, err = c.digest(kind); err != nil {
			return err
		}
		st.Kinds[kind] = k
	}
	return nil
}

func (c *session) cloudStates(st *Status) error {
	return c.each(func(scan func(...any) error) error {
		var kind record.Kind
		var count, head, at sql.NullInt64
		var sum, epoch []byte
		var restoring bool
		if err := scan(&kind, &count, &sum, &epoch, &head, &at, &restoring); err != nil {
			return err
		}
		if sum == nil {
			return nil
		}
		d, err := toDigest(count.Int64, sum)
		if err != nil {
			return err
		}
		k, ok := st.Kinds[kind]
		if !ok { // the statements of devices
			return nil
		}
		k.Cloud = CloudState{Digest: d, Head: uint64(head.Int64), Restoring: restoring}
		copy(k.Cloud.Epoch[:], epoch)
		if at.Valid {
			k.Cloud.ProvenAt = time.Unix(at.Int64, 0)
		}
		st.Kinds[kind] = k
		return nil
	}, "SELECT kind, count, sum, proven_epoch, head, proven_at, EXISTS (SELECT 1 FROM meta WHERE key = 'restoring/' || kind) FROM cloud")
}

func (c *session) countBlobs(b *BlobStatus) error {
	_, err := c.one([]any{&b.Chunks, &b.Missing, &b.Unsent, &b.Bytes}, `SELECT count(*), coalesce(sum(size IS NULL), 0),
 coalesce(sum(size IS NOT NULL AND sent <> 1), 0), coalesce(sum(size), 0)
 FROM chunk WHERE EXISTS (SELECT 1 FROM chunk_ref WHERE chunk_ref.chunk = chunk.n)`)
	return err
}
