package lab

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// change runs statements in the cloud's file as a fault or an operator does. The
// cloud must be off.
func (s *server) change(ctx context.Context, statements ...string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(s.data, "cloud.db"))+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %s: %w", s.name, q, err)
		}
	}
	return nil
}

// rows are what stands in a cloud's file at one moment: the count of a third
// party, which reads the file by itself, also while the cloud runs.
type rows struct {
	Versions map[record.Kind]int
	First    map[record.Kind]int // place in the log of the first and the last version
	Last     map[record.Kind]int
	Chunks   int
	Proven   map[record.Kind]int // the most that a device has proven to hold
}

func (r *rows) total() (n int) {
	for _, v := range r.Versions {
		n += v
	}
	return n
}

// rows reads the cloud's file. One that is not there yet, or has no tables yet,
// has no rows.
func (s *server) rows(ctx context.Context) (rows, error) {
	r := rows{Versions: map[record.Kind]int{}, First: map[record.Kind]int{}, Last: map[record.Kind]int{}, Proven: map[record.Kind]int{}}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(s.data, "cloud.db"))+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return r, err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback()
		err = r.read(ctx, tx)
	}
	if err != nil && (strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "unable to open")) {
		return rows{}, nil
	}
	return r, err
}

func (r *rows) read(ctx context.Context, tx *sql.Tx) error {
	found, err := tx.QueryContext(ctx, `SELECT kind, count(*), min(seq), max(seq), 0 FROM version GROUP BY kind
		UNION ALL SELECT kind, 0, 0, 0, max(count) FROM proof GROUP BY kind`)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var kind record.Kind
		var n, first, last, proven int
		if err := found.Scan(&kind, &n, &first, &last, &proven); err != nil {
			return err
		}
		if n > 0 {
			r.Versions[kind], r.First[kind], r.Last[kind] = n, first, last
		} else {
			r.Proven[kind] = proven
		}
	}
	if err := found.Err(); err != nil {
		return err
	}
	return tx.QueryRowContext(ctx, "SELECT count(*) FROM chunk").Scan(&r.Chunks)
}

// differs reports how two counts differ, or "".
func (r *rows) differs(from rows) string {
	for _, kind := range record.Kinds {
		if r.Versions[kind] != from.Versions[kind] {
			return fmt.Sprintf("%d versions of %s, not %d", r.Versions[kind], kind, from.Versions[kind])
		}
	}
	if r.Chunks != from.Chunks {
		return fmt.Sprintf("%d chunks, not %d", r.Chunks, from.Chunks)
	}
	return ""
}

// filled waits until the cloud's file has what it had.
func (s *server) filled(ctx context.Context, before rows) error {
	return until(ctx, s.name+" has everything again", 40*time.Second, func() (string, error) {
		now, err := s.rows(ctx)
		if err != nil {
			return "", err
		}
		return now.differs(before), nil
	})
}
