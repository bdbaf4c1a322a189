package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/pagecache"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// FileName is the database's name in the data folder.
const FileName = "cloud.db"

const (
	formatVersion  = 4
	applicationID  = 0x736b6364 // "skcd"
	readersMax     = 4
	busyTimeoutMs  = 10_000
	pageBytes      = 4096 // SQLite's default
	cacheKiB       = 3072 // of the writer
	readerCacheKiB = 256

	// pagesKept is room for all caches when they are full: see pagecache.Keep.
	pagesKept = (cacheKiB+readersMax*readerCacheKiB)*1024/pageBytes + 12
)

// ErrFormat is wrapped by Open's error when a newer program wrote the database.
var ErrFormat = errors.New("the database was written by a newer version of sidekeep-cloud")

// ErrOlder is wrapped by the error of a read-only Open of an older format: a
// server's start brings it up to date.
var ErrOlder = errors.New("the database was written by an older version of sidekeep-cloud; start the server once")

// ErrForeign is wrapped by Open's error when the file is another program's.
var ErrForeign = errors.New("the database is not a sidekeep cloud's")

// Options of a store. The zero value is not useful: Rand is needed to write.
type Options struct {
	Rand io.Reader        // of epochs; crypto/rand.Reader
	Now  func() time.Time // nil means time.Now
	Log  *slog.Logger     // nil means silence
	// QuotaBytes is what one account may hold: versions and chunks as they are
	// stored, those kept for 30 days included. 0 means no bound. Beyond it, writes
	// are refused with CodeQuota; tombstones beyond twice as much.
	QuotaBytes int64
	// ReadOnly opens an existing store for Report and Verify, beside a running
	// cloud, which is another process. Nothing is written, no epoch is drawn.
	ReadOnly bool
	still    bool // nobody writes to the file: open it without any side file
}

// Store is a cloudstore.Store in one SQLite file.
type Store struct {
	opt     Options
	path    string
	readers *sql.DB
	epoch   syncproto.Epoch
	hadLog  bool // there was a write-ahead log when it opened

	writerDB *sql.DB
	writer   *txn
	writes   chan *write
	stopped  chan struct{}                  // closed when the writer has ended
	counted  map[seal.Account]bool          // digests counted since the start, and since another program wrote; the writer's own
	moved    map[seal.Account][]record.Kind // kinds found to differ then, of which sessions are to be told; the writer's own
	quota    quota

	mu     sync.RWMutex // guards closed and sends on writes
	closed bool
}

var _ cloudstore.Store = (*Store)(nil)

// Open opens the store in the folder dir, and makes both if they are missing:
// the folder 0700, the file 0600. The caller sees to it that one process only
// has the folder open for writing.
func Open(ctx context.Context, dir string, opt Options) (*Store, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{opt: opt, path: filepath.Join(dir, FileName), counted: map[seal.Account]bool{}, moved: map[seal.Account][]record.Kind{}}
	s.quota = quota{max: opt.QuotaBytes, now: s.now, used: map[seal.Account]*usage{}}
	if err := s.open(ctx, dir); err != nil {
		s.closeDatabases()
		return nil, fmt.Errorf("open store: %w", coded(err))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dir string) error {
	if s.opt.ReadOnly {
		if _, err := os.Stat(s.path); err != nil {
			return err
		}
		if err := checkWhole(s.path); err != nil {
			return err
		}
		return s.openReaders(ctx)
	}
	if err := finishSalvage(dir); err != nil {
		return fmt.Errorf("end a salvage: %w", err)
	}
	if err := checkWhole(s.path); err != nil {
		return err
	}
	_, err := os.Stat(s.path + "-wal")
	s.hadLog = err == nil
	if err := makeFile(dir, s.path); err != nil {
		return err
	}
	pagecache.Keep(pagesKept, pageBytes)
	if s.writerDB, err = sql.Open("sqlite", dsn(s.path, "_txlock=immediate", "_pragma=journal_mode(wal)", fmt.Sprintf("_pragma=cache_size(%d)", -cacheKiB))); err != nil {
		return err
	}
	s.writerDB.SetMaxOpenConns(1)
	if s.writer, err = newTxn(ctx, s.writerDB); err != nil {
		return err
	}
	s.writer.others = func() { clear(s.counted) }
	if err := s.migrate(); err != nil {
		return err
	}
	if err := s.openReaders(ctx); err != nil {
		return err
	}
	if s.epoch, err = s.wake(dir); err != nil {
		return fmt.Errorf("identify storage: %w", err)
	}
	s.writes = make(chan *write, groupOpsMax)
	s.stopped = make(chan struct{})
	go s.write()
	return nil
}

// openReaders opens the pool of readers and looks at the format.
func (s *Store) openReaders(ctx context.Context) error {
	var err error
	params := []string{"_pragma=query_only(1)", fmt.Sprintf("_pragma=cache_size(%d)", -readerCacheKiB)}
	if s.opt.still {
		params = append(params, "immutable=1")
	}
	if s.opt.ReadOnly {
		params = append(params, "mode=ro") // also leaves the log of a server that was killed where it is
	}
	if s.readers, err = sql.Open("sqlite", dsn(s.path, params...)); err != nil {
		return err
	}
	s.readers.SetMaxOpenConns(readersMax)
	var app, format int64
	if err := s.readers.QueryRowContext(ctx, "SELECT a.application_id, v.user_version FROM pragma_application_id a, pragma_user_version v").Scan(&app, &format); err != nil {
		return err
	}
	if err := checkFormat(app, format); err != nil {
		return err
	}
	if !s.opt.ReadOnly {
		return nil
	}
	if format < formatVersion {
		return fmt.Errorf("%w: format %d", ErrOlder, format)
	}
	var epoch []byte
	if err := s.readers.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'epoch'").Scan(&epoch); err != nil {
		return err
	}
	copy(s.epoch[:], epoch)
	return nil
}

// dsn returns the name of the database with the pragmas that every connection has.
func dsn(path string, params ...string) string {
	params = append(params, fmt.Sprintf("_pragma=busy_timeout(%d)", busyTimeoutMs), "_pragma=synchronous(full)",
		"_pragma=trusted_schema(0)", "_pragma=cell_size_check(1)", "_pragma=journal_size_limit(67108864)")
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: strings.Join(params, "&")}).String()
}

// makeFile makes the folder and an empty file with narrow permissions. SQLite
// gives its -wal and -shm files the permissions of the database.
func makeFile(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close() // before SQLite takes its locks
}

// Epoch implements cloudstore.Store.
func (s *Store) Epoch() syncproto.Epoch { return s.epoch }

// Chunks implements cloudstore.Store.
func (s *Store) Chunks() cloudstore.Chunks { return chunks{s} }

// Close waits for the writes that were begun, and closes the database.
func (s *Store) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	if !was && s.writes != nil {
		close(s.writes)
	}
	s.mu.Unlock()
	if was {
		return nil
	}
	if s.stopped != nil {
		<-s.stopped
		if err := s.setMeta("running", []byte{0}); err != nil {
			s.opt.Log.Warn("the end of the run could not be noted", "error", err)
		}
	}
	return s.closeDatabases()
}

func (s *Store) closeDatabases() error {
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.writerDB != nil {
		errs = append(errs, s.writerDB.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) now() int64 { return s.opt.Now().Unix() }
