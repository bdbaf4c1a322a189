package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

var errUnknownAccount = &syncproto.Error{Code: syncproto.CodeUnknownAccount}

// Claim implements cloudstore.Store.
func (s *Store) Claim(ctx context.Context, c syncproto.DoClaim, live ...record.ReplicaID) (syncproto.Claimed, error) {
	var got syncproto.Claimed
	run := func(t *txn) (err error) {
		got, err = s.claim(t, c, live)
		return err
	}
	if err := s.do(ctx, 1024, run, func() { s.counted[c.Account] = true }); err != nil {
		return got, fmt.Errorf("claim: %w", err)
	}
	return got, nil
}

func (s *Store) claim(t *txn, c syncproto.DoClaim, live []record.ReplicaID) (syncproto.Claimed, error) {
	got := syncproto.Claimed{Epoch: s.epoch, Time: uint64(max(s.now(), 0))}
	_, err := accountHead(t, c.Account)
	if errors.Is(err, errUnknownAccount) && c.Create {
		_, err = t.put("INSERT INTO account (account, head, created, touched) VALUES (?, 0, ?, ?)", c.Account[:], s.now(), s.now())
	}
	if err != nil {
		return got, err
	}
	if err := s.countOnce(t, c.Account); err != nil {
		return got, err
	}
	if got.Head, err = accountHead(t, c.Account); err != nil {
		return got, err
	}
	held, err := storedClaim(t, c)
	if err != nil {
		return got, err
	}
	if got.State = cloudstore.JudgeClaim(held, c); got.State == syncproto.ClaimAccepted {
		if err := s.storeClaim(t, c, held == nil); err != nil {
			return got, err
		}
	}
	if err := t.followProofs(c, got.State, held == nil, live); err != nil {
		return got, err
	}
	var seen int64
	err = t.row("SELECT counter FROM seen WHERE account = ? AND replica = ?", c.Account[:], c.Replica[:]).Scan(&seen)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return got, err
	}
	got.Seen = uint64(seen)
	if got.Kinds, err = kindStates(t, c.Account); err != nil || got.State != syncproto.ClaimAccepted {
		return got, err
	}
	return got, s.compareState(t, c, &got)
}

// compareState looks whether the device holds just what is stored. That is a proof
// like any other, and kept as one.
func (s *Store) compareState(t *txn, c syncproto.DoClaim, got *syncproto.Claimed) error {
	whole := !slices.ContainsFunc(got.Kinds, func(k syncproto.KindState) bool { return k.State != syncproto.KindOK })
	if !whole || c.State == (syncproto.StateDigest{}) || c.State != syncproto.NewStateDigest(s.epoch, c.Statements, got.Kinds) {
		return nil
	}
	lost, err := lostChunks(t, c.Account, 1)
	if err != nil || len(lost) > 0 {
		return err
	}
	got.Same = true
	held := make([]syncproto.Held, len(got.Kinds))
	for i, k := range got.Kinds {
		held[i] = syncproto.Held{Kind: k.Kind, Count: k.Count, Sum: k.Sum}
	}
	if err := s.storeProofs(t, c.Account, c.Device, c.Replica, held, got.Kinds); err != nil {
		return err
	}
	got.Devices, err = devicesSeen(t, c.Account, c.Device)
	return err
}

func storedClaim(t *txn, c syncproto.DoClaim) (*cloudstore.StoredClaim, error) {
	var device, token []byte
	err := t.row("SELECT device, token FROM replica WHERE account = ? AND replica = ?", c.Account[:], c.Replica[:]).Scan(&device, &token)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	held := &cloudstore.StoredClaim{}
	copy(held.Device[:], device)
	copy(held.Token[:], token)
	return held, nil
}

func (s *Store) storeClaim(t *txn, c syncproto.DoClaim, fresh bool) error {
	if fresh {
		var n int
		if err := t.row("SELECT count(*) FROM replica WHERE account = ?", c.Account[:]).Scan(&n); err != nil {
			return err
		}
		if n >= syncproto.ReplicasMax {
			return &syncproto.Error{Code: syncproto.CodeQuota}
		}
	}
	token := c.Pending[len(c.Pending)-1]
	_, err := t.put(`INSERT INTO replica (account, replica, device, token, first, last) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, replica) DO UPDATE SET token = excluded.token, last = excluded.last`,
		c.Account[:], c.Replica[:], c.Device[:], token[:], s.now(), s.now())
	return err
}

// followProofs notes which proofs of a device are of a replica id that it gives
// up. A copy of the device may go on under that one, with the same key: it shows
// that by having a session, claiming it or proving under it.
func (t *txn) followProofs(c syncproto.DoClaim, state syncproto.ClaimState, fresh bool, live []record.ReplicaID) error {
	switch {
	case state != syncproto.ClaimAccepted: // it will take another
		_, err := t.put("UPDATE proof SET moved = 1 WHERE account = ? AND replica = ? AND device = ?", c.Account[:], c.Replica[:], c.Device[:])
		return err
	case !fresh:
		_, err := t.put("UPDATE proof SET moved = 0 WHERE account = ? AND replica = ? AND moved = 1", c.Account[:], c.Replica[:])
		return err
	}
	var named int
	err := t.row("SELECT count(*) FROM proof WHERE account = ? AND device = ? AND moved = 1", c.Account[:], c.Device[:]).Scan(&named)
	if err != nil || named > 0 {
		return err
	}
	if _, err := t.put("UPDATE proof SET moved = 1 WHERE account = ? AND device = ? AND replica <> ?", c.Account[:], c.Device[:], c.Replica[:]); err != nil {
		return err
	}
	for i := range live {
		if _, err := t.put("UPDATE proof SET moved = 0 WHERE account = ? AND replica = ? AND moved = 1", c.Account[:], live[i][:]); err != nil {
			return err
		}
	}
	return nil
}

// accountHead returns the newest sequence of an account.
func accountHead(q querier, account seal.Account) (syncproto.Seq, error) {
	var head int64
	err := q.row("SELECT head FROM account WHERE account = ?", account[:]).Scan(&head)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errUnknownAccount
	}
	return syncproto.Seq(head), err
}
