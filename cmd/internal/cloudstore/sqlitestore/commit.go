package sqlitestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Commit implements cloudstore.Store.
func (s *Store) Commit(ctx context.Context, account seal.Account, versions []syncproto.CloudVersion) (syncproto.Committed, error) {
	bytes := 0
	for i := range versions {
		bytes += len(versions[i].Header) + len(versions[i].Body)
	}
	var got syncproto.Committed
	var written int64
	run := func(t *txn) error {
		p := placement{s: s, t: t, account: account, now: s.now(), kinds: map[record.Kind]*syncproto.KindState{}, seen: record.Vector{}}
		err := p.run(versions)
		got, written = p.got, p.written
		return err
	}
	if err := s.do(ctx, bytes, run, func() { s.quota.added(account, written) }); err != nil {
		return syncproto.Committed{}, fmt.Errorf("commit: %w", err)
	}
	return got, nil
}

// placement puts the versions of one push into the store.
type placement struct {
	s       *Store
	t       *txn
	account seal.Account
	now     int64
	head    syncproto.Seq
	kinds   map[record.Kind]*syncproto.KindState
	order   []record.Kind  // of kinds, as they came
	known   int            // kinds that the account has; -1 before it was looked up
	fresh   map[place]bool // records of which nothing is stored, where that was asked
	seen    record.Vector  // highest counters in what was stored
	left    int64          // bytes that the account may write before this push
	written int64          // bytes of what was stored
	got     syncproto.Committed
}

// place is where the versions of a record stand in an account.
type place struct {
	kind record.Kind
	id   record.ID
}

func (p *placement) run(versions []syncproto.CloudVersion) error {
	old, err := accountHead(p.t, p.account)
	if err != nil {
		return err
	}
	p.head, p.known = old, -1
	if p.left, err = p.s.quota.room(p.t, p.account); err != nil {
		return err
	}
	if err := p.findFresh(versions); err != nil {
		return err
	}
	p.got.Seqs = make([]syncproto.Seq, len(versions))
	for i := range versions {
		if err := p.place(i, &versions[i]); err != nil {
			return err
		}
	}
	// Also when every version was here already: a repeat must write and commit
	// before it is acknowledged.
	res, err := p.t.put("UPDATE account SET head = ?, touched = ? WHERE account = ? AND head = ?", int64(p.head), p.now, p.account[:], int64(old))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("the account's head moved during a commit (%d rows, %w)", n, err)
	}
	for _, k := range p.order {
		if err := putKind(p.t, p.account, *p.kinds[k]); err != nil {
			return err
		}
		p.got.Kinds = append(p.got.Kinds, *p.kinds[k])
	}
	p.got.Head = p.head
	return p.storeSeen()
}

func (p *placement) place(i int, v *syncproto.CloudVersion) error {
	kind, code, err := p.kind(v.Kind)
	if err != nil || code != syncproto.CodeNone {
		p.reject(v, code)
		return err
	}
	id, version := v.Ref.Record(), v.Ref.Version()
	var held []cloudstore.Entry
	fresh := p.fresh[place{v.Kind, id}]
	if fresh {
		delete(p.fresh, place{v.Kind, id})
	} else {
		held, err = antichain(p.t, p.account, v.Kind, id)
	}
	if errors.Is(err, errStoredHeader) {
		if err := p.s.dropUnreadable(p.t, p.account, v.Kind, id); err != nil {
			return err
		}
		again, err := kindState(p.t, p.account, v.Kind)
		if err != nil {
			return err
		}
		// As it is in this push: what was stored before it in the same push counts.
		kind.Count, kind.Sum, kind.Head = again.Count, again.Sum, max(kind.Head, again.Head)
		held, err = antichain(p.t, p.account, v.Kind, id)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	verdict, displaced := cloudstore.Judge(held, cloudstore.Entry{Version: version, Vector: v.Vector})
	bytes := len(v.Header) + len(v.Body)
	if (verdict == cloudstore.Keep || verdict == cloudstore.Dominated) && !p.s.quota.allows(p.left-p.written, bytes, v.Dead) {
		p.reject(v, syncproto.CodeQuota)
		return nil
	}
	switch verdict {
	case cloudstore.Crowded:
		p.reject(v, syncproto.CodeSiblings)
		return nil
	case cloudstore.Dominated:
		if err := p.t.keepDominated(p.account, v, p.now); err != nil {
			return err
		}
	case cloudstore.Keep:
		for _, d := range displaced {
			if err := p.t.displace(p.account, v.Kind, id, d, p.now, false); err != nil {
				return err
			}
			removeFrom(kind, d)
		}
		p.head++
		if err := p.t.insert(p.account, v, p.head, fresh); err != nil {
			return err
		}
		if len(held) == 0 {
			if err := p.t.addKnown(p.account[:], string(v.Kind), id[:]); err != nil {
				return err
			}
		}
		addTo(kind, version)
		kind.Head = p.head
		p.got.Seqs[i] = p.head
	}
	if verdict != cloudstore.Duplicate {
		p.written += int64(bytes)
	}
	for r, c := range v.Vector {
		p.seen[r] = max(p.seen[r], c)
	}
	return nil
}

// findFresh asks at once which records of a push are new, as nearly all are in an
// account's first sync. One or few versions are asked for as they are placed.
func (p *placement) findFresh(versions []syncproto.CloudVersion) error {
	const few = 4
	if len(versions) <= few {
		return nil
	}
	p.fresh = make(map[place]bool, len(versions))
	ids := map[record.Kind][]string{}
	for i := range versions {
		at := place{versions[i].Kind, versions[i].Ref.Record()}
		if !p.fresh[at] {
			p.fresh[at] = true
			ids[at.kind] = append(ids[at.kind], at.id.String())
		}
	}
	for kind, list := range ids {
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		if err := p.dropStored(kind, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// dropStored takes out of p.fresh what is stored of the ids in a JSON list.
func (p *placement) dropStored(kind record.Kind, ids string) error {
	rows, err := p.t.rows(`SELECT unhex(value) AS id FROM json_each(?1)
		WHERE EXISTS (SELECT 1 FROM version INDEXED BY version_by_record WHERE account = ?2 AND kind = ?3 AND record = unhex(value))
		OR EXISTS (SELECT 1 FROM dominated WHERE account = ?2 AND kind = ?3 AND record = unhex(value))`, ids, p.account[:], string(kind))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return err
		}
		delete(p.fresh, place{kind, record.ID(id)})
	}
	return rows.Err()
}

func (p *placement) reject(v *syncproto.CloudVersion, c syncproto.Code) {
	p.got.Rejects = append(p.got.Rejects, syncproto.Reject{Index: uint64(v.Index), Code: c})
}

// kind returns the state of a kind that the push touches, with Prev set.
func (p *placement) kind(name record.Kind) (*syncproto.KindState, syncproto.Code, error) {
	if k, ok := p.kinds[name]; ok {
		return k, syncproto.CodeNone, nil
	}
	k, err := kindState(p.t, p.account, name)
	if err != nil {
		return nil, syncproto.CodeNone, err
	}
	if k.Head == 0 {
		if p.known < 0 {
			if err := p.t.row("SELECT count(*) FROM kind WHERE account = ?", p.account[:]).Scan(&p.known); err != nil {
				return nil, syncproto.CodeNone, err
			}
		}
		if p.known >= syncproto.KindsMax {
			return nil, syncproto.CodeQuota, nil
		}
		p.known++
	}
	k.Prev = k.Head
	p.kinds[name] = &k
	p.order = append(p.order, name)
	return &k, syncproto.CodeNone, nil
}

func (p *placement) storeSeen() error {
	for r, c := range p.seen {
		_, err := p.t.put(`INSERT INTO seen (account, replica, counter) VALUES (?, ?, ?)
			ON CONFLICT (account, replica) DO UPDATE SET counter = excluded.counter WHERE excluded.counter > counter`,
			p.account[:], r[:], int64(c))
		if err != nil {
			return err
		}
	}
	return nil
}

// antichain returns the versions of a record that the store holds, and their vectors.
func antichain(q querier, account seal.Account, kind record.Kind, id record.ID) ([]cloudstore.Entry, error) {
	rows, err := q.rows("SELECT version, header FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ? AND record = ?", account[:], string(kind), id[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var held []cloudstore.Entry
	for rows.Next() {
		var version, header []byte
		if err := rows.Scan(&version, &header); err != nil {
			return nil, err
		}
		h, err := seal.ParseHeader(header)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errStoredHeader, err)
		}
		held = append(held, cloudstore.Entry{Version: record.VersionID(version), Vector: h.Vector})
	}
	return held, rows.Err()
}

// insert adds a version to the log. fresh says that nothing of its record is stored.
func (t *txn) insert(account seal.Account, v *syncproto.CloudVersion, seq syncproto.Seq, fresh bool) error {
	id, version := v.Ref.Record(), v.Ref.Version()
	if !fresh { // it may have been set aside, or dominated by one that was
		if _, err := t.put("DELETE FROM dominated WHERE account = ? AND kind = ? AND record = ? AND version = ?", account[:], string(v.Kind), id[:], version[:]); err != nil {
			return err
		}
	}
	_, err := t.put("INSERT INTO version (account, kind, seq, record, version, dead, header, body, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		account[:], string(v.Kind), int64(seq), id[:], version[:], v.Dead, v.Header, v.Body, checksum(v.Header, v.Body))
	if err != nil {
		return err
	}
	h, err := seal.ParseHeader(v.Header)
	if err != nil || len(h.Chunks) == 0 {
		return err
	}
	return t.addRefs(account[:], string(v.Kind), id[:], version[:], h.Chunks)
}

// keepDominated keeps a version that was dominated when it came.
func (t *txn) keepDominated(account seal.Account, v *syncproto.CloudVersion, now int64) error {
	id, version := v.Ref.Record(), v.Ref.Version()
	_, err := t.put(`INSERT INTO dominated (account, kind, record, version, since, aside, header, body, crc) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)
		ON CONFLICT (account, kind, record, version) DO UPDATE SET since = excluded.since, aside = 0, header = excluded.header, body = excluded.body, crc = excluded.crc
		WHERE aside = 1`,
		account[:], string(v.Kind), id[:], version[:], now, v.Header, v.Body, checksum(v.Header, v.Body))
	return err
}

// displace moves a version out of the antichain.
func (t *txn) displace(account seal.Account, kind record.Kind, id record.ID, version record.VersionID, now int64, aside bool) error {
	_, err := t.put(`INSERT INTO dominated (account, kind, record, version, since, aside, header, body, crc)
		SELECT account, kind, record, version, ?, ?, header, body, crc FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ? AND record = ? AND version = ?
		ON CONFLICT (account, kind, record, version) DO UPDATE SET since = excluded.since, aside = excluded.aside, header = excluded.header, body = excluded.body, crc = excluded.crc`,
		now, aside, account[:], string(kind), id[:], version[:])
	if err != nil {
		return err
	}
	_, err = t.put("DELETE FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ? AND record = ? AND version = ?", account[:], string(kind), id[:], version[:])
	if err != nil {
		return err
	}
	return t.dropRefs(account[:], string(kind), id[:], version[:])
}

func addTo(k *syncproto.KindState, v record.VersionID) {
	d := rangeset.Digest{Count: k.Count, Sum: k.Sum}
	d.Add(v)
	k.Count, k.Sum = d.Count, d.Sum
}

func removeFrom(k *syncproto.KindState, v record.VersionID) {
	d := rangeset.Digest{Count: k.Count, Sum: k.Sum}
	d.Remove(v)
	k.Count, k.Sum = d.Count, d.Sum
}
