package localstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// lastFiles names, for each format, the last of the files in sql/ that belong to
// it. A file that was released never changes: a new format adds files.
var lastFiles = [...]string{
	1: "sql/007_notes_pictures.sql",
	2: "sql/008_holds.sql",
	3: "sql/009_history.sql",
	4: "sql/010_imported_guards.sql",
	5: "sql/011_witness.sql",
	6: "sql/012_offered_again.sql",
}

// formatVersion is the format that this program writes. It only goes up.
const formatVersion = len(lastFiles) - 1

//go:embed sql/*.sql
var sqlFiles embed.FS

// schemaSQL is the text of the files in sql/, in order, that lead from one
// format (0: nothing) to another.
func schemaSQL(from, to int) (string, error) {
	names, err := fs.Glob(sqlFiles, "sql/*.sql") // sorted
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range names {
		if name <= lastFiles[from] || name > lastFiles[to] {
			continue
		}
		text, err := sqlFiles.ReadFile(name)
		if err != nil {
			return "", err
		}
		b.Write(text)
	}
	return b.String(), nil
}

// makeFile makes the file if there is none, or one that was never written. It
// works on a connection of its own, so that its -wal has the mode of the file.
func makeFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() > 0 {
		return sameModes(path, info.Mode())
	}
	db := openPool(dsn(path, false), 1, false)
	defer db.Close()
	c, e := newSession(ctx, db)
	if e != nil {
		return explain(e)
	}
	defer c.close()
	if _, e := useFile(c, path); e != nil {
		return e
	}
	if errors.Is(err, fs.ErrNotExist) {
		return os.Chmod(path, fileMode(filepath.Dir(path)))
	}
	return nil
}

// sameModes gives the -wal and -shm that a power cut left behind the mode that the
// file has now: SQLite does so only for those that it makes.
func sameModes(path string, mode fs.FileMode) error {
	for _, other := range []string{path + "-wal", path + "-shm"} {
		info, err := os.Stat(other)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode() == mode {
			continue
		}
		if err == nil {
			err = os.Chmod(other, mode.Perm())
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) { // only its owner can
			return err
		}
	}
	return nil
}

// useFile checks that a file is one this program can use, and makes its schema
// if it has none: one whose making was cut short. It returns the file's format.
// Nothing is asserted of the connection yet.
func useFile(c *session, path string) (format int, err error) {
	have, err := formatOf(c, path)
	switch {
	case err != nil:
		return 0, explain(err)
	case have > formatVersion:
		return 0, &NewerFormatError{File: path, Have: have, Know: formatVersion}
	case have > 0:
		return have, nil
	}
	if err := createFile(c); err != nil {
		return 0, fmt.Errorf("create the database: %w", explain(err))
	}
	return formatVersion, nil
}

// fileMode is the mode of a database in a folder: for its owner alone, or, where
// firmware shares the folder with a group of apps (2770), for that group too.
// SQLite gives the -wal and -shm files the same.
func fileMode(folder string) fs.FileMode {
	if info, err := os.Stat(folder); err == nil && info.Mode()&fs.ModeSetgid != 0 && info.Mode()&0o020 != 0 {
		return 0o660
	}
	return 0o600
}

// formatOf returns the format version of the file, 0 if it is empty.
func formatOf(c *session, path string) (int, error) {
	tables, err := c.count("SELECT count(*) FROM sqlite_schema")
	if err != nil || tables == 0 {
		return 0, err
	}
	meta, err := c.count("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'")
	if err != nil {
		return 0, err
	}
	id, err := c.count("PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	if meta == 0 {
		if id == applicationID {
			return formatVersion, nil // a program dropped the table: checkSchema repairs it
		}
		return 0, fmt.Errorf("%s is the database of another program, or its first page is damaged: %w", path, ErrDamaged)
	}
	v, err := c.metaInt(metaFormat)
	if err != nil {
		return 0, err
	}
	if v == 0 {
		return formatVersion, nil
	}
	return int(v), nil
}

// createFile sets page_size and journal_mode, which must be set in this order
// before the file has its first page, and makes the schema.
func createFile(c *session) error {
	schema, err := schemaSQL(0, formatVersion)
	if err != nil {
		return err
	}
	for _, q := range []string{fmt.Sprintf("PRAGMA page_size = %d", pageBytes), "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"} {
		if err := c.exec(q); err != nil {
			return err
		}
	}
	if err := createSchema(c, schema); err != nil {
		return errors.Join(err, c.exec("ROLLBACK"))
	}
	return c.exec("COMMIT")
}

func createSchema(c *session, schema string) error {
	// Another process may have been first.
	if n, err := c.count("SELECT count(*) FROM sqlite_schema"); err != nil || n > 0 {
		return err
	}
	if _, err := c.conn.ExecContext(background, schema); err != nil {
		return err
	}
	if err := c.exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return err
	}
	return c.exec("INSERT INTO meta (key, value) VALUES (?, ?), (?, 0), (?, ?)", metaFormat, formatVersion, metaRan, metaSeen, appendVector(nil, nil))
}
