package sqlitestore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// ReadLog implements cloudstore.Store.
func (s *Store) ReadLog(ctx context.Context, account seal.Account, kind record.Kind, after syncproto.Seq, bytesMax int) (syncproto.LogRead, error) {
	var got syncproto.LogRead
	err := s.readIntact(ctx, account, kind, func(q snapshot, damaged func(version)) (err error) {
		got = syncproto.LogRead{Kind: kind, Items: []syncproto.BatchItem{}}
		if got.State, err = kindState(q, account, kind); err != nil {
			return err
		}
		rows, err := q.rows("SELECT seq, header, body, record, version, crc FROM version WHERE account = ? AND kind = ? AND seq > ? ORDER BY seq LIMIT ?",
			account[:], string(kind), int64(after), syncproto.BatchRecordsMax+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		for size := 0; rows.Next(); {
			it, row, err := scanItem(rows)
			if err != nil {
				return err
			}
			if !intact(row.crc, it.Header, it.Body) {
				damaged(row)
				continue
			}
			size += len(it.Header) + len(it.Body)
			if n := len(got.Items); n > 0 && size > bytesMax || n == syncproto.BatchRecordsMax {
				got.More = true
				break
			}
			got.Items = append(got.Items, it)
		}
		return rows.Err()
	})
	if err != nil {
		return got, fmt.Errorf("read log: %w", err)
	}
	got.Next = max(after, got.State.Head)
	if got.More {
		got.Next = got.Items[len(got.Items)-1].Seq
	}
	return got, nil
}

// Walk implements cloudstore.Store.
func (s *Store) Walk(ctx context.Context, account seal.Account, kind record.Kind, after syncproto.Ref, recordsMax, bytesMax int) (syncproto.Walked, error) {
	var got syncproto.Walked
	err := s.readIntact(ctx, account, kind, func(q snapshot, damaged func(version)) (err error) {
		got = syncproto.Walked{Kind: kind, Items: []syncproto.BatchItem{}}
		if got.State, err = kindState(q, account, kind); err != nil {
			return err
		}
		rows, err := q.rows(`SELECT seq, header, body, record, version, crc FROM version INDEXED BY version_by_record
 WHERE account = ? AND kind = ? AND (record, version) > (?, ?) ORDER BY record, version LIMIT ?`,
			account[:], string(kind), after[:16], after[16:], recordsMax+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		var last syncproto.Ref
		for size := 0; rows.Next(); {
			it, row, err := scanItem(rows)
			if err != nil {
				return err
			}
			if !intact(row.crc, it.Header, it.Body) {
				damaged(row)
				continue
			}
			size += len(it.Header) + len(it.Body)
			if n := len(got.Items); n > 0 && size > bytesMax || n == recordsMax {
				got.Upto = last
				break
			}
			got.Items = append(got.Items, it)
			copy(last[:16], row.id)
			copy(last[16:], row.version)
		}
		return rows.Err()
	})
	if err != nil {
		return got, fmt.Errorf("walk: %w", err)
	}
	slices.SortFunc(got.Items, func(a, b syncproto.BatchItem) int { return cmp.Compare(a.Seq, b.Seq) })
	return got, nil
}

// version names a row and has its checksum.
type version struct {
	id, version []byte
	crc         sql.NullInt64
}

func scanItem(r scanner) (syncproto.BatchItem, version, error) {
	var seq int64
	var it syncproto.BatchItem
	var row version
	err := r.Scan(&seq, &it.Header, &it.Body, &row.id, &row.version, &row.crc)
	it.Seq = syncproto.Seq(seq)
	return it, row, err
}

// readIntact runs f in one snapshot. What f finds damaged is set aside, and f
// runs again: a device is never given what a disk changed.
func (s *Store) readIntact(ctx context.Context, account seal.Account, kind record.Kind, f func(q snapshot, damaged func(version)) error) error {
	for {
		var found []version
		err := s.read(ctx, func(q snapshot) error {
			return f(q, func(v version) { found = append(found, v) })
		})
		if err != nil || len(found) == 0 {
			return err
		}
		if err := s.setAsideVersions(ctx, account, kind, found, "a version differs from its checksum"); err != nil {
			return err
		}
	}
}

// setAsideVersions moves damaged versions of the log into the quarantine.
func (s *Store) setAsideVersions(ctx context.Context, account seal.Account, kind record.Kind, found []version, why string) error {
	s.opt.Log.Warn(why+" and is set aside", "kind", string(kind), "count", len(found))
	return s.do(ctx, 1024, func(t *txn) error {
		for _, v := range found {
			if err := t.setAsideDamaged("version", account[:], v.id, v.version, kind, why, s.now()); err != nil {
				return err
			}
		}
		return s.moveHead(t, account, kind)
	}, nil)
}

// moveHead counts a kind again and moves its head, so that live sessions are
// told the new digest.
func (s *Store) moveHead(t *txn, account seal.Account, kind record.Kind) error {
	if err := s.recount(t, account, kind); err != nil {
		return err
	}
	head, err := accountHead(t, account)
	if err != nil {
		return err
	}
	k, err := kindState(t, account, kind)
	if err != nil {
		return err
	}
	k.Head = max(head, k.Head) + 1
	if err := putKind(t, account, k); err != nil {
		return err
	}
	_, err = t.put("UPDATE account SET head = ?, touched = ? WHERE account = ?", int64(k.Head), s.now(), account[:])
	return err
}

// Fetch implements cloudstore.Store.
func (s *Store) Fetch(ctx context.Context, account seal.Account, kind record.Kind, refs []syncproto.Ref) (syncproto.Fetched, error) {
	var got syncproto.Fetched
	err := s.readIntact(ctx, account, kind, func(q snapshot, damaged func(version)) error {
		got = syncproto.Fetched{Items: []syncproto.BatchItem{}}
		size := 0
		for _, ref := range refs {
			id, v := ref.Record(), ref.Version()
			it, row, err := scanItem(q.row("SELECT seq, header, body, record, version, crc FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ? AND record = ? AND version = ?",
				account[:], string(kind), id[:], v[:]))
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if err == nil && !intact(row.crc, it.Header, it.Body) {
				damaged(row)
				got.Done++
				continue
			}
			if err == nil {
				size += len(it.Header) + len(it.Body)
				if len(got.Items) > 0 && size > syncproto.BatchBytesMax {
					return nil
				}
				got.Items = append(got.Items, it)
			}
			got.Done++
		}
		return nil
	})
	if err != nil {
		return got, fmt.Errorf("fetch: %w", err)
	}
	slices.SortFunc(got.Items, func(a, b syncproto.BatchItem) int { return cmp.Compare(a.Seq, b.Seq) })
	got.Items = slices.CompactFunc(got.Items, func(a, b syncproto.BatchItem) bool { return a.Seq == b.Seq })
	return got, nil
}

// View implements cloudstore.Store.
func (s *Store) View(ctx context.Context, account seal.Account, kind record.Kind, f func(rangeset.Set) error) error {
	return s.read(ctx, func(q snapshot) error { return f(set{q, account, kind}) })
}

// set is the antichain of a kind in one snapshot.
type set struct {
	q       snapshot
	account seal.Account
	kind    record.Kind
}

// Scan implements rangeset.Set.
func (s set) Scan(lower, upper rangeset.Bound, visit func(rangeset.Item) bool) error {
	// The index is by record; what a bound says about versions is left to Contains.
	from, to := append([]byte{}, lower...), bytes.Repeat([]byte{0xff}, 17) // never NULL
	if len(upper) > 0 {
		to = upper
	}
	q := "SELECT record, version FROM version WHERE account = ? AND kind = ? AND record >= ? AND record <= ? ORDER BY record, version"
	rows, err := s.q.rows(q, s.account[:], string(s.kind), from[:min(len(from), 16)], to[:min(len(to), 17)])
	if err != nil {
		return err
	}
	defer rows.Close()
	var id, version sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&id, &version); err != nil {
			return err
		}
		var it rangeset.Item
		copy(it.ID[:], id)
		copy(it.Version[:], version)
		if !rangeset.Contains(lower, upper, it) {
			continue
		}
		if !visit(it) {
			return nil
		}
	}
	return rows.Err()
}
