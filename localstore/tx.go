package localstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// session runs statements on one connection, inside one transaction. Its
// statements are prepared once a connection and kept.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func newSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

// close gives the connection back. database/sql does not close the statements
// of a single connection, and SQLite keeps a connection that has some.
func (c *session) close() {
	for _, st := range c.stmts {
		st.Close()
	}
	c.conn.Close()
}

// background is the context of statements inside a transaction: a transaction
// is cancelled between its steps, never inside a statement.
var background = context.Background()

func (c *session) prepare(query string) (*sql.Stmt, error) {
	if st := c.stmts[query]; st != nil {
		return st, nil
	}
	st, err := c.conn.PrepareContext(background, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = st
	return st, nil
}

func (c *session) exec(query string, args ...any) error {
	_, err := c.execCount(query, args...)
	return err
}

// execCount runs a statement and returns the number of rows it changed.
func (c *session) execCount(query string, args ...any) (int64, error) {
	st, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(background, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *session) insert(query string, args ...any) (int64, error) {
	st, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(background, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// each calls visit for every row. visit must not run other statements with the same text.
func (c *session) each(visit func(scan func(...any) error) error, query string, args ...any) error {
	st, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(background, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the first row into dest and reports whether there was one.
func (c *session) one(dest []any, query string, args ...any) (bool, error) {
	found := false
	err := c.each(func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	}, query, args...)
	return found, err
}

func (c *session) count(query string, args ...any) (int, error) {
	var n int
	_, err := c.one([]any{&n}, query, args...)
	return n, err
}

// tx is a write transaction. What has to be written once a transaction is
// collected here and written by finish.
type tx struct {
	*session
	s         *Store
	digests   map[record.Kind]*rangeset.Digest // of the kinds touched, as they will be
	texts     map[int64]string                 // full texts to index, "" to remove
	minter    *minter                          // nil until the first dot is drawn
	order     int64                            // last place given in the outbox; 0: not read
	received  record.Vector                    // join of vectors received in this transaction
	stored    record.Vector                    // join of the vectors of versions stored in this transaction
	uncounted bool                             // what was seen is to be counted again
	losses    int                              // noneLost or someLost, if that was asked
	mints     bool                             // it does no more than mint what is dirty, or note what was acknowledged
	onlyNew   onlyNew                          // what judging found
	changed   bool                             // something that the agent should look at
	began     int64                            // last change of the history before this transaction; with Store.ownClock
}

// write runs fn in one transaction of the writer connection. The commit is
// durable when write returns nil, unless lazy is set: then it is ordered but
// may be lost with the power.
func (s *Store) write(ctx context.Context, lazy bool, fn func(*tx) error) (err error) {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	defer func() { s.wrote.Store(int64(time.Since(s.made))) }()
	if lazy {
		if err := s.writer.exec("PRAGMA synchronous = NORMAL"); err != nil {
			return explain(err)
		}
		defer func() {
			if e := s.writer.exec("PRAGMA synchronous = FULL"); e != nil && err == nil {
				err = explain(e)
			}
		}()
	}
	if err := s.writer.exec("BEGIN IMMEDIATE"); err != nil {
		return explain(err)
	}
	t := &tx{session: s.writer, s: s}
	if err := t.begin(); err != nil {
		s.rollback()
		return explain(err)
	}
	if err := fn(t); err != nil {
		s.rollback()
		return explain(err)
	}
	if err := t.finish(); err != nil {
		s.rollback()
		return explain(err)
	}
	if err := s.writer.exec("COMMIT"); err != nil {
		s.rollback()
		return explain(err)
	}
	t.noteOnlyNew()
	if t.changed {
		s.signal()
	}
	return nil
}

func (s *Store) rollback() {
	s.recent = recent{}
	// An error that ended the transaction by itself makes this fail, which is fine.
	_ = s.writer.exec("ROLLBACK")
}

// lock takes the writer connection.
func (s *Store) lock(ctx context.Context) error {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.writer == nil {
		<-s.writing
		return errClosed
	}
	return nil
}

func (s *Store) unlock() { <-s.writing }

// read runs fn in a read transaction: everything in it sees one snapshot.
func (s *Store) read(ctx context.Context, fn func(*session) error) (err error) {
	c, err := s.reader(ctx)
	if err != nil {
		return explain(err)
	}
	defer s.putReader(c)
	if err := c.exec("BEGIN"); err != nil {
		return explain(err)
	}
	err = fn(c)
	if e := c.exec("ROLLBACK"); err == nil {
		err = e
	}
	return explain(err)
}

// reader takes a read connection from the pool, opening one while there are few.
func (s *Store) reader(ctx context.Context) (*session, error) {
	select {
	case s.readerSlots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case c := <-s.idleReaders:
		return c, nil
	default:
	}
	if s.readers == nil {
		<-s.readerSlots
		return nil, errClosed
	}
	c, err := newSession(ctx, s.readers)
	if err != nil {
		<-s.readerSlots
	}
	return c, err
}

// putReader gives a reader back.
func (s *Store) putReader(c *session) {
	select {
	case s.idleReaders <- c:
	default:
		c.close()
	}
	<-s.readerSlots
}

// finish writes what the transaction collected.
func (t *tx) finish() error {
	if err := t.saveDigests(); err != nil {
		return fmt.Errorf("store digests: %w", err)
	}
	if err := t.saveTexts(); err != nil {
		return fmt.Errorf("store full text: %w", err)
	}
	if err := t.saveReceived(); err != nil {
		return fmt.Errorf("store received vectors: %w", err)
	}
	if err := t.saveSeen(); err != nil {
		return fmt.Errorf("store what was seen: %w", err)
	}
	if t.minter != nil {
		if err := t.minter.save(t); err != nil {
			return fmt.Errorf("store the write counter: %w", err)
		}
	}
	if err := t.saveOrder(); err != nil {
		return fmt.Errorf("store the outbox's end: %w", err)
	}
	if t.s.ownClock {
		return t.exec("UPDATE history SET at = ? WHERE n > ?", t.s.Now().UnixMilli(), t.began)
	}
	return nil
}

// begin notes where the history stands: its triggers know the system's clock only.
func (t *tx) begin() error {
	if !t.s.ownClock {
		return nil
	}
	t.s.recent = recent{} // finish writes other times
	made, err := t.count("SELECT count(*) FROM sqlite_schema WHERE name = 'history'")
	if err != nil || made == 0 { // it is made in this transaction
		return err
	}
	_, err = t.one([]any{&t.began}, "SELECT coalesce(max(n), 0) FROM history")
	return err
}
