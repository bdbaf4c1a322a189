package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Verify implements cloudstore.Store: SQLite's own check, every header against
// its columns and its body's length, every row against its checksum, every record's antichain, every digest and
// head against the rows, every chunk's length. It needs no key.
func (s *Store) Verify(ctx context.Context, problem func(cloudstore.Problem)) (cloudstore.Verified, error) {
	v := verification{}
	v.problem = func(p cloudstore.Problem) {
		v.got.Problems++
		problem(p)
	}
	// What can not be read for damage is a problem like others: look at the rest.
	damaged := func(err error) error {
		if errors.Is(err, ErrDamaged) {
			v.problem(cloudstore.Problem{Account: v.name, What: err.Error()})
			return nil
		}
		return err
	}
	err := damaged(s.read(ctx, v.integrity))
	var accounts []seal.Account
	if err == nil {
		accounts, err = s.accounts(ctx)
		err = damaged(err)
	}
	for i := 0; i < len(accounts) && err == nil; i++ {
		v.account, v.name = accounts[i], hex.EncodeToString(accounts[i][:])
		err = damaged(s.read(ctx, v.run))
	}
	v.name = ""
	if err == nil {
		err = damaged(s.read(ctx, v.orphans))
	}
	if err != nil {
		return v.got, fmt.Errorf("verify: %w", err)
	}
	return v.got, nil
}

type verification struct {
	got         cloudstore.Verified
	problem     func(cloudstore.Problem)
	account     seal.Account
	name        string
	quarantined int
	refs        map[record.ChunkID]bool // of the account's versions
}

// padded makes an id of any stored length one that can be compared.
func padded(id []byte) (c [16]byte) {
	copy(c[:], id)
	return c
}

func (v *verification) found(kind record.Kind, format string, args ...any) {
	v.problem(cloudstore.Problem{Account: v.name, Kind: string(kind), What: fmt.Sprintf(format, args...)})
}

// CheckPages returns the first thing that SQLite itself finds wrong, or "".
func (s *Store) CheckPages(ctx context.Context) (what string, err error) {
	v := verification{problem: func(p cloudstore.Problem) {
		if what == "" {
			what = p.What
		}
	}}
	err = s.read(ctx, v.integrity)
	if errors.Is(err, ErrDamaged) {
		return err.Error(), nil
	}
	return what, err
}

func (v *verification) integrity(q snapshot) error {
	rows, err := q.rows("PRAGMA integrity_check(20)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			v.problem(cloudstore.Problem{What: "sqlite: " + line})
		}
	}
	return rows.Err()
}

// orphans looks for rows of accounts that do not exist.
func (v *verification) orphans(q snapshot) error {
	for _, table := range tables[1:] {
		var n int
		if err := q.row("SELECT count(*) FROM " + table + " WHERE account NOT IN (SELECT account FROM account)").Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			v.problem(cloudstore.Problem{What: fmt.Sprintf("%d rows of %s belong to no account", n, table)})
		}
	}
	return nil
}

func (v *verification) run(q snapshot) error {
	v.got.Accounts++
	v.refs = map[record.ChunkID]bool{}
	head, err := accountHead(q, v.account)
	if err != nil {
		return err
	}
	kinds, err := allKinds(q, v.account)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if err := v.kind(q, k, head); err != nil {
			return err
		}
	}
	_, damaged, err := readStatements(q, v.account)
	if err != nil {
		return err
	}
	if damaged > 0 {
		v.found("", "%d statements about devices are damaged; devices bring them again", damaged)
	}
	return v.chunks(q)
}

func (v *verification) kind(q snapshot, kind record.Kind, head syncproto.Seq) error {
	kept, err := kindState(q, v.account, kind)
	if err != nil {
		return err
	}
	d, newest, err := countRows(q, v.account, kind)
	if err != nil {
		return err
	}
	if kept.Count != d.Count || kept.Sum != d.Sum {
		v.found(kind, "the digest says %d versions, %s; the rows say %d, %s", kept.Count, hex.EncodeToString(kept.Sum[:]), d.Count, d)
	}
	if newest > kept.Head || kept.Head > head {
		v.found(kind, "the heads are out of order: newest row %d, kind %d, account %d", newest, kept.Head, head)
	}
	if _, err := checkKnown(q, v.account, kind, func(kind record.Kind, what string) { v.found(kind, "%s", what) }); err != nil {
		return err
	}
	if err := v.versions(q, kind); err != nil {
		return err
	}
	return v.dominated(q, kind)
}

// versions checks the rows of the antichain, record by record.
func (v *verification) versions(q snapshot, kind record.Kind) error {
	rows, err := q.rows("SELECT record, version, dead, header, body, crc FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ? ORDER BY record, version",
		v.account[:], string(kind))
	if err != nil {
		return err
	}
	defer rows.Close()
	var siblings []cloudstore.Entry
	var last []byte
	for rows.Next() {
		var r storedVersion
		if err := rows.Scan(&r.id, &r.version, &r.dead, &r.header, &r.body, &r.crc); err != nil {
			return err
		}
		v.got.Versions++
		h, why, minor := r.check(kind)
		if why != "" {
			v.found(kind, "%s", why)
		}
		if why != "" && !minor {
			continue
		}
		for _, c := range h.Chunks {
			v.refs[c] = true
		}
		if !bytes.Equal(r.id, last) {
			v.antichain(kind, siblings)
			siblings, last = nil, r.id
		}
		siblings = append(siblings, cloudstore.Entry{Version: h.VersionID, Vector: h.Vector})
	}
	v.antichain(kind, siblings)
	return rows.Err()
}

func (v *verification) antichain(kind record.Kind, siblings []cloudstore.Entry) {
	if n := len(cloudstore.Maximal(siblings)); n != len(siblings) {
		v.found(kind, "a record keeps %d versions that others dominate", len(siblings)-n)
	}
}

func (v *verification) dominated(q snapshot, kind record.Kind) error {
	rows, err := q.rows("SELECT record, version, aside, header, body, crc FROM dominated WHERE account = ? AND kind = ?", v.account[:], string(kind))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r storedVersion
		var aside bool
		if err := rows.Scan(&r.id, &r.version, &aside, &r.header, &r.body, &r.crc); err != nil {
			return err
		}
		if aside {
			v.got.Aside++
			continue // known not to open
		}
		v.got.Dominated++
		if _, why, minor := r.check(kind); why != "" && !minor {
			v.found(kind, "%s", why)
		}
	}
	return rows.Err()
}

func (v *verification) chunks(q snapshot) error {
	rows, err := q.rows("SELECT chunk, size, header, body, crc FROM chunk WHERE account = ?", v.account[:])
	if err != nil {
		return err
	}
	defer rows.Close()
	type chunk struct {
		id  []byte
		why string
	}
	var bad []chunk
	for rows.Next() {
		var id, header, body []byte
		var size int
		var crc sql.NullInt64
		if err := rows.Scan(&id, &size, &header, &body, &crc); err != nil {
			return err
		}
		v.got.Chunks++
		if why := checkChunk(id, header, body, size, crc); why != "" {
			bad = append(bad, chunk{id, why})
		}
		delete(v.refs, record.ChunkID(padded(id)))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, c := range bad {
		kind, err := kindOfChunk(q, v.account, c.id)
		if err != nil {
			return err
		}
		v.found(kind, "%s", c.why)
	}
	if err := q.row("SELECT count(*) FROM quarantine WHERE account = ?", v.account[:]).Scan(&v.quarantined); err != nil {
		return err
	}
	v.got.Quarantined += v.quarantined
	// Not a problem of the store: their device may not have come yet.
	v.got.ChunksLacking += len(v.refs)
	return nil
}
