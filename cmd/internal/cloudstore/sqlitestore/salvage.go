package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A database that SQLite finds damaged is not mended in place: it is set aside
// whole, and what can still be read is carried over into a new one. The new file
// is another one, so its first start draws a new epoch, and devices compare
// everything.

const (
	salvageNew   = "salvage.new"   // being written; worth nothing
	salvageReady = "salvage.ready" // complete; takes the place of what is damaged
	asidePrefix  = "set-aside-"
)

// Salvaged says what a salvage did.
type Salvaged struct {
	Aside string         `json:"set_aside"` // folder of the damaged files, as they were
	Rows  map[string]int `json:"rows"`      // carried over, by table
}

// Salvage sets the damaged database in dir aside and puts what opens of it into
// a new one. Nobody else has the folder open. It needs room for two copies.
func Salvage(ctx context.Context, dir string, opt Options) (Salvaged, error) {
	got := Salvaged{Rows: map[string]int{}}
	fresh := filepath.Join(dir, salvageNew)
	if err := os.RemoveAll(fresh); err != nil {
		return got, fmt.Errorf("salvage: %w", err)
	}
	if err := salvageInto(ctx, dir, fresh, opt, got.Rows); err != nil {
		return got, fmt.Errorf("salvage: %w", err)
	}
	now := time.Now
	if opt.Now != nil {
		now = opt.Now
	}
	got.Aside = filepath.Join(dir, asidePrefix+now().UTC().Format("20060102-150405.000"))
	err := os.MkdirAll(got.Aside, 0o700)
	if err == nil {
		err = os.Rename(fresh, filepath.Join(dir, salvageReady))
	}
	if err == nil {
		err = takeOver(dir, got.Aside)
	}
	if err != nil {
		return got, fmt.Errorf("salvage: %w", err)
	}
	return got, nil
}

// finishSalvage ends a salvage that was stopped after it had carried over
// everything.
func finishSalvage(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, salvageReady, FileName)); err != nil {
		return nil
	}
	aside := filepath.Join(dir, asidePrefix+time.Now().UTC().Format("20060102-150405.000"))
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	return takeOver(dir, aside)
}

// takeOver moves the damaged files away and the salvaged one into their place.
func takeOver(dir, aside string) error {
	for _, name := range databaseFiles() {
		err := os.Rename(filepath.Join(dir, name), filepath.Join(aside, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	ready := filepath.Join(dir, salvageReady)
	if err := os.Rename(filepath.Join(ready, FileName), filepath.Join(dir, FileName)); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	return os.RemoveAll(ready)
}

func databaseFiles() []string {
	return []string{FileName, FileName + "-wal", FileName + "-shm", witnessName}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// salvageInto writes a new store with the rows that a copy of the damaged one
// still gives.
func salvageInto(ctx context.Context, dir, fresh string, opt Options, rows map[string]int) error {
	work := filepath.Join(fresh, "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	for _, name := range []string{FileName, FileName + "-wal"} { // opening would change them
		err := copyFile(filepath.Join(work, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := fillUp(filepath.Join(work, FileName)); err != nil {
		return err
	}
	opt.ReadOnly = false
	s, err := Open(ctx, fresh, opt)
	if err != nil {
		return err
	}
	old, err := sql.Open("sqlite", dsn(filepath.Join(work, FileName)))
	if err == nil {
		old.SetMaxOpenConns(1)
		for _, table := range tables {
			if table == "replica" || table == "chunk_ref" || table == "chunk_lost" {
				continue // claims are void in a new epoch; the others are counted again
			}
			var n int
			if n, err = s.carryOver(ctx, old, table); err != nil {
				break
			}
			rows[table] = n
		}
		if err == nil {
			err = s.carryMeta(ctx, old)
		}
		err = errors.Join(err, old.Close())
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(fresh, witnessName)); err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// fillUp gives a truncated file the length that its header names: SQLite reads
// nothing at all of one that is shorter.
func fillUp(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [32]byte
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:15]) != "SQLite format 3" {
		return nil // nothing to be had
	}
	page := int64(binary.BigEndian.Uint16(head[16:]))
	if page == 1 {
		page = 65536
	}
	want := page * int64(binary.BigEndian.Uint32(head[28:]))
	if want <= info.Size() || want > fillMost*max(info.Size(), 1<<20) {
		return nil
	}
	return f.Truncate(want)
}

// fillMost bounds by how much a file is made longer: its header may be damaged.
const fillMost = 1024

// keysOf are the columns that order a table.
var keysOf = map[string]string{
	"account": "account", "kind": "account, kind", "version": "account, kind, seq", "dominated": "account, kind, record, version",
	"seen": "account, replica", "proof": "account, replica, kind", "known": "account, kind, record", "chunk": "rowid", "quarantine": "account, n",
	"restoring": "account, kind", "loss": "account, kind", "statement": "account, id",
}

// carryOver copies the rows of a table that can be read: from the front up to
// damage, from the back up to damage, and one by one those in between that an
// index still names.
func (s *Store) carryOver(ctx context.Context, old *sql.DB, table string) (int, error) {
	columns, err := s.columns(ctx, old, table)
	if err != nil || len(columns) == 0 {
		return 0, err
	}
	list := strings.Join(columns, ", ")
	put := "INSERT OR IGNORE INTO " + table + " (" + list + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
	keys := keysOf[table]
	damaged, err := s.carry(ctx, old, put, len(columns), "SELECT "+list+" FROM "+table+" ORDER BY "+keys)
	if err != nil {
		return 0, err
	}
	if damaged && table == "known" {
		if err := s.setMeta(knownPartial, []byte{1}); err != nil {
			return 0, err
		}
	}
	if damaged {
		back := strings.ReplaceAll(keys, ",", " DESC,") + " DESC"
		if _, err := s.carry(ctx, old, put, len(columns), "SELECT "+list+" FROM "+table+" ORDER BY "+back); err != nil {
			return 0, err
		}
		if err := s.carryByIndex(ctx, old, table, list, put, len(columns)); err != nil {
			return 0, err
		}
	}
	var n int
	return n, s.readers.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n)
}

// columns lists the columns that both the old and the new table have.
func (s *Store) columns(ctx context.Context, old *sql.DB, table string) ([]string, error) {
	read := func(db *sql.DB) (names map[string]bool, err error) {
		rows, err := db.QueryContext(ctx, "SELECT name FROM pragma_table_info('"+table+"')")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		names = map[string]bool{}
		for rows.Next() {
			var n string
			if err := rows.Scan(&n); err != nil {
				return nil, err
			}
			names[n] = true
		}
		return names, rows.Err()
	}
	had, err := read(old)
	if err != nil {
		return nil, nil // not even the schema opens
	}
	has, err := read(s.readers)
	var both []string
	for n := range has {
		if had[n] {
			both = append(both, n)
		}
	}
	return both, err
}

const carryRows = 500

// carry copies what a query gives until it ends or meets damage.
func (s *Store) carry(ctx context.Context, old *sql.DB, put string, width int, query string, args ...any) (damaged bool, err error) {
	rows, err := old.QueryContext(ctx, query, args...)
	if err != nil {
		return true, ctx.Err()
	}
	defer rows.Close()
	var page [][]any
	for rows.Next() {
		row := make([]any, width)
		into := make([]any, width)
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			damaged = true
			break
		}
		if page = append(page, row); len(page) == carryRows {
			if err := s.putRows(ctx, put, page); err != nil {
				return damaged, err
			}
			page = nil
		}
	}
	damaged = damaged || rows.Err() != nil
	if err := s.putRows(ctx, put, page); err != nil {
		return damaged, err
	}
	return damaged, ctx.Err()
}

// putRows stores rows; one that the table does not take is left out.
func (s *Store) putRows(ctx context.Context, put string, page [][]any) error {
	return s.do(ctx, 0, func(t *txn) error {
		for _, row := range page {
			if _, err := t.put(put, row...); err != nil && !refused(err) {
				return err
			}
		}
		return nil
	}, nil)
}

// carryByIndex asks for each row that an index names and that was not read yet.
func (s *Store) carryByIndex(ctx context.Context, old *sql.DB, table, list, put string, width int) error {
	var names, one, have string
	switch table {
	case "version":
		names = "SELECT account, kind, seq FROM version INDEXED BY version_by_record WHERE account >= x'' ORDER BY account, kind, record, version"
		have = "SELECT count(*) FROM version WHERE account = ? AND kind = ? AND seq = ?"
		one = "SELECT " + list + " FROM version WHERE account = ? AND kind = ? AND seq = ?"
	case "chunk":
		names = "SELECT account, chunk, rowid FROM chunk INDEXED BY chunk_by_id WHERE account >= x'' ORDER BY account, chunk"
		have = "SELECT count(*) FROM chunk WHERE account = ? AND chunk = ? AND ? IS NOT NULL"
		one = "SELECT " + list + " FROM chunk NOT INDEXED WHERE ? IS NOT NULL AND ? IS NOT NULL AND rowid = ?"
	default:
		return nil
	}
	if table == "version" {
		if err := s.carryBySeq(ctx, old, have, one, put, width); err != nil {
			return err
		}
	}
	by := names[strings.Index(names, "ORDER BY"):]
	back := strings.ReplaceAll(by, ",", " DESC,") + " DESC"
	for _, order := range []string{names, strings.Replace(names, by, back, 1)} {
		var keys [][3]any
		rows, err := old.QueryContext(ctx, order)
		if err != nil {
			continue
		}
		for rows.Next() {
			var k [3]any
			if rows.Scan(&k[0], &k[1], &k[2]) != nil {
				break
			}
			keys = append(keys, k)
		}
		rows.Close()
		for _, k := range keys {
			var n int
			if err := s.readers.QueryRowContext(ctx, have, k[:]...).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				continue
			}
			if _, err := s.carry(ctx, old, put, width, one, k[:]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// carryBySeq asks for every sequence that a kind can have.
func (s *Store) carryBySeq(ctx context.Context, old *sql.DB, have, one, put string, width int) error {
	type log struct {
		account, kind any
		head          int64
	}
	var logs []log
	rows, err := s.readers.QueryContext(ctx, "SELECT account, kind, head FROM kind")
	if err != nil {
		return err
	}
	for rows.Next() {
		var l log
		if err := rows.Scan(&l.account, &l.kind, &l.head); err != nil {
			rows.Close()
			return err
		}
		logs = append(logs, l)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for _, l := range logs {
		for seq := range min(l.head, seqsMost) {
			var n int
			if err := s.readers.QueryRowContext(ctx, have, l.account, l.kind, seq+1).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				continue
			}
			if _, err := s.carry(ctx, old, put, width, one, l.account, l.kind, seq+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// seqsMost bounds what one kind is asked for: its head may be damaged.
const seqsMost = 1 << 22

// carryMeta keeps what the operator declared, and that not all known records are listed.
func (s *Store) carryMeta(ctx context.Context, old *sql.DB) error {
	put := "INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)"
	_, err := s.carry(ctx, old, put, 2, "SELECT key, value FROM meta WHERE key > 'restoring:' AND key < 'restoring;' OR key = '"+knownPartial+"'")
	return err
}

// copyFile copies a file durably, mode 0600. The target must not exist.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = out.ReadFrom(in); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
