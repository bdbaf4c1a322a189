package sqlitestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Prove implements cloudstore.Store.
func (s *Store) Prove(ctx context.Context, account seal.Account, device seal.DeviceKey, replica record.ReplicaID, held []syncproto.Held, recount []record.Kind) (syncproto.States, error) {
	var got syncproto.States
	err := s.do(ctx, 1024, func(t *txn) error {
		if err := s.countOnce(t, account); err != nil {
			return err
		}
		for _, k := range recount {
			if err := s.recount(t, account, k); err != nil {
				return err
			}
		}
		var err error
		if got, err = states(t, account); err != nil {
			return err
		}
		if err := s.storeProofs(t, account, device, replica, held, got.Kinds); err != nil {
			return err
		}
		got.Devices, err = devicesSeen(t, account, device)
		return err
	}, func() { s.counted[account] = true })
	if err != nil {
		return got, fmt.Errorf("prove: %w", err)
	}
	return got, nil
}

// storeProofs keeps what a device holds of some kinds, and whether it was what is
// stored of them.
func (s *Store) storeProofs(t *txn, account seal.Account, device seal.DeviceKey, replica record.ReplicaID, held []syncproto.Held, kinds []syncproto.KindState) error {
	for _, h := range held {
		agreed := slices.ContainsFunc(kinds, func(k syncproto.KindState) bool { return k.Kind == h.Kind && k.Count == h.Count && k.Sum == h.Sum })
		if err := s.putProof(t, account, device, replica, h, agreed); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) putProof(t *txn, account seal.Account, device seal.DeviceKey, replica record.ReplicaID, h syncproto.Held, agreed bool) error {
	// What the device proved before it took this replica id is overtaken.
	_, err := t.put("DELETE FROM proof WHERE account = ? AND kind = ? AND device = ? AND replica <> ? AND moved = 1", account[:], string(h.Kind), device[:], replica[:])
	if err != nil {
		return err
	}
	_, err = t.put(`INSERT INTO proof (account, replica, kind, count, sum, at, device, lacking, epoch, agreed, moved) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
		ON CONFLICT (account, replica, kind) DO UPDATE SET count = excluded.count, sum = excluded.sum, at = excluded.at,
		device = excluded.device, lacking = excluded.lacking, epoch = excluded.epoch, agreed = excluded.agreed, moved = 0`,
		account[:], replica[:], string(h.Kind), int64(h.Count), h.Sum[:], s.now(), device[:], int64(min(h.Lacking, 1<<62)), s.epoch[:], agreed)
	return err
}

// devicesSeen tells when the account's other devices were last let in, the
// latest first. A device may have had several replica ids.
func devicesSeen(q querier, account seal.Account, but seal.DeviceKey) ([]syncproto.DeviceSeen, error) {
	rows, err := q.rows("SELECT device, last FROM replica WHERE account = ?", account[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := map[seal.DeviceKey]uint64{}
	for rows.Next() {
		var b []byte
		var at int64
		if err := rows.Scan(&b, &at); err != nil {
			return nil, err
		}
		var device seal.DeviceKey
		if copy(device[:], b); device != but {
			last[device] = max(last[device], uint64(max(at, 0)))
		}
	}
	var seen []syncproto.DeviceSeen
	for device, at := range last {
		seen = append(seen, syncproto.DeviceSeen{Device: device, At: at})
	}
	slices.SortFunc(seen, func(a, b syncproto.DeviceSeen) int {
		return cmp.Or(cmp.Compare(b.At, a.At), bytes.Compare(a.Device[:], b.Device[:]))
	})
	return seen[:min(len(seen), syncproto.DevicesMax)], rows.Err()
}

func states(q querier, account seal.Account) (syncproto.States, error) {
	head, err := accountHead(q, account)
	if err != nil {
		return syncproto.States{}, err
	}
	kinds, err := kindStates(q, account)
	if err != nil {
		return syncproto.States{}, err
	}
	lost, err := lostChunks(q, account, syncproto.HaveMax)
	return syncproto.States{Head: head, Kinds: kinds, Lost: lost}, err
}

// SetAside implements cloudstore.Store.
func (s *Store) SetAside(ctx context.Context, account seal.Account, kind record.Kind, refs []syncproto.Ref) (syncproto.States, error) {
	var got syncproto.States
	err := s.do(ctx, 1024, func(t *txn) error {
		if err := s.setAside(t, account, kind, refs); err != nil {
			return err
		}
		var err error
		got, err = states(t, account)
		return err
	}, nil)
	if err != nil {
		return got, fmt.Errorf("set aside: %w", err)
	}
	return got, nil
}

func (s *Store) setAside(t *txn, account seal.Account, name record.Kind, refs []syncproto.Ref) error {
	for _, ref := range refs {
		// The rule of domination needs headers that can be read.
		if _, err := antichain(t, account, name, ref.Record()); !errors.Is(err, errStoredHeader) {
			continue
		}
		if err := s.dropUnreadable(t, account, name, ref.Record()); err != nil {
			return err
		}
	}
	old, err := accountHead(t, account)
	if err != nil {
		return err
	}
	kind, err := kindState(t, account, name)
	if err != nil {
		return err
	}
	head, changed := old, false
	for _, ref := range refs {
		held, err := antichain(t, account, name, ref.Record())
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(held, func(e cloudstore.Entry) bool { return e.Version == ref.Version() }) {
			continue
		}
		if err := t.displace(account, name, ref.Record(), ref.Version(), s.now(), true); err != nil {
			return err
		}
		removeFrom(&kind, ref.Version())
		back, err := t.restore(account, name, ref.Record(), &head)
		if err != nil {
			return err
		}
		for _, v := range back {
			addTo(&kind, v)
		}
		if len(held) == 1 && len(back) == 0 { // nothing of it ever opened
			id := ref.Record()
			if err := t.dropKnown(account, name, id[:]); err != nil {
				return err
			}
		}
		changed = true
	}
	if changed {
		// The kind's head moves even if nothing came back, so that live sessions
		// are told the new digest.
		head++
		kind.Head = head
		if err := putKind(t, account, kind); err != nil {
			return err
		}
	}
	_, err = t.put("UPDATE account SET head = ?, touched = ? WHERE account = ? AND head = ?", int64(head), s.now(), account[:], int64(old))
	return err
}

// restore puts back into the antichain what only a version dominated that was
// just set aside.
func (t *txn) restore(account seal.Account, kind record.Kind, id record.ID, head *syncproto.Seq) ([]record.VersionID, error) {
	held, err := antichain(t, account, kind, id)
	if err != nil {
		return nil, err
	}
	kept, err := t.keptVersions(account, kind, id)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(held)
	for i := range kept {
		all = append(all, cloudstore.Entry{Version: kept[i].Ref.Version(), Vector: kept[i].Vector})
	}
	top := cloudstore.Maximal(all)
	var back []record.VersionID
	for i := range kept {
		v := kept[i].Ref.Version()
		is := func(e cloudstore.Entry) bool { return e.Version == v }
		if !slices.ContainsFunc(top, is) || slices.ContainsFunc(held, is) || len(held)+len(back) >= syncproto.SiblingsMax {
			continue
		}
		*head++
		if err := t.insert(account, &kept[i], *head, false); err != nil {
			return nil, err
		}
		back = append(back, v)
	}
	return back, nil
}

// keptVersions returns the dominated versions of a record that were not set aside.
func (t *txn) keptVersions(account seal.Account, kind record.Kind, id record.ID) ([]syncproto.CloudVersion, error) {
	rows, err := t.rows("SELECT version, header, body FROM dominated WHERE account = ? AND kind = ? AND record = ? AND aside = 0",
		account[:], string(kind), id[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []syncproto.CloudVersion
	for rows.Next() {
		var version []byte
		v := syncproto.CloudVersion{Kind: kind}
		if err := rows.Scan(&version, &v.Header, &v.Body); err != nil {
			return nil, err
		}
		h, err := seal.ParseHeader(v.Header)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errStoredHeader, err)
		}
		v.Ref, v.Vector, v.Dead = syncproto.NewRef(id, record.VersionID(version)), h.Vector, h.Dead()
		all = append(all, v)
	}
	return all, rows.Err()
}

// Expire implements cloudstore.Store. It goes account by account, so that it
// never holds the writer for long.
func (s *Store) Expire(ctx context.Context) (removed int, err error) {
	before := s.now() - syncproto.DominatedDays*24*3600
	accounts, err := s.accounts(ctx)
	if err != nil {
		return 0, err
	}
	for _, a := range accounts {
		var old int
		err := s.read(ctx, func(q snapshot) error {
			return q.row("SELECT count(*) FROM dominated WHERE account = ? AND since < ?", a[:], before).Scan(&old)
		})
		if err == nil && old > 0 {
			err = s.do(ctx, 1024, func(t *txn) error {
				_, err := t.put("DELETE FROM dominated WHERE account = ? AND since < ?", a[:], before)
				return err
			}, nil)
			removed += old
		}
		if err != nil {
			return removed, fmt.Errorf("expire: %w", err)
		}
	}
	return removed, nil
}

// accounts lists all accounts.
func (s *Store) accounts(ctx context.Context) ([]seal.Account, error) {
	var all []seal.Account
	err := s.read(ctx, func(q snapshot) error {
		rows, err := q.rows("SELECT account FROM account ORDER BY account")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b []byte
			if err := rows.Scan(&b); err != nil {
				return err
			}
			all = append(all, seal.Account(b))
		}
		return rows.Err()
	})
	return all, err
}
