package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const (
	groupOpsMax   = 128
	groupBytesMax = 8 << 20
)

// write is one operation that waits for the writer.
type write struct {
	run   func(*txn) error // may run twice: it sets its results, never adds to them
	after func()           // when committed, on the writer's goroutine; may be nil
	bytes int
	err   error
	done  chan struct{}
}

// do runs an operation on the writer's goroutine, together with others, and
// returns after the commit.
func (s *Store) do(ctx context.Context, bytes int, run func(*txn) error, after func()) error {
	w := &write{run: run, after: after, bytes: bytes, done: make(chan struct{})}
	if err := s.enqueue(ctx, w); err != nil {
		return err
	}
	<-w.done
	return coded(w.err)
}

func (s *Store) enqueue(ctx context.Context, w *write) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.writes == nil {
		return errClosed
	}
	select {
	case s.writes <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the writer's goroutine.
func (s *Store) write() {
	defer close(s.stopped)
	for w := range s.writes {
		s.commit(s.group(w))
	}
}

// group takes what waits behind first, without waiting for more.
func (s *Store) group(first *write) []*write {
	group, bytes := []*write{first}, first.bytes
	for len(group) < groupOpsMax && bytes < groupBytesMax {
		select {
		case w, ok := <-s.writes:
			if !ok {
				return group
			}
			group, bytes = append(group, w), bytes+w.bytes
		default:
			return group
		}
	}
	return group
}

// commit runs a group in one transaction. If one of several operations fails,
// nothing is kept, and each runs again in a transaction of its own.
func (s *Store) commit(group []*write) {
	err := s.writer.transact(func(t *txn) error {
		for _, w := range group {
			if err := w.run(t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && len(group) > 1 {
		for _, w := range group {
			s.commit([]*write{w})
		}
		return
	}
	for _, w := range group {
		w.err = err
		if err == nil && w.after != nil {
			w.after()
		}
		close(w.done)
	}
}

// txn is the writer's connection with its prepared statements.
type txn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt

	version int64  // of the data, as PRAGMA data_version gives it; 0 before the first look
	others  func() // called, if not nil, when another connection has written since the last look
}

// lookForOthers runs at the beginning of a transaction. The pragma's value moves
// only by commits of other connections, and the store writes by this one alone:
// so it was another program.
func (t *txn) lookForOthers() error {
	was := t.version
	if err := t.row("PRAGMA data_version").Scan(&t.version); err != nil {
		return fmt.Errorf("look for other programs: %w", err)
	}
	if was != 0 && was != t.version && t.others != nil {
		t.others()
	}
	return nil
}

func newTxn(ctx context.Context, db *sql.DB) (*txn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &txn{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

func (t *txn) close() error {
	for _, s := range t.stmts {
		s.Close()
	}
	return t.conn.Close()
}

// transact runs f between BEGIN and COMMIT, or undoes it.
func (t *txn) transact(f func(*txn) error) error {
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := t.lookForOthers()
	if err == nil {
		err = f(t)
	}
	if err == nil {
		if _, err = t.exec("COMMIT"); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// SQLite may have rolled back already, for example when the disk is full.
	t.exec("ROLLBACK")
	return err
}

func (t *txn) prepared(q string) (*sql.Stmt, error) {
	if s, ok := t.stmts[q]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), q)
	if err != nil {
		return nil, err
	}
	t.stmts[q] = s
	return s, nil
}

// exec runs a statement, without a cache: for the few that are not hot.
func (t *txn) exec(q string, args ...any) (sql.Result, error) {
	return t.conn.ExecContext(context.Background(), q, args...)
}

// put runs a prepared statement.
func (t *txn) put(q string, args ...any) (sql.Result, error) {
	s, err := t.prepared(q)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

func (t *txn) row(q string, args ...any) scanner {
	s, err := t.prepared(q)
	if err != nil {
		return failedRow{err}
	}
	return s.QueryRow(args...)
}

func (t *txn) rows(q string, args ...any) (*sql.Rows, error) {
	s, err := t.prepared(q)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

// querier reads rows: the writer inside its transaction, or a reader's snapshot.
type querier interface {
	row(q string, args ...any) scanner
	rows(q string, args ...any) (*sql.Rows, error)
}

type scanner interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// snapshot is a reader's transaction.
type snapshot struct {
	ctx context.Context
	tx  *sql.Tx
}

func (s snapshot) row(q string, args ...any) scanner { return s.tx.QueryRowContext(s.ctx, q, args...) }

func (s snapshot) rows(q string, args ...any) (*sql.Rows, error) {
	return s.tx.QueryContext(s.ctx, q, args...)
}

// read runs f in one snapshot of the database.
func (s *Store) read(ctx context.Context, f func(snapshot) error) error {
	tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return coded(err)
	}
	err = f(snapshot{ctx, tx})
	if rerr := tx.Rollback(); err == nil && rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
		err = rerr
	}
	return coded(err)
}
