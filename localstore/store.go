package localstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sidekeep/localstore/record"
)

// FileName is the name of the database in its folder.
const FileName = "sidekeep.db"

// ChunkBytes is the size of every chunk of a large value but the last.
const ChunkBytes = 65536

// Defaults of Options.
const (
	TrashDaysDefault    = 30
	BrakeMinDefault     = 20 // deletions that are never held
	BrakePercentDefault = 10 // of the live records of a kind
	HistoryDaysDefault  = 30
	HistoryBytesDefault = 16 << 20 // twice what 6,500 records of all kinds take
)

// Hasher gives the keyed ids of an account. *seal.Keys satisfies it.
type Hasher interface {
	RecordID(kind record.Kind, uid string) record.ID
	VersionID(kind record.Kind, id record.ID, encoded []byte) record.VersionID
	ChunkID(plain []byte) record.ChunkID
}

// Options are what a Store needs from outside. Hasher is required; every other
// zero value means the default.
type Options struct {
	Hasher       Hasher
	Before       []Hasher         // of the keys that a Rekey replaced: what was imported under them is known by them
	Now          func() time.Time // time.Now
	Rand         io.Reader        // crypto/rand
	Log          *slog.Logger     // discards
	TrashDays    int              // days a deleted record stays, TrashDaysDefault
	BrakeMin     int              // BrakeMinDefault
	BrakePercent int              // BrakePercentDefault
	HistoryDays  int              // days of running time that replaced documents are kept, HistoryDaysDefault
	HistoryBytes int64            // what they may take together, HistoryBytesDefault
	// Machine identifies the hardware and installation; when it differs from
	// the one the file was used on, the device forks (rule C3). May be empty.
	Machine string
	// Poll has Wake look for commits of other programs each second, on a clock,
	// instead of being told of writes by the file system.
	Poll bool
}

func (o Options) withDefaults() (Options, error) {
	if o.Hasher == nil {
		return o, errors.New("options of the store: Hasher is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.TrashDays == 0 {
		o.TrashDays = TrashDaysDefault
	}
	if o.BrakeMin == 0 {
		o.BrakeMin = BrakeMinDefault
	}
	if o.BrakePercent == 0 {
		o.BrakePercent = BrakePercentDefault
	}
	if o.HistoryDays == 0 {
		o.HistoryDays = HistoryDaysDefault
	}
	if o.HistoryBytes == 0 {
		o.HistoryBytes = HistoryBytesDefault
	}
	return o, nil
}

var errClosed = errors.New("the store is closed")

// Store is an open device database.
type Store struct {
	Options
	hash Hasher
	path string

	writing  chan struct{} // holds one value while the writer connection is in use
	writer   *session      // nil when closed; guarded by writing
	schemaAt int64         // schema_version that was last found sound; guarded by writing
	dataAt   int64         // data_version of the writer when last looked; guarded by writing
	recent   recent        // guarded by writing
	onlyNew  onlyNew       // guarded by writing
	writerDB *sql.DB

	readers     *sql.DB
	readerSlots chan struct{} // one value for each reader in use
	idleReaders chan *session

	entered  bool // counted in opened
	ownClock bool // Options.Now was given: the history is to have its times

	historyMu    sync.Mutex
	historySeen  int64 // last change that historyBytes counts
	historyBytes int64

	sentMu sync.Mutex
	sent   map[record.VersionID]sentVersion // versions that were given out to be pushed; until acknowledged

	made    time.Time    // when Open was called
	wrote   atomic.Int64 // when the last transaction ended, ns after that
	claimed atomic.Bool  // the session's claim was accepted: minting is allowed

	wake    chan struct{}
	watcher *watcher // nil until Wake
	watchMu sync.Mutex
}

// Open opens the database in folder dir, creating folder and file when absent,
// repairs what other programs did to its schema, and reports that in
// Status.Problems. It returns a *NewerFormatError for a file of a newer
// sidekeep. ctx bounds the opening only.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	ownClock := o.Now != nil
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		Options:     o,
		hash:        o.Hasher,
		path:        filepath.Join(dir, FileName),
		writing:     make(chan struct{}, 1),
		readerSlots: make(chan struct{}, readersMax),
		sent:        map[record.VersionID]sentVersion{},
		idleReaders: make(chan *session, readersMax),
		wake:        make(chan struct{}, 1),
		ownClock:    ownClock,
		made:        time.Now(),
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := finishSalvage(filepath.Dir(s.path)); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	if err := makeFile(ctx, s.path); err != nil {
		return err
	}
	s.writerDB = openPool(dsn(s.path, false), 1, false)
	var err error
	if s.writer, err = newSession(ctx, s.writerDB); err != nil {
		return explain(err)
	}
	format, err := useFile(s.writer, s.path)
	if err != nil {
		return err
	}
	err = s.writer.conn.Raw(func(conn any) error { return assertConn(ctx, conn.(driver.Conn)) })
	if err != nil {
		return err
	}
	s.readers = openPool(dsn(s.path, true), readersMax, true)
	if format != formatVersion {
		if err := s.migrate(ctx); err != nil {
			return err
		}
	}
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	if err := s.checkProvenance(ctx); err != nil {
		return err
	}
	return s.absorb(ctx)
}

// Close stops all background work and closes the file. Calls under way end first.
func (s *Store) Close() error {
	s.stopWatching()
	s.writing <- struct{}{}
	defer s.unlock()
	if s.writer != nil {
		s.writer.close()
		s.writer = nil
	}
	var errs []error
	if s.readers != nil {
		for range readersMax {
			s.readerSlots <- struct{}{}
		}
		for len(s.idleReaders) > 0 {
			(<-s.idleReaders).close()
		}
		errs = append(errs, s.readers.Close())
		s.readers = nil
		for range readersMax {
			<-s.readerSlots
		}
	}
	if s.writerDB != nil {
		errs = append(errs, s.writerDB.Close())
		s.writerDB = nil
	}
	s.leave()
	return errors.Join(errs...)
}

// random fills b from Options.Rand.
func (s *Store) random(b []byte) error {
	if _, err := io.ReadFull(s.Rand, b); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	return nil
}
