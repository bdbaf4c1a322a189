package localstore

import (
	"context"
	"database/sql"
	"fmt"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// digestOf returns the digest that this transaction will store for a kind.
func (t *tx) digestOf(kind record.Kind) (*rangeset.Digest, error) {
	if d := t.digests[kind]; d != nil {
		return d, nil
	}
	d, err := t.digest(kind)
	if err != nil {
		return nil, err
	}
	if t.digests == nil {
		t.digests = map[record.Kind]*rangeset.Digest{}
	}
	t.digests[kind] = &d
	return &d, nil
}

// holds reports whether versions of a kind are here, with what this transaction stores.
func (t *tx) holds(kind record.Kind) (bool, error) {
	if d := t.digests[kind]; d != nil {
		return d.Count > 0, nil
	}
	d, err := t.digest(kind)
	return d.Count > 0, err
}

func (t *tx) digestAdd(kind record.Kind, id record.VersionID) error {
	d, err := t.digestOf(kind)
	if err == nil {
		d.Add(id)
	}
	return err
}

func (t *tx) digestRemove(kind record.Kind, id record.VersionID) error {
	d, err := t.digestOf(kind)
	if err == nil {
		d.Remove(id)
	}
	return err
}

func (t *tx) saveDigests() error {
	for kind, d := range t.digests {
		err := t.exec("INSERT INTO digest (kind, count, sum) VALUES (?, ?, ?) ON CONFLICT (kind) DO UPDATE SET count = excluded.count, sum = excluded.sum",
			string(kind), int64(d.Count), d.Sum[:])
		if err != nil {
			return err
		}
	}
	return nil
}

// digest reads the stored digest of a kind.
func (c *session) digest(kind record.Kind) (rangeset.Digest, error) {
	if kind == record.Witness { // there are few
		return c.countDigest(kind)
	}
	var count int64
	var sum []byte
	found, err := c.one([]any{&count, &sum}, "SELECT count, sum FROM digest WHERE kind = ?", string(kind))
	if err != nil || !found {
		return rangeset.Digest{}, err
	}
	return toDigest(count, sum)
}

func toDigest(count int64, sum []byte) (rangeset.Digest, error) {
	d := rangeset.Digest{Count: uint64(count)}
	if len(sum) != len(d.Sum) {
		return d, fmt.Errorf("a stored digest has %d bytes: %w", len(sum), ErrDamaged)
	}
	copy(d.Sum[:], sum)
	return d, nil
}

// countDigest computes the digest of a kind from its rows.
func (c *session) countDigest(kind record.Kind) (rangeset.Digest, error) {
	query := `SELECT vid FROM record r INDEXED BY record_set WHERE kind = ?1 AND vid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM held h WHERE h.n = r.n AND h.over = 1)
 UNION ALL SELECT vid FROM held WHERE kind = ?1`
	if kind == record.Witness {
		query = "SELECT vid FROM witness WHERE ?1 <> ''"
	}
	var d rangeset.Digest
	err := c.each(func(scan func(...any) error) error {
		var raw sql.RawBytes
		if err := scan(&raw); err != nil {
			return err
		}
		var id record.VersionID
		copy(id[:], raw)
		d.Add(id)
		return nil
	}, query, string(kind))
	return d, err
}

// Digest returns the digest of all versions of a kind that this device has: of
// each record those of the applied and the held one that the other does not dominate.
func (s *Store) Digest(ctx context.Context, kind record.Kind) (d rangeset.Digest, err error) {
	err = s.read(ctx, func(c *session) error {
		d, err = c.digest(kind)
		return err
	})
	return d, err
}

// Recount computes the digest of a kind from its rows and stores it (P1); it
// reports whether it differed from the one that was kept.
func (s *Store) Recount(ctx context.Context, kind record.Kind) (differed bool, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		kept, err := t.digestOf(kind)
		if err != nil {
			return err
		}
		counted, err := t.countDigest(kind)
		if err != nil {
			return err
		}
		if differed = !kept.Equal(counted); differed {
			*kept = counted
			t.unsee()
			return t.problem("damage", "the digest of "+string(kind)+" did not match its records and was counted again", nil)
		}
		return nil
	})
	return differed, err
}

// Kinds returns the kinds that have records, and the five known ones, in the
// order of priority; not record.Witness, which has no records of a person.
func (s *Store) Kinds(ctx context.Context) (kinds []record.Kind, err error) {
	err = s.read(ctx, func(c *session) error {
		kinds, err = c.kinds()
		return err
	})
	return kinds, err
}
