package lab

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
)

// database opens a handset's database to look into it as a third party.
func (h *handset) database() (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(h.home, "data", "sidekeep.db"))+"?mode=ro&_pragma=busy_timeout(10000)")
}

// documents returns what each record of a handset says, by id.
func (h *handset) documents(ctx context.Context) (map[string]string, error) {
	db, err := h.database()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return pairs(ctx, db, "SELECT id, deleted || doc || coalesce(hex(raw), '') FROM record")
}

// unstored returns what a handset believes to be at a cloud, told by its
// acknowledgements, and is not there: versions and pieces of pictures. looked says
// how many were looked for.
func (s *server) unstored(ctx context.Context, h *handset) (missing []string, looked int, err error) {
	device, err := h.database()
	if err != nil {
		return nil, 0, err
	}
	defer device.Close()
	cloud, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(s.data, "cloud.db"))+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, 0, err
	}
	defer cloud.Close()
	for _, q := range []struct{ what, told, held string }{
		{"version", "SELECT lower(hex(vid)), id FROM record WHERE vid IS NOT NULL AND n NOT IN (SELECT n FROM outbox) AND n NOT IN (SELECT n FROM held)",
			"SELECT lower(hex(version)), lower(hex(record)) FROM version UNION SELECT lower(hex(version)), lower(hex(record)) FROM dominated"},
		{"chunk", "SELECT lower(hex(id)), '' FROM chunk WHERE sent = 1 AND size IS NOT NULL", "SELECT lower(hex(chunk)), '' FROM chunk"},
	} {
		told, err := pairs(ctx, device, q.told) // first: what is told later may be stored later
		if err != nil {
			return nil, 0, err
		}
		held, err := pairs(ctx, cloud, q.held)
		if err != nil {
			return nil, 0, err
		}
		looked += len(told)
		for id, record := range told {
			if of, ok := held[id]; !ok || of != record {
				missing = append(missing, fmt.Sprintf("%s %s %s", q.what, id, record))
			}
		}
	}
	return missing, looked, nil
}

// pairs runs a query of two columns of text.
func pairs(ctx context.Context, db *sql.DB, query string) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var key, value string
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		all[key] = value
	}
	return all, rows.Err()
}

// acknowledged checks that a cloud has everything that a handset was told it has.
func (s *server) acknowledged(ctx context.Context, h *handset) (looked int, err error) {
	missing, looked, err := s.unstored(ctx, h)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%s was told that %s has what it has not: %d of %d, the first %s", h.name, s.name, len(missing), looked, missing[0])
	}
	return looked, err
}
