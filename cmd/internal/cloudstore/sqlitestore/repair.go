package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// tables are those that the account leads; account itself is the first.
var tables = []string{"account", "kind", "version", "dominated", "seen", "proof", "known", "chunk", "chunk_ref", "chunk_lost", "quarantine", "restoring", "loss", "statement", "replica"}

// repairPage bounds the rows that one step of a repair looks at.
const repairPage = 64

// Repair implements cloudstore.Store.
func (s *Store) Repair(ctx context.Context, account seal.Account, pace func(bytes int) error, problem func(cloudstore.Problem)) ([]record.Kind, error) {
	r := &repair{s: s, ctx: ctx, account: account, pace: pace, changed: map[record.Kind]bool{}}
	r.found = func(kind record.Kind, what string) {
		problem(cloudstore.Problem{Account: hex.EncodeToString(account[:]), Kind: string(kind), What: what})
	}
	if err := r.run(); err != nil {
		return r.kinds(), fmt.Errorf("repair: %w", err)
	}
	return r.kinds(), nil
}

// repair goes through one account's rows, page by page, and moves what is
// damaged into the quarantine. Each page is a snapshot of its own, so that it
// holds up nobody.
type repair struct {
	s       *Store
	ctx     context.Context
	account seal.Account
	pace    func(bytes int) error
	found   func(kind record.Kind, what string)
	changed map[record.Kind]bool
}

func (r *repair) kinds() []record.Kind {
	kinds := []record.Kind{}
	for k := range r.changed {
		kinds = append(kinds, k)
	}
	return kinds
}

func (r *repair) do(f func(*txn) error) error { return r.s.do(r.ctx, 4096, f, nil) }

func (r *repair) run() error {
	if err := r.do(r.makeAccount); err != nil {
		return err
	}
	var kinds []record.Kind
	err := r.s.read(r.ctx, func(q snapshot) (err error) {
		kinds, err = allKinds(q, r.account)
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range kinds {
		for _, table := range []string{"version", "dominated"} {
			if err := r.versions(table, k); err != nil {
				return err
			}
		}
		if err := r.known(k); err != nil {
			return err
		}
		if err := r.do(func(t *txn) error { return r.count(t, k) }); err != nil {
			return err
		}
	}
	if err := r.chunks(); err != nil {
		return err
	}
	return r.do(func(t *txn) error { return t.countLost(r.account) })
}

// makeAccount gives rows whose account's row is lost one again.
func (r *repair) makeAccount(t *txn) error {
	_, err := accountHead(t, r.account)
	if !errors.Is(err, errUnknownAccount) {
		return err
	}
	r.found("", "the account's row is lost; made again")
	_, err = t.put("INSERT INTO account (account, head, created, touched) VALUES (?, 0, ?, ?)", r.account[:], r.s.now(), r.s.now())
	return err
}

// versions checks the rows of one kind.
func (r *repair) versions(table string, kind record.Kind) error {
	id, version := []byte{}, []byte{}
	for {
		var page []storedVersion
		size := 0
		err := r.s.read(r.ctx, func(q snapshot) error {
			page, size = nil, 0
			dead := "dead"
			if table == "dominated" {
				dead = "aside"
			}
			rows, err := q.rows("SELECT record, version, "+dead+", header, body, crc FROM "+table+` WHERE account = ? AND kind = ?
				AND (record, version) > (?, ?) ORDER BY record, version LIMIT ?`, r.account[:], string(kind), id, version, repairPage)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var v storedVersion
				if err := rows.Scan(&v.id, &v.version, &v.dead, &v.header, &v.body, &v.crc); err != nil {
					return err
				}
				page = append(page, v)
				size += len(v.header) + len(v.body)
			}
			return rows.Err()
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := r.page(table, kind, page); err != nil {
			return err
		}
		last := page[len(page)-1]
		id, version = last.id, last.version
		if err := r.pace(size); err != nil {
			return err
		}
	}
}

// page sets aside what is damaged among the rows of a page, and notes again the
// chunks that the good ones refer to.
func (r *repair) page(table string, kind record.Kind, page []storedVersion) error {
	type mend struct {
		row    storedVersion
		why    string
		minor  bool
		chunks []record.ChunkID
	}
	var mends []mend
	for _, v := range page {
		aside := table == "dominated" && v.dead // known not to open
		h, why, minor := v.check(kind)
		if table == "dominated" && minor {
			why = ""
		}
		if why != "" && !aside {
			r.found(kind, why)
			mends = append(mends, mend{v, why, minor, nil})
		} else if table == "version" && len(h.Chunks) > 0 {
			mends = append(mends, mend{row: v, chunks: h.Chunks})
		}
	}
	if len(mends) == 0 {
		return nil
	}
	return r.do(func(t *txn) error {
		for i := range mends {
			m := &mends[i]
			var err error
			switch {
			case m.why == "":
				// The version may have been displaced meanwhile.
				var one int
				err = t.row("SELECT 1 FROM version WHERE account = ? AND kind = ? AND record = ? AND version = ?", r.account[:], string(kind), m.row.id, m.row.version).Scan(&one)
				if errors.Is(err, sql.ErrNoRows) {
					err = nil
				} else if err == nil {
					err = t.addRefs(r.account[:], string(kind), m.row.id, m.row.version, m.chunks)
				}
			case m.minor:
				_, err = t.put("UPDATE version SET dead = NOT dead WHERE account = ? AND kind = ? AND record = ? AND version = ? AND dead = ?",
					r.account[:], string(kind), m.row.id, m.row.version, m.row.dead)
			default:
				err = t.setAsideDamaged(table, r.account[:], m.row.id, m.row.version, kind, m.why, r.s.now())
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// count makes the antichain, the digest and the heads of a kind right.
func (r *repair) count(t *txn, kind record.Kind) error {
	kept, err := kindState(t, r.account, kind)
	if err != nil {
		return err
	}
	if err := r.dominated(t, kind); err != nil {
		return err
	}
	d, newest, err := countRows(t, r.account, kind)
	if err != nil {
		return err
	}
	head, err := accountHead(t, r.account)
	if err != nil {
		return err
	}
	switch {
	case kept.Count != d.Count || kept.Sum != d.Sum:
		r.found(kind, fmt.Sprintf("the digest said %d versions, the rows say %d", kept.Count, d.Count))
	case newest > kept.Head || kept.Head > head:
		r.found(kind, "the heads were out of order")
	default:
		return nil
	}
	r.changed[kind] = true
	if _, err := t.put("UPDATE account SET head = max(head, ?) WHERE account = ?", int64(max(newest, kept.Head)), r.account[:]); err != nil {
		return err
	}
	return r.s.moveHead(t, r.account, kind)
}

// dominated moves versions out of the log that another one dominates.
func (r *repair) dominated(t *txn, kind record.Kind) error {
	rows, err := t.rows("SELECT record FROM version INDEXED BY version_by_record WHERE account = ? AND kind = ? GROUP BY record HAVING count(*) > 1", r.account[:], string(kind))
	if err != nil {
		return err
	}
	var ids []record.ID
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			rows.Close()
			return err
		}
		ids = append(ids, padded(b))
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for _, id := range ids {
		held, err := antichain(t, r.account, kind, id)
		if err != nil {
			return err
		}
		top := cloudstore.Maximal(held)
		for _, e := range held {
			keep := false
			for _, m := range top {
				keep = keep || m.Version == e.Version
			}
			if keep {
				continue
			}
			r.found(kind, "a record kept a version that another dominates")
			if err := t.displace(r.account, kind, id, e.Version, r.s.now(), false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *repair) chunks() error {
	after := []byte{}
	for {
		type bad struct {
			id   []byte
			kind record.Kind
			why  string
		}
		var found []bad
		n, size := 0, 0
		err := r.s.read(r.ctx, func(q snapshot) error {
			found, n, size = nil, 0, 0
			rows, err := q.rows("SELECT chunk, size, header, body, crc FROM chunk INDEXED BY chunk_by_id WHERE account = ? AND chunk > ? ORDER BY chunk LIMIT ?", r.account[:], after, repairPage)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id, header, body []byte
				var length int
				var crc sql.NullInt64
				if err := rows.Scan(&id, &length, &header, &body, &crc); err != nil {
					return err
				}
				after, n = id, n+1
				size += len(body)
				if why := checkChunk(id, header, body, length, crc); why != "" {
					found = append(found, bad{id: id, why: why})
				}
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return err
			}
			for i := range found {
				if found[i].kind, err = kindOfChunk(q, r.account, found[i].id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n == 0 {
			return err
		}
		for _, b := range found {
			r.found(b.kind, b.why)
			if err := r.do(func(t *txn) error { return t.setAsideChunk(r.account[:], b.id, b.why, r.s.now()) }); err != nil {
				return err
			}
		}
		if err := r.pace(size); err != nil {
			return err
		}
	}
}

// Accounts implements cloudstore.Store: also those of which only rows are left.
func (s *Store) Accounts(ctx context.Context) ([]seal.Account, error) {
	var all []seal.Account
	err := s.read(ctx, func(q snapshot) error {
		rows, err := q.rows("SELECT account FROM account UNION SELECT account FROM version UNION SELECT account FROM chunk ORDER BY account")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b []byte
			if err := rows.Scan(&b); err != nil {
				return err
			}
			if len(b) == len(seal.Account{}) {
				all = append(all, seal.Account(b))
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return all, nil
}
