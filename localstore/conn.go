package localstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sidekeep/localstore/pagecache"
)

// Values that every connection is opened with, and asserted to have.
const (
	pageBytes       = 2048
	busyTimeoutMs   = 10_000
	cacheKiB        = 1024    // of the writer
	readerCacheKiB  = 128     // of each reader: what it has read is stale after the next commit
	walBytesKept    = 4 << 20 // journal_size_limit
	walPagesAuto    = 1000    // wal_autocheckpoint
	readersMax      = 4
	applicationID   = 0x53444b50 // "SDKP"
	synchronousFull = 2

	// pagesKept is room for all caches when they are full: see pagecache.Keep.
	pagesKept = (cacheKiB+readersMax*readerCacheKiB)*1024/pageBytes + 12
)

// pragmas run on every connection. The driver runs them in lexicographic
// order, so page_size and journal_mode are not among them: they are set once,
// when the file is made (schema.go), and asserted here.
var pragmas = []string{
	fmt.Sprintf("busy_timeout(%d)", busyTimeoutMs),
	fmt.Sprintf("journal_size_limit(%d)", walBytesKept),
	"recursive_triggers(0)",
	"synchronous(FULL)",
	"temp_store(MEMORY)",
	"trusted_schema(0)",
	fmt.Sprintf("wal_autocheckpoint(%d)", walPagesAuto),
}

var asserted = []struct {
	pragma string
	want   int64
}{
	{"busy_timeout", busyTimeoutMs},
	{"page_size", pageBytes},
	{"synchronous", synchronousFull},
	{"trusted_schema", 0},
}

// dsn is the data source name of the file.
func dsn(path string, readOnly bool) string {
	q := url.Values{"_defensive": {"1"}}
	cache := cacheKiB
	if readOnly {
		cache = readerCacheKiB
	}
	q["_pragma"] = append(slices.Clone(pragmas), fmt.Sprintf("cache_size(%d)", -cache))
	if readOnly {
		q["_pragma"] = append(q["_pragma"], "query_only(1)")
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// connector opens connections and asserts that each is what it must be.
type connector struct {
	driver sqlite.Driver
	dsn    string
	check  bool
}

func (c *connector) Driver() driver.Driver { return &c.driver }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	pagecache.Keep(pagesKept, pageBytes)
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, explain(err)
	}
	if c.check {
		if err := assertConn(ctx, conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

func assertConn(ctx context.Context, conn driver.Conn) error {
	for _, a := range asserted {
		v, err := pragma(ctx, conn, a.pragma)
		if err != nil {
			return fmt.Errorf("open connection: %w", explain(err))
		}
		if n, ok := v.(int64); !ok || n != a.want {
			return fmt.Errorf("open connection: %s is %v, want %d: %w", a.pragma, v, a.want, ErrDamaged)
		}
	}
	v, err := pragma(ctx, conn, "journal_mode")
	if err != nil {
		return fmt.Errorf("open connection: %w", explain(err))
	}
	if s := fmt.Sprint(v); s != "wal" {
		return fmt.Errorf("open connection: journal_mode is %s, want wal: %w", s, ErrDamaged)
	}
	return nil
}

func pragma(ctx context.Context, conn driver.Conn, name string) (driver.Value, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "PRAGMA "+name, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	v := make([]driver.Value, 1)
	if err := rows.Next(v); err != nil {
		return nil, err
	}
	return v[0], nil
}

func openPool(dsn string, size int, check bool) *sql.DB {
	db := sql.OpenDB(&connector{dsn: dsn, check: check})
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db
}

// explain turns SQLite's result codes into the errors that callers branch on.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	if kind := kindOf(e.Code(), e.Error()); kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

// kindOf returns what a result code of SQLite means to callers, or nil.
func kindOf(code int, text string) error {
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return ErrFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return ErrReadOnly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return ErrBusy
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrDamaged
	case sqlite3.SQLITE_IOERR:
		switch code {
		case sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS:
			return ErrDamaged
		case sqlite3.SQLITE_IOERR_SHMSIZE: // the index of the log can not grow
			return ErrFull
		}
		if code == sqlite3.SQLITE_IOERR_WRITE && strings.Contains(text, "no space") {
			return ErrFull
		}
	}
	return nil
}
