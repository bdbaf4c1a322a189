package sqlitestore

import (
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

// kindStates returns the states of all kinds of an account, by priority.
func kindStates(q querier, account seal.Account) ([]syncproto.KindState, error) {
	restoring, err := restoringKinds(q, account)
	if err != nil {
		return nil, err
	}
	rows, err := q.rows("SELECT kind, count, sum, head FROM kind WHERE account = ?", account[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	states := []syncproto.KindState{}
	for rows.Next() {
		var k syncproto.KindState
		if err := scanKind(rows, &k); err != nil {
			return nil, err
		}
		if restoring[k.Kind] {
			k.State = syncproto.KindRestoring
			delete(restoring, k.Kind)
		}
		states = append(states, k)
	}
	for k := range restoring { // named also when nothing of it is left
		states = append(states, syncproto.KindState{Kind: k, State: syncproto.KindRestoring})
	}
	slices.SortFunc(states, func(a, b syncproto.KindState) int {
		return cmp.Or(cmp.Compare(a.Kind.Priority(), b.Kind.Priority()), cmp.Compare(a.Kind, b.Kind))
	})
	return states, rows.Err()
}

func kindState(q querier, account seal.Account, kind record.Kind) (syncproto.KindState, error) {
	k := syncproto.KindState{Kind: kind}
	err := scanKind(q.row("SELECT kind, count, sum, head FROM kind WHERE account = ? AND kind = ?", account[:], string(kind)), &k)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return k, err
	}
	restoring, err := restoringKinds(q, account)
	if restoring[kind] {
		k.State = syncproto.KindRestoring
	}
	return k, err
}

func scanKind(r scanner, k *syncproto.KindState) error {
	var name string
	var count, head int64
	var sum []byte
	if err := r.Scan(&name, &count, &sum, &head); err != nil {
		return err
	}
	k.Kind, k.Count, k.Head = record.Kind(name), uint64(count), syncproto.Seq(head)
	copy(k.Sum[:], sum)
	return nil
}

func putKind(t *txn, account seal.Account, k syncproto.KindState) error {
	_, err := t.put(`INSERT INTO kind (account, kind, count, sum, head) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account, kind) DO UPDATE SET count = excluded.count, sum = excluded.sum, head = excluded.head`,
		account[:], string(k.Kind), int64(k.Count), k.Sum[:], int64(k.Head))
	return err
}

// countRows computes the digest of a kind from its rows, and their newest sequence.
func countRows(q querier, account seal.Account, kind record.Kind) (d rangeset.Digest, newest syncproto.Seq, err error) {
	rows, err := q.rows("SELECT version, seq FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ?", account[:], string(kind))
	if err != nil {
		return d, 0, err
	}
	defer rows.Close()
	var raw sql.RawBytes
	var seq int64
	for rows.Next() {
		if err := rows.Scan(&raw, &seq); err != nil {
			return d, 0, err
		}
		var v record.VersionID
		copy(v[:], raw)
		d.Add(v)
		newest = max(newest, syncproto.Seq(seq))
	}
	return d, newest, rows.Err()
}

// recount counts a kind again from its rows and mends the kept digest.
func (s *Store) recount(t *txn, account seal.Account, kind record.Kind) error {
	kept, err := kindState(t, account, kind)
	if err != nil {
		return err
	}
	d, newest, err := countRows(t, account, kind)
	if err != nil {
		return err
	}
	if kept.Count == d.Count && kept.Sum == d.Sum && kept.Head >= newest {
		return nil
	}
	s.opt.Log.Warn("a digest did not match its rows and was counted again", "kind", string(kind), "kept", kept.Count, "rows", d.Count)
	if d.Count < kept.Count {
		if err := s.noteLoss(t, account, kind, kept.Count); err != nil {
			return err
		}
	}
	if err := t.listKnown(account, kind); err != nil {
		return err
	}
	kept.Count, kept.Sum, kept.Head = d.Count, d.Sum, max(kept.Head, newest)
	return putKind(t, account, kept)
}

// noteLoss remembers that versions of a kind went missing, and how many there
// had been.
func (s *Store) noteLoss(t *txn, account seal.Account, kind record.Kind, had uint64) error {
	// Who proved something before has yet to come back.
	if _, err := t.put("UPDATE proof SET epoch = NULL WHERE account = ? AND kind = ?", account[:], string(kind)); err != nil {
		return err
	}
	_, err := t.put(`INSERT INTO loss (account, kind, at, had) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, kind) DO UPDATE SET at = excluded.at, had = max(had, excluded.had)`, account[:], string(kind), s.now(), int64(had))
	return err
}

// Recount implements cloudstore.Store.
func (s *Store) Recount(ctx context.Context, accounts []seal.Account) (map[seal.Account][]record.Kind, error) {
	var stale []seal.Account
	changed := map[seal.Account][]record.Kind{}
	take := func() {
		stale = stale[:0]
		for _, a := range accounts {
			if !s.counted[a] {
				stale = append(stale, a)
			}
			if kinds := s.moved[a]; len(kinds) > 0 {
				changed[a] = append(changed[a], kinds...)
				delete(s.moved, a)
			}
		}
	}
	err := s.do(ctx, 0, func(*txn) error { return nil }, take)
	for i := 0; err == nil && i < len(stale); i++ { // one at a time, so that it holds up nobody
		a := stale[i]
		err = s.do(ctx, 1024, func(t *txn) error { return s.countOnce(t, a) }, func() { s.counted[a] = true })
	}
	if err == nil && len(stale) > 0 {
		err = s.do(ctx, 0, func(*txn) error { return nil }, take)
	}
	if err != nil {
		return changed, fmt.Errorf("recount: %w", err)
	}
	return changed, nil
}

// countOnce counts an account, its chunks too, that was not counted since the
// store opened, or since another program wrote.
func (s *Store) countOnce(t *txn, account seal.Account) error {
	if s.counted[account] {
		return nil
	}
	kinds, err := kindsOf(t, account)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		kept, err := kindState(t, account, k)
		if err != nil {
			return err
		}
		d, newest, err := countRows(t, account, k)
		if err != nil {
			return err
		}
		if kept.Count == d.Count && kept.Sum == d.Sum && kept.Head >= newest {
			continue
		}
		if err := s.moveHead(t, account, k); err != nil {
			return err
		}
		s.moved[account] = append(s.moved[account], k)
	}
	return t.countLost(account)
}

// kindsOf lists the kinds that have a digest or rows.
func kindsOf(q querier, account seal.Account) ([]record.Kind, error) {
	states, err := kindStates(q, account)
	if err != nil {
		return nil, err
	}
	var kinds []record.Kind
	for _, k := range states {
		kinds = append(kinds, k.Kind)
	}
	// Step from kind to kind through the key: no scan of the rows.
	last := ""
	for {
		var name sql.NullString
		if err := q.row("SELECT min(kind) FROM version WHERE account = ? AND kind > ?", account[:], last).Scan(&name); err != nil {
			return nil, err
		}
		if !name.Valid {
			return kinds, nil
		}
		last = name.String
		if !slices.Contains(kinds, record.Kind(last)) {
			kinds = append(kinds, record.Kind(last))
		}
	}
}
