package sqlitestore

import (
	_ "embed"
	"fmt"
	"strings"

	"sidekeep/syncproto/seal"
)

//go:embed sql/0001_schema.sql
var schema1 string

//go:embed sql/0002_checks.sql
var schema2 string

//go:embed sql/0003_statements.sql
var schema3 string

//go:embed sql/0004_known.sql
var schema4 string

// migrate makes or checks the schema, one idempotent statement a step. Each
// format is one transaction: a stop in between leaves the older one.
func (s *Store) migrate() error {
	var mode string
	var app, format, tables int64
	if err := s.writer.row("PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not allow a write-ahead log (journal mode is %s)", mode)
	}
	if err := s.writer.row("SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id a, pragma_user_version v").Scan(&app, &format, &tables); err != nil {
		return err
	}
	if tables > 0 && format > 0 {
		if err := checkFormat(app, format); err != nil {
			return err
		}
	}
	if format < 1 {
		if err := s.upgrade(1, schema1, nil); err != nil {
			return err
		}
	}
	if format < 2 {
		if err := s.upgrade(2, schema2, fillChecks); err != nil {
			return err
		}
	}
	if format < 3 {
		if err := s.upgrade(3, schema3, nil); err != nil {
			return err
		}
	}
	if format < 4 {
		return s.upgrade(4, schema4, fillKnown)
	}
	return nil
}

func (s *Store) upgrade(format int, script string, fill func(*txn) error) error {
	err := s.writer.transact(func(t *txn) error {
		for _, q := range statements(script) {
			if _, err := t.exec(q); err != nil {
				return err
			}
		}
		if fill != nil {
			if err := fill(t); err != nil {
				return err
			}
		}
		if _, err := t.exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return err
		}
		_, err := t.exec(fmt.Sprintf("PRAGMA user_version = %d", format))
		return err
	})
	if err != nil {
		return fmt.Errorf("make schema %d: %w", format, err)
	}
	return nil
}

func checkFormat(app, format int64) error {
	switch {
	case app != applicationID:
		return ErrForeign
	case format > formatVersion:
		return fmt.Errorf("%w: format %d, this one knows %d", ErrFormat, format, formatVersion)
	}
	return nil
}

// statements splits a script whose statements end with a ';' at the end of a line.
func statements(script string) []string {
	var all []string
	for _, q := range strings.Split(script, ";\n") {
		if q = strings.TrimSpace(q); q != "" {
			all = append(all, q)
		}
	}
	return all
}

// fillChecks gives the rows of format 1 their checksums and notes the chunks
// that versions refer to.
func fillChecks(t *txn) error {
	for _, table := range []string{"version", "dominated"} {
		var account, kind, id, version []byte
		for {
			rows, err := t.conn.QueryContext(background, "SELECT account, kind, record, version, header, body FROM "+table+
				" WHERE crc IS NULL AND (account, kind, record, version) > (?, ?, ?, ?) ORDER BY account, kind, record, version LIMIT 500",
				nonNil(account), string(kind), nonNil(id), nonNil(version))
			if err != nil {
				return err
			}
			type row struct {
				account, id, version, header []byte
				kind                         string
				crc                          int64
			}
			var page []row
			for rows.Next() {
				var r row
				var body []byte
				if err := rows.Scan(&r.account, &r.kind, &r.id, &r.version, &r.header, &body); err != nil {
					rows.Close()
					return err
				}
				r.crc = checksum(r.header, body)
				page = append(page, r)
			}
			if err := rows.Close(); err != nil {
				return err
			}
			for i := range page {
				r := &page[i]
				if _, err := t.put("UPDATE "+table+" SET crc = ? WHERE account = ? AND kind = ? AND record = ? AND version = ?", r.crc, r.account, r.kind, r.id, r.version); err != nil {
					return err
				}
				if h, err := seal.ParseHeader(r.header); err == nil && table == "version" {
					if err := t.addRefs(r.account, r.kind, r.id, r.version, h.Chunks); err != nil {
						return err
					}
				}
				account, kind, id, version = r.account, []byte(r.kind), r.id, r.version
			}
			if len(page) == 0 {
				break
			}
		}
	}
	return fillChunkChecks(t)
}

func fillChunkChecks(t *txn) error {
	for after := int64(-1 << 62); ; {
		rows, err := t.conn.QueryContext(background, "SELECT rowid, header, body FROM chunk WHERE rowid > ? ORDER BY rowid LIMIT 64", after)
		if err != nil {
			return err
		}
		crcs := map[int64]int64{}
		for rows.Next() {
			var header, body []byte
			if err := rows.Scan(&after, &header, &body); err != nil {
				rows.Close()
				return err
			}
			crcs[after] = checksum(header, body)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		for n, crc := range crcs {
			if _, err := t.put("UPDATE chunk SET crc = ? WHERE rowid = ?", crc, n); err != nil {
				return err
			}
		}
		if len(crcs) == 0 {
			return nil
		}
	}
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
