package localstore

import (
	"testing"

	sqlite3 "modernc.org/sqlite/lib"
)

// TestKindOf: what SQLite calls an error of the disk is a full one, damage, or neither.
func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		code int
		text string
		want error
	}{
		{sqlite3.SQLITE_FULL, "", ErrFull},
		{sqlite3.SQLITE_IOERR_SHMSIZE, "disk I/O error (4874)", ErrFull},
		{sqlite3.SQLITE_IOERR_WRITE, "no space left on device", ErrFull},
		{sqlite3.SQLITE_IOERR_WRITE, "disk I/O error", nil},
		{sqlite3.SQLITE_IOERR_SHORT_READ, "", ErrDamaged},
		{sqlite3.SQLITE_CORRUPT_INDEX, "", ErrDamaged},
		{sqlite3.SQLITE_READONLY_DBMOVED, "", ErrReadOnly},
		{sqlite3.SQLITE_BUSY_SNAPSHOT, "", ErrBusy},
		{sqlite3.SQLITE_CONSTRAINT, "", nil},
	} {
		if got := kindOf(c.code, c.text); got != c.want {
			t.Errorf("%d: %v, want %v", c.code, got, c.want)
		}
	}
}
