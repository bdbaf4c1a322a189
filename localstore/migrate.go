package localstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// migrate brings a file of an older format to this program's, in one
// transaction: it is done, or nothing happened.
func (s *Store) migrate(ctx context.Context) error {
	err := s.write(ctx, false, func(t *tx) error {
		have, err := formatOf(t.session, s.path)
		if err != nil || have == formatVersion { // another process was first
			return err
		}
		if have > formatVersion {
			return &NewerFormatError{File: s.path, Have: have, Know: formatVersion}
		}
		if err := t.makeRoom(have); err != nil {
			return err
		}
		schema, err := schemaSQL(have, formatVersion)
		if err != nil {
			return err
		}
		if _, err := t.conn.ExecContext(background, schema); err != nil {
			return err
		}
		s.Log.Info("the database has a new format", "from", have, "to", formatVersion)
		return t.setFormat()
	})
	if err != nil {
		return fmt.Errorf("bring the database to format %d: %w", formatVersion, err)
	}
	return nil
}

// setFormat stores the format of this program. The mark in table erase lets it
// past the trigger that keeps other programs from it.
func (t *tx) setFormat() error {
	return errors.Join(
		t.exec("INSERT INTO erase (n) SELECT -1 WHERE NOT EXISTS (SELECT 1 FROM erase WHERE n = -1)"),
		t.setMeta(metaFormat, formatVersion),
		t.exec("DELETE FROM erase WHERE n = -1"))
}

// makeRoom clears the names that the formats after one take. A program's table
// that has one of them is renamed and keeps its rows.
func (t *tx) makeRoom(format int) error {
	old, err := objectsOf(format)
	if err != nil {
		return err
	}
	want, err := wantedObjects()
	if err != nil {
		return err
	}
	have, err := schemaObjects(t.session)
	if err != nil {
		return err
	}
	for _, o := range want {
		ours := func(h object) bool { return strings.EqualFold(h.name, o.name) }
		if slices.ContainsFunc(old, ours) || !slices.ContainsFunc(have, ours) {
			continue
		}
		if err := t.clear(o, have); err != nil {
			return err
		}
		if err := t.problem("schema", "a program's "+o.name+" had a name that sidekeep needs; a table was renamed, anything else removed", nil); err != nil {
			return err
		}
	}
	return nil
}
