package sqlitestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"sidekeep/localstore/carve"
)

// Rows are read from the pages of a damaged file alone: neither its schema nor the
// inner pages of a tree are needed. A row shows by the types and sizes of its
// columns which table it is of. What it says is checked later, as that of all rows:
// a version by its header and checksum.

// carvedPageBytes is SQLite's default: no store was made with another.
const carvedPageBytes = 4096

// carvedTable says how the rows of a table look: its columns as they are stored,
// each with its type. i is an integer, t a text, b a blob, a number a blob of so many
// bytes, ? whatever was added by a later format.
type carvedTable struct {
	name, columns string
	rowid         bool   // a table with one
	conflict      string // what to do with a row that is there; nothing if it is ""
}

// carvedTables are those that are carried over by carving. Claims and what an operator
// declared are not: a page that is not in use any more could bring them back.
var carvedTables = []carvedTable{
	{name: "account", columns: "account:32 head:i created:i touched:i"},
	{name: "kind", columns: "account:32 kind:t count:i sum:16 head:i"},
	{name: "version", columns: "account:32 kind:t seq:i record:16 version:16 dead:i header:b body:b crc:?"},
	{name: "dominated", columns: "account:32 kind:t record:16 version:16 since:i aside:i header:b body:b crc:?"},
	{name: "seen", columns: "account:32 replica:8 counter:i", conflict: "UPDATE SET counter = max(counter, excluded.counter)"},
	{name: "proof", columns: "account:32 replica:8 kind:t count:i sum:16 at:i device:? lacking:? epoch:? agreed:? moved:?"},
	{name: "known", columns: "account:32 kind:t record:16 crc:i"},
	{name: "chunk", columns: "account:32 chunk:16 size:i stored:i header:b body:b crc:?", rowid: true},
	{name: "quarantine", columns: "account:32 n:i at:i origin:t kind:t item:b why:t header:? body:?"},
	{name: "loss", columns: "account:32 kind:t at:i had:i"},
	{name: "statement", columns: "account:32 id:16 body:b"},
}

// put is the statement that stores a row of so many columns.
func (t *carvedTable) put(width int) string {
	var names []string
	for _, c := range strings.Fields(t.columns)[:width] {
		name, _, _ := strings.Cut(c, ":")
		names = append(names, name)
	}
	q := "INSERT OR IGNORE INTO "
	if t.conflict != "" {
		q = "INSERT INTO "
	}
	q += t.name + " (" + strings.Join(names, ", ") + ") VALUES (?" + strings.Repeat(", ?", width-1) + ")"
	if t.conflict != "" {
		q += " ON CONFLICT DO " + t.conflict
	}
	return q
}

// fits reports whether a row can be of the table.
func (t *carvedTable) fits(r *carve.Row) bool {
	columns, row := strings.Fields(t.columns), r.Values
	if r.Index == t.rowid || len(row) > len(columns) {
		return false
	}
	for i, c := range columns {
		_, want, _ := strings.Cut(c, ":")
		if want != "?" && (i >= len(row) || !is(row[i], want)) {
			return false
		}
	}
	return true
}

// is reports whether a value is of a type of carvedTable.
func is(v any, want string) bool {
	switch v := v.(type) {
	case int64:
		return want == "i"
	case string:
		return want == "t"
	case []byte:
		return want == "b" || want == strconv.Itoa(len(v))
	}
	return false
}

// checkWhole refuses a database whose end is missing, before SQLite fills it with zeros.
func checkWhole(path string) error {
	missing, err := carve.Cut(path)
	if err == nil && missing != "" {
		err = fmt.Errorf("%w: %s", ErrDamaged, missing)
	}
	return err
}

// openCarved opens a database file, and its log if there is one, without SQLite.
func openCarved(path string) (file *carve.File, done func(), err error) {
	db, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	wal, err := os.Open(path + "-wal")
	done = func() { db.Close() }
	if err == nil {
		done = func() { db.Close(); wal.Close() }
	} else if !errors.Is(err, fs.ErrNotExist) {
		done()
		return nil, nil, err
	}
	dbBytes, err := bytesOf(db)
	if err == nil && wal == nil {
		file, err = carve.Open(db, dbBytes, nil, 0, carvedPageBytes)
	} else if err == nil {
		var walBytes int64
		if walBytes, err = bytesOf(wal); err == nil {
			file, err = carve.Open(db, dbBytes, wal, walBytes, carvedPageBytes)
		}
	}
	if err != nil {
		done()
	}
	return file, done, err
}

func bytesOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
