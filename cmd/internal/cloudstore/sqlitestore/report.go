package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Report implements cloudstore.Store. Each account is counted in one snapshot.
func (s *Store) Report(ctx context.Context, account *seal.Account) (cloudstore.Report, error) {
	report := cloudstore.Report{Epoch: hex.EncodeToString(s.epoch[:]), Accounts: []cloudstore.AccountReport{}}
	var accounts []seal.Account
	var err error
	if account != nil {
		accounts = []seal.Account{*account}
	} else if accounts, err = s.accounts(ctx); err != nil {
		return report, fmt.Errorf("report: %w", err)
	}
	for _, a := range accounts {
		err := s.read(ctx, func(q snapshot) error {
			r, err := s.reportAccount(q, a)
			report.Accounts = append(report.Accounts, r)
			return err
		})
		if err != nil {
			return report, fmt.Errorf("report: %w", err)
		}
	}
	return report, nil
}

func (s *Store) reportAccount(q snapshot, a seal.Account) (cloudstore.AccountReport, error) {
	r := cloudstore.AccountReport{Account: hex.EncodeToString(a[:])}
	head, err := accountHead(q, a)
	if err != nil {
		return r, err
	}
	r.Head = uint64(head)
	var created int64
	if err := q.row("SELECT created FROM account WHERE account = ?", a[:]).Scan(&created); err != nil {
		return r, err
	}
	r.Created = time.Unix(created, 0).UTC()
	kinds, err := allKinds(q, a)
	if err != nil {
		return r, err
	}
	digests := map[string]rangeset.Digest{}
	for _, k := range kinds {
		kr, d, err := reportKind(q, a, k)
		if err != nil {
			return r, err
		}
		digests[kr.Kind] = d
		r.Kinds = append(r.Kinds, kr)
	}
	if r.Replicas, err = s.reportReplicas(q, a, digests); err != nil {
		return r, err
	}
	for i := range r.Kinds {
		cloudstore.Cover(&r.Kinds[i], r.Replicas, nil)
	}
	return r, q.row("SELECT count(*), coalesce(sum(size), 0) FROM chunk WHERE account = ?", a[:]).Scan(&r.Chunks, &r.ChunkBytes)
}

// allKinds lists the kinds that have rows, had some, or are held by a device.
func allKinds(q snapshot, a seal.Account) ([]record.Kind, error) {
	kinds, err := kindsOf(q, a)
	if err != nil {
		return nil, err
	}
	rows, err := q.rows(`SELECT DISTINCT kind FROM proof WHERE account = ? AND count > 0 UNION SELECT kind FROM loss WHERE account = ?
		UNION SELECT kind FROM known WHERE account = ?`, a[:], a[:], a[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			return nil, err
		}
		if !slices.Contains(kinds, record.Kind(k)) {
			kinds = append(kinds, record.Kind(k))
		}
	}
	syncproto.SortKinds(kinds)
	return kinds, rows.Err()
}

func reportKind(q snapshot, a seal.Account, kind record.Kind) (cloudstore.KindReport, rangeset.Digest, error) {
	r := cloudstore.KindReport{Kind: string(kind), Service: kind == record.Witness}
	d, err := countRecords(q, a, kind, &r)
	if err != nil {
		return r, d, err
	}
	r.Versions, r.Digest = d.Count, d.String()
	err = q.row("SELECT coalesce(sum(length(header) + length(body)), 0) FROM version WHERE account = ? AND kind = ?", a[:], string(kind)).Scan(&r.Bytes)
	if err != nil {
		return r, d, err
	}
	state, err := kindState(q, a, kind)
	if err != nil {
		return r, d, err
	}
	r.Restoring = state.State == syncproto.KindRestoring
	var at, had int64
	err = q.row("SELECT at, had FROM loss WHERE account = ? AND kind = ?", a[:], string(kind)).Scan(&at, &had)
	if err == nil {
		r.LossTime, r.LossHad = time.Unix(at, 0).UTC(), uint64(had)
	} else if !errors.Is(err, sql.ErrNoRows) {
		return r, d, err
	}
	if r.Missing, r.Partial, err = missing(q, a, kind); err != nil {
		return r, d, err
	}
	return r, d, q.row("SELECT count(*) - coalesce(sum(aside), 0), coalesce(sum(aside), 0) FROM dominated WHERE account = ? AND kind = ?",
		a[:], string(kind)).Scan(&r.Dominated, &r.Aside)
}

// countRecords counts live and deleted records from the rows.
func countRecords(q snapshot, a seal.Account, kind record.Kind, r *cloudstore.KindReport) (d rangeset.Digest, err error) {
	rows, err := q.rows("SELECT record, version, dead FROM version WHERE account = ? AND kind = ? ORDER BY record, version", a[:], string(kind))
	if err != nil {
		return d, err
	}
	defer rows.Close()
	var last []byte
	alive := false
	count := func() {
		switch {
		case last == nil:
		case alive:
			r.Live++
		default:
			r.Deleted++
		}
	}
	for rows.Next() {
		var id, version []byte
		var dead bool
		if err := rows.Scan(&id, &version, &dead); err != nil {
			return d, err
		}
		if !bytes.Equal(id, last) {
			count()
			last, alive = id, false
		}
		alive = alive || !dead
		d.Add(record.VersionID(version))
	}
	count()
	return d, rows.Err()
}

func (s *Store) reportReplicas(q snapshot, a seal.Account, digests map[string]rangeset.Digest) ([]cloudstore.ReplicaReport, error) {
	rows, err := q.rows(`SELECT p.replica, coalesce(r.last, 0), p.kind, p.count, p.sum, p.at, coalesce(p.device, x''), coalesce(p.lacking, 0), coalesce(p.epoch, x''), coalesce(p.agreed, FALSE) FROM proof p
		LEFT JOIN replica r ON r.account = p.account AND r.replica = p.replica WHERE p.account = ? ORDER BY p.replica, p.kind`, a[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []cloudstore.ReplicaReport{}
	for rows.Next() {
		var id, sum []byte
		var device, epoch []byte
		var last, count, at, lacking int64
		var p cloudstore.ProofReport
		if err := rows.Scan(&id, &last, &p.Kind, &count, &sum, &at, &device, &lacking, &epoch, &p.Agreed); err != nil {
			return nil, err
		}
		d := rangeset.Digest{Count: uint64(count)}
		copy(d.Sum[:], sum)
		p.Count, p.Digest, p.At, p.Equal = d.Count, d.String(), time.Unix(at, 0).UTC(), d.Equal(digests[p.Kind])
		p.Lacking, p.Current = uint64(lacking), bytes.Equal(epoch, s.epoch[:])
		name := hex.EncodeToString(id)
		if len(all) == 0 || all[len(all)-1].Replica != name {
			all = append(all, cloudstore.ReplicaReport{Replica: name, Device: hex.EncodeToString(device), LastSeen: time.Unix(max(last, at), 0).UTC()})
		}
		r := &all[len(all)-1]
		r.Proofs = append(r.Proofs, p)
	}
	return all, rows.Err()
}
