package sqlitestore

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sidekeep/syncproto"
)

// errClosed is the error of a store that was closed.
var errClosed = &syncproto.Error{Code: syncproto.CodeShutdown}

// ErrDamaged is wrapped by errors that say that the file is no sound database.
var ErrDamaged = errors.New("the database is damaged")

// refused reports whether a table did not take a row: its types or keys.
func refused(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && (se.Code()&0xff == sqlite3.SQLITE_CONSTRAINT || se.Code()&0xff == sqlite3.SQLITE_MISMATCH)
}

// damages reports whether a result code says that the file itself is damaged,
// or that the disk does not give it back.
func damages(code int) bool {
	switch code {
	case sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_IOERR_DATA:
		return true
	}
	return code&0xff == sqlite3.SQLITE_CORRUPT || code&0xff == sqlite3.SQLITE_NOTADB
}

// fills reports whether a result code says that the disk is full: also when the
// index of the write-ahead log can not grow.
func fills(code int) bool {
	return code&0xff == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR_SHMSIZE
}

// coded gives an error of SQLite or the system the code that a device may be
// told. Errors that have one, and nil, stay as they are.
func coded(err error) error {
	var e *syncproto.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	code := syncproto.CodeStorage
	var se *sqlite.Error
	switch {
	case errors.As(err, &se) && fills(se.Code()), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code = syncproto.CodeDiskFull
	case errors.As(err, &se) && (se.Code()&0xff == sqlite3.SQLITE_READONLY || se.Code()&0xff == sqlite3.SQLITE_PERM),
		errors.Is(err, syscall.EROFS), errors.Is(err, os.ErrPermission):
		code = syncproto.CodeReadOnly
	}
	if errors.As(err, &se) && damages(se.Code()) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w: %w", &syncproto.Error{Code: code}, err)
}
