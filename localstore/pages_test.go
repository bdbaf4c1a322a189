package localstore

import (
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

func init() { keepPages() } // before a test makes the process's first connection

func TestPagesStandInOnePiece(t *testing.T) {
	openTest(t, t.TempDir(), Options{})
	tls := libc.NewTLS()
	defer tls.Close()
	answers := libc.Xmalloc(tls, 2*4) // int32s: now, and the most
	defer libc.Xfree(tls, answers)
	if rc := sqlite3.Xsqlite3_status(tls, sqlite3.SQLITE_STATUS_PAGECACHE_USED, answers, answers+4, 0); rc != sqlite3.SQLITE_OK {
		t.Fatalf("sqlite3_status: %d", rc)
	}
	if used := libc.GoBytes(answers, 4); used[0] == 0 && used[1] == 0 {
		t.Error("no page of an open store stands in the piece that was set aside for them")
	}
}
