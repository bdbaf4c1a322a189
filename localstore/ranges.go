package localstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// ReadSet calls use with the set of a kind for reconcile, as one snapshot. The
// set must not be kept. use should be short, and must not write to the store.
func (s *Store) ReadSet(ctx context.Context, kind record.Kind, use func(rangeset.Set) error) error {
	return s.read(ctx, func(c *session) error { return use(&versionSet{ctx, c, kind}) })
}

// versionSet reads the versions of a kind that the digest counts, off the
// indexes record_set and held_set.
type versionSet struct {
	ctx  context.Context
	c    *session
	kind record.Kind
}

// Scan satisfies rangeset.Set. visit must not call Scan.
func (v *versionSet) Scan(lower, upper rangeset.Bound, visit func(rangeset.Item) bool) error {
	if err := v.ctx.Err(); err != nil {
		return err
	}
	// The text of an id orders as its bytes do. The bounds of ids are a little
	// wider where a bound goes into the version id; Contains is exact.
	idBytes := len(record.ID{})
	low := hex.EncodeToString(lower[:min(len(lower), idBytes)])
	high := "g" // above all digits
	if len(upper) > 0 {
		high = hex.EncodeToString(upper[:min(len(upper), idBytes)])
		if len(upper) > idBytes {
			high += "g"
		}
	}
	query := `SELECT id, vid FROM record r INDEXED BY record_set WHERE kind = ?1 AND vid IS NOT NULL AND id >= ?2 AND id < ?3
 AND NOT EXISTS (SELECT 1 FROM held h WHERE h.n = r.n AND h.over = 1)
 UNION ALL SELECT id, vid FROM held INDEXED BY held_set WHERE kind = ?1 AND id >= ?2 AND id < ?3 ORDER BY id, vid`
	if v.kind == record.Witness {
		query = "SELECT lower(hex(id)), vid FROM witness WHERE ?1 <> '' AND lower(hex(id)) >= ?2 AND lower(hex(id)) < ?3 ORDER BY id, vid"
	}
	st, err := v.c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(background, string(v.kind), low, high)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id, vid sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&id, &vid); err != nil {
			return err
		}
		var it rangeset.Item
		if n, err := hex.Decode(it.ID[:], id); err != nil || n != idBytes {
			return fmt.Errorf("read set of %s: a record id is not one: %w", v.kind, ErrDamaged)
		}
		copy(it.Version[:], vid)
		if rangeset.Contains(lower, upper, it) && !visit(it) {
			return nil
		}
	}
	return rows.Err()
}
