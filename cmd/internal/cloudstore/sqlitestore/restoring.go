package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

const restoringKey = "restoring:"

// restoringKinds returns the kinds that the operator declared incomplete, of
// this account or of all.
func restoringKinds(q querier, account seal.Account) (map[record.Kind]bool, error) {
	rows, err := q.rows(`SELECT kind FROM restoring WHERE account = ?
		UNION ALL SELECT substr(key, 11) FROM meta WHERE key > 'restoring:' AND key < 'restoring;'`, account[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var kinds map[record.Kind]bool
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			return nil, err
		}
		if kinds == nil {
			kinds = map[record.Kind]bool{}
		}
		kinds[record.Kind(k)] = true
	}
	return kinds, rows.Err()
}

// ErrUnknownKind is wrapped by SetRestoring's error for a kind that neither this
// program nor any account knows.
var ErrUnknownKind = errors.New("unknown kind")

// knowKind refuses a kind that is none of a person's data, and that no account
// has or is being restored.
func knowKind(ctx context.Context, tx *sql.Tx, kind record.Kind) error {
	rows, err := tx.QueryContext(ctx, `SELECT kind FROM kind UNION SELECT kind FROM restoring
		UNION SELECT substr(key, 11) FROM meta WHERE key > 'restoring:' AND key < 'restoring;'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	known := map[record.Kind]bool{}
	for _, k := range record.Kinds {
		known[k] = true
	}
	for rows.Next() {
		var k string
		if err := rows.Scan(&k); err != nil {
			return err
		}
		known[record.Kind(k)] = true
	}
	if err := rows.Err(); err != nil || known[kind] {
		return err
	}
	return fmt.Errorf("%w %q: known are %v", ErrUnknownKind, kind, slices.Sorted(maps.Keys(known)))
}

// SetRestoring declares that a kind of one account, or with nil of all, is not
// complete yet, or that it is again. It works beside a running cloud, which
// tells its devices. dir holds an existing store.
func SetRestoring(ctx context.Context, dir string, account *seal.Account, kind record.Kind, on bool) error {
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("declare restoring: %w", err)
	}
	if err := checkWhole(path); err != nil {
		return fmt.Errorf("declare restoring: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path, "_txlock=immediate"))
	if err != nil {
		return fmt.Errorf("declare restoring: %w", err)
	}
	defer db.Close()
	if err := setRestoring(ctx, db, account, kind, on); err != nil {
		if errors.Is(err, ErrUnknownKind) {
			return err
		}
		return fmt.Errorf("declare restoring: %w", coded(err))
	}
	return nil
}

func setRestoring(ctx context.Context, db *sql.DB, account *seal.Account, kind record.Kind, on bool) error {
	var app, format int64
	if err := db.QueryRowContext(ctx, "SELECT a.application_id, v.user_version FROM pragma_application_id a, pragma_user_version v").Scan(&app, &format); err != nil {
		return err
	}
	if err := checkFormat(app, format); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := knowKind(ctx, tx, kind); err != nil {
		return err
	}
	now := time.Now().Unix()
	switch {
	case account != nil:
		var one int
		err := tx.QueryRowContext(ctx, "SELECT 1 FROM account WHERE account = ?", account[:]).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return errUnknownAccount
		}
		if err != nil {
			return err
		}
		if on {
			_, err = tx.ExecContext(ctx, "INSERT INTO restoring (account, kind, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", account[:], string(kind), now)
		} else {
			_, err = tx.ExecContext(ctx, "DELETE FROM restoring WHERE account = ? AND kind = ?", account[:], string(kind))
		}
		if err != nil {
			return err
		}
	case on:
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING", restoringKey+string(kind), fmt.Appendf(nil, "%d", now)); err != nil {
			return err
		}
	default:
		if _, err := tx.ExecContext(ctx, "DELETE FROM meta WHERE key = ?", restoringKey+string(kind)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM restoring WHERE kind = ?", string(kind)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Restoring implements cloudstore.Store.
func (s *Store) Restoring(ctx context.Context) (map[record.Kind]int, error) {
	kinds := map[record.Kind]int{}
	err := s.read(ctx, func(q snapshot) error {
		rows, err := q.rows(`SELECT kind, count(*) FROM (SELECT kind FROM restoring
			UNION ALL SELECT substr(key, 11) FROM meta WHERE key > 'restoring:' AND key < 'restoring;') GROUP BY kind`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k string
			var n int
			if err := rows.Scan(&k, &n); err != nil {
				return err
			}
			kinds[record.Kind(k)] = n
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("look for kinds that are being restored: %w", err)
	}
	return kinds, nil
}
