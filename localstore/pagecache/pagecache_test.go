package pagecache_test

import (
	"database/sql"
	"encoding/binary"
	"path/filepath"
	"testing"

	"modernc.org/libc"
	_ "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sidekeep/localstore/pagecache"
)

func TestKeep(t *testing.T) {
	const pages = 64
	pagecache.Keep(pages, 2048)
	pagecache.Keep(1, 512) // changes nothing
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "file")+"?_pragma=page_size(2048)&_pragma=cache_size(32)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE t (b BLOB);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t SELECT randomblob(2000) FROM n`); err != nil {
		t.Fatal(err)
	}
	used, most := status(t, sqlite3.SQLITE_STATUS_PAGECACHE_USED)
	if used < 20 || most > pages {
		t.Errorf("%d pages stand in the piece, %d at most", used, most)
	}
	if _, over := status(t, sqlite3.SQLITE_STATUS_PAGECACHE_OVERFLOW); over > 16<<10 {
		t.Errorf("%d bytes of pages stood outside it", over)
	}
}

// status asks SQLite for one of its counters: now, and the most.
func status(t *testing.T, what int32) (now, most int) {
	tls := libc.NewTLS()
	defer tls.Close()
	answers := libc.Xmalloc(tls, 2*4)
	defer libc.Xfree(tls, answers)
	if rc := sqlite3.Xsqlite3_status(tls, what, answers, answers+4, 0); rc != sqlite3.SQLITE_OK {
		t.Fatalf("sqlite3_status: %d", rc)
	}
	b := libc.GoBytes(answers, 8)
	return int(binary.NativeEndian.Uint32(b)), int(binary.NativeEndian.Uint32(b[4:]))
}
