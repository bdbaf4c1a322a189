package carve

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

const testPage = 512

// made gives a database of small pages with rows of every type and size.
func made(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		"PRAGMA page_size = 512",
		"CREATE TABLE a (n INTEGER PRIMARY KEY, t TEXT, b BLOB, i INTEGER, r REAL)",
		"CREATE INDEX a_t ON a (t)",
		"CREATE TABLE gone (x)",
		"INSERT INTO gone WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 500) SELECT 'gone' FROM c",
		"INSERT INTO a WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 400) SELECT x, printf('row %d', x), zeroblob(x * x % 3000), (x - 200) * 123456789, x / 7.0 FROM c",
		"DROP TABLE gone",
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rows(t testing.TB, b []byte) (int, Report) {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)), nil, 0, testPage)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	report, err := f.Rows(func(r *Row) error {
		if !r.Index && len(r.Values) == 5 && r.Values[0] == nil {
			x := r.Rowid
			if data, ok := r.Values[2].([]byte); !ok || int64(len(data)) != x*x%3000 || r.Values[3] != (x-200)*123456789 || r.Values[4] != float64(x)/7 {
				t.Errorf("row %d is %v", x, r.Values)
			}
			n++
		}
		if len(r.Values) == 1 && r.Values[0] == "gone" {
			t.Error("a row of a page on the freelist")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, report
}

func TestRows(t *testing.T) {
	b := made(t)
	n, report := rows(t, b)
	if n != 400 || report.Bad+report.Cells+report.Missing != 0 {
		t.Errorf("%d rows, %+v", n, report)
	}
	if _, report := rows(t, b[:len(b)-3*testPage]); report.Missing != 3 {
		t.Errorf("cut short by 3 pages: %+v", report)
	}
	// The inner pages are not needed.
	for at := testPage; at+testPage <= len(b); at += testPage {
		if b[at] == pageTableInner {
			clear(b[at : at+testPage])
		}
	}
	if n, _ := rows(t, b); n != 400 {
		t.Errorf("%d rows without inner pages", n)
	}
}

// FuzzRows reads what may be anything: no panic, no endless loop, bounded memory.
func FuzzRows(f *testing.F) {
	b := made(f)[:8*testPage]
	f.Add(b, []byte{})
	f.Add([]byte{}, b)
	f.Add(b[:testPage+9], append([]byte{0x37, 0x7f, 0x06, 0x82}, b[:700]...))
	f.Fuzz(func(t *testing.T, db, wal []byte) {
		file, err := Open(bytes.NewReader(db), int64(len(db)), bytes.NewReader(wal), int64(len(wal)), testPage)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Rows(func(*Row) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
}
