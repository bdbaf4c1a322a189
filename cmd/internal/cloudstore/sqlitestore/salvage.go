package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sidekeep/localstore/carve"
)

// A database that SQLite finds damaged is not mended in place: it is set aside
// whole, and what can still be read is carried over into a new one: first what
// SQLite itself gives, then what is on single pages (carve.go). The new file
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
	file := filepath.Join(work, FileName)
	damaged, err := s.carryTables(ctx, file)
	if err == nil && damaged {
		err = s.carryPages(ctx, filepath.Join(dir, FileName)) // opening the copy may have changed it
	}
	if err == nil {
		err = s.dropOrphans(ctx)
	}
	for _, table := range carried {
		var n int
		if err == nil {
			err = s.readers.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n)
		}
		rows[table] = n
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

// carried are the tables that are carried over: claims are void in a new epoch, and
// what is noted of chunks is noted again.
var carried = slices.DeleteFunc(slices.Clone(tables), func(t string) bool { return t == "replica" || t == "chunk_ref" || t == "chunk_lost" })

// carryTables copies what SQLite gives of each table, up to damage. It reports
// whether it met any.
func (s *Store) carryTables(ctx context.Context, file string) (damaged bool, err error) {
	old, err := sql.Open("sqlite", dsn(file))
	if err != nil {
		return false, err
	}
	old.SetMaxOpenConns(1)
	for _, table := range carried {
		var met bool
		if met, err = s.carryTable(ctx, old, table); err != nil {
			break
		}
		damaged = damaged || met
		if met && table == "known" {
			err = s.setMeta(knownPartial, []byte{1})
		}
	}
	if err == nil {
		err = s.carryMeta(ctx, old)
	}
	return damaged, errors.Join(err, old.Close())
}

func (s *Store) carryTable(ctx context.Context, old *sql.DB, table string) (damaged bool, err error) {
	columns, err := s.columns(ctx, old, table)
	if err != nil || len(columns) == 0 {
		return true, err
	}
	list := strings.Join(columns, ", ")
	put := "INSERT OR IGNORE INTO " + table + " (" + list + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
	return s.carry(ctx, old, put, len(columns), "SELECT "+list+" FROM "+table)
}

// carryPages copies what single pages give that is not there yet. A page that was not
// in use any more may give an older version: repair moves it out of the log when
// a newer one is there.
func (s *Store) carryPages(ctx context.Context, file string) error {
	type batch struct {
		put   string
		rows  [][]any
		bytes int
	}
	batches := map[string]*batch{}
	store := func(b *batch) error {
		err := s.putRows(ctx, b.put, b.rows)
		b.rows, b.bytes = nil, 0
		return errors.Join(err, ctx.Err())
	}
	pages, done, err := openCarved(file)
	if err != nil {
		return err
	}
	defer done()
	_, err = pages.Rows(func(r *carve.Row) error {
		for i := range carvedTables {
			t := &carvedTables[i]
			if !t.fits(r) {
				continue
			}
			put := t.put(len(r.Values))
			b := batches[put]
			if b == nil {
				b = &batch{put: put}
				batches[put] = b
			}
			b.rows = append(b.rows, r.Values)
			for _, v := range r.Values {
				if v, ok := v.([]byte); ok {
					b.bytes += len(v)
				}
			}
			if len(b.rows) == carryRows || b.bytes > carryBytes {
				return store(b)
			}
		}
		return nil
	})
	for _, b := range batches {
		if err == nil {
			err = store(b)
		}
	}
	return err
}

// dropOrphans drops the rows of accounts of which nothing is left: a flipped bit names
// accounts that never were. One of which versions or chunks are left gets its row again.
func (s *Store) dropOrphans(ctx context.Context) error {
	return s.do(ctx, 0, func(t *txn) error {
		_, err := t.put("INSERT OR IGNORE INTO account (account, head, created, touched) SELECT account, 0, ?, ? FROM (SELECT account FROM version UNION SELECT account FROM chunk)",
			s.now(), s.now())
		for _, table := range carried {
			if err == nil && table != "account" {
				_, err = t.put("DELETE FROM " + table + " WHERE account NOT IN (SELECT account FROM account)")
			}
		}
		return err
	}, nil)
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

// What is stored at once.
const (
	carryRows  = 500
	carryBytes = 4 << 20
)

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
