package sqlitestore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Verify implements cloudstore.Store: SQLite's own check, every header against
// its columns and its body's length, every record's antichain, every digest and
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
	got     cloudstore.Verified
	problem func(cloudstore.Problem)
	account seal.Account
	name    string
}

func (v *verification) found(kind record.Kind, format string, args ...any) {
	v.problem(cloudstore.Problem{Account: v.name, Kind: string(kind), What: fmt.Sprintf(format, args...)})
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
	for _, table := range []string{"kind", "version", "dominated", "replica", "seen", "proof", "chunk"} {
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
	head, err := accountHead(q, v.account)
	if err != nil {
		return err
	}
	kinds, err := kindsOf(q, v.account)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if err := v.kind(q, k, head); err != nil {
			return err
		}
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
	if err := v.versions(q, kind); err != nil {
		return err
	}
	return v.dominated(q, kind)
}

// versions checks the rows of the antichain, record by record.
func (v *verification) versions(q snapshot, kind record.Kind) error {
	rows, err := q.rows("SELECT record, version, dead, header, length(body) FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ? ORDER BY record, version",
		v.account[:], string(kind))
	if err != nil {
		return err
	}
	defer rows.Close()
	var siblings []cloudstore.Entry
	var last []byte
	for rows.Next() {
		var id, version, header []byte
		var dead bool
		var size int
		if err := rows.Scan(&id, &version, &dead, &header, &size); err != nil {
			return err
		}
		v.got.Versions++
		h, ok := v.header(kind, id, version, header, size)
		if !ok {
			continue
		}
		if dead != (h.Dead()) {
			v.found(kind, "a row's tombstone mark differs from its header")
		}
		if !bytes.Equal(id, last) {
			v.antichain(kind, siblings)
			siblings, last = nil, id
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

// header checks a header against the columns of its row.
func (v *verification) header(kind record.Kind, id, version, header []byte, size int) (seal.Header, bool) {
	h, err := seal.ParseHeader(header)
	switch {
	case err != nil:
		v.found(kind, "a header can not be read")
	case h.Kind != kind || !bytes.Equal(h.ID[:], id) || !bytes.Equal(h.VersionID[:], version):
		v.found(kind, "a header names another record, version or kind than its row")
	case h.Length+seal.Overhead != size:
		v.found(kind, "a body is %d bytes, its header says %d", size, h.Length+seal.Overhead)
	default:
		return h, true
	}
	return h, false
}

func (v *verification) dominated(q snapshot, kind record.Kind) error {
	rows, err := q.rows("SELECT record, version, aside, header, length(body) FROM dominated WHERE account = ? AND kind = ?", v.account[:], string(kind))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, version, header []byte
		var aside bool
		var size int
		if err := rows.Scan(&id, &version, &aside, &header, &size); err != nil {
			return err
		}
		if aside {
			v.got.Aside++
			continue // known not to open
		}
		v.got.Dominated++
		v.header(kind, id, version, header, size)
	}
	return rows.Err()
}

func (v *verification) chunks(q snapshot) error {
	rows, err := q.rows("SELECT chunk, size, header, length(body) FROM chunk WHERE account = ?", v.account[:])
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, header []byte
		var size, length int
		if err := rows.Scan(&id, &size, &header, &length); err != nil {
			return err
		}
		v.got.Chunks++
		h, err := seal.ParseChunkHeader(header)
		switch {
		case err != nil:
			v.found("", "a chunk's header can not be read")
		case !bytes.Equal(h.ID[:], id):
			v.found("", "a chunk's header names another chunk than its row")
		case size != length || h.Length+seal.Overhead != length:
			v.found("", "a chunk is %d bytes, its row says %d, its header %d", length, size, h.Length+seal.Overhead)
		}
	}
	return rows.Err()
}
