package lab

import (
	"context"
	crand "crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // an app's SQLite

	"sidekeep/cmd/internal/lab/sample"
	"sidekeep/localstore/record"
)

// writer edits a handset's data all the time, half through sidekeep commands
// that are killed now and then, half through SQL as an app would.
type writer struct {
	h      *handset
	rand   *rand.Rand
	ledger *ledger
	ids    []string // records of this writer that are not deleted
	kinds  map[string]record.Kind
	number int // of the last write
	counts writerCounts
	fault  error // what must not happen to a writer
}

type writerCounts struct{ Commands, SQL, Killed, Pictures int }

func newWriter(h *handset, seed uint64) *writer {
	return &writer{h: h, rand: rand.New(rand.NewPCG(seed, 1)), ledger: newLedger(), kinds: map[string]record.Kind{}}
}

// mark is the text that carries the number of a write.
func mark(number int) string { return fmt.Sprintf("write-%d.", number) }

// run edits until ctx ends.
func (w *writer) run(ctx context.Context) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(w.h.home, "data", "sidekeep.db"))+
		"?_pragma=busy_timeout(10000)&_pragma=synchronous(full)&_txlock=immediate")
	if err != nil {
		w.fault = err
		return
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for ctx.Err() == nil && w.fault == nil {
		switch n := w.rand.IntN(60); {
		case n == 0:
			w.fault = w.picture(ctx)
		case n < 30:
			w.fault = w.command(ctx)
		default:
			w.fault = w.sql(ctx, db)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(w.rand.IntN(20)) * time.Millisecond):
		}
	}
	if ctx.Err() != nil && errors.Is(w.fault, context.Canceled) {
		w.fault = nil
	}
}

// pick returns a record to edit, or "" to make a new one.
func (w *writer) pick() string {
	if len(w.ids) < 8 || w.rand.IntN(4) == 0 && len(w.ids) < 60 {
		return ""
	}
	return w.ids[w.rand.IntN(len(w.ids))]
}

// command edits through sidekeep. One in eight is killed at a random moment;
// it may then have written or not.
func (w *writer) command(ctx context.Context) error {
	id := w.pick()
	w.number++
	number := w.number
	var args []string
	switch {
	case id == "":
		// The new record's id is known only from the output, so that an add
		// that is cut short can not be followed: it is never killed.
		id, err := w.h.add(ctx, record.Tasks, "title="+mark(number))
		if err != nil {
			return err
		}
		w.ledger.try(id, record.Tasks, number)
		w.ledger.ack(id)
		w.keep(id, record.Tasks)
		w.counts.Commands++
		return nil
	case w.rand.IntN(10) == 0:
		args = []string{"rm", id}
		w.ledger.tryDelete(id)
		w.drop(id)
	default:
		args = []string{"set", id, "title=" + mark(number)}
		if w.kinds[id] == record.Contacts {
			args[2] = "name=" + mark(number)
		}
		w.ledger.try(id, w.kinds[id], number)
	}
	kill := w.rand.IntN(8) == 0
	limit := ctx
	if kill {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, time.Duration(w.rand.IntN(60))*time.Millisecond)
		defer cancel()
	}
	_, err := w.h.do(limit, args...)
	switch {
	case err == nil && args[0] == "rm":
		w.ledger.ackDelete(id)
	case err == nil:
		w.ledger.ack(id)
	case kill && errors.Is(err, context.DeadlineExceeded):
		w.counts.Killed++
		return nil
	default:
		return err
	}
	w.counts.Commands++
	return nil
}

// sql edits through the views, as an app of the handset would.
func (w *writer) sql(ctx context.Context, db *sql.DB) error {
	id := w.pick()
	w.number++
	number := w.number
	kind := record.Contacts
	var statement string
	var args []any
	if id == "" {
		var random [16]byte
		rand := hex.EncodeToString(randomBytes(random[:]))
		id, statement, args = rand, "INSERT INTO contacts (id, name) VALUES (?, ?)", []any{rand, mark(number)}
	} else if kind = w.kinds[id]; kind == record.Contacts {
		statement, args = "UPDATE contacts SET name = ? WHERE id = ?", []any{mark(number), id}
	} else {
		statement, args = "UPDATE tasks SET title = ? WHERE id = ?", []any{mark(number), id}
	}
	w.ledger.try(id, kind, number)
	if _, err := db.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("%s: %s: %w", w.h.name, statement, err)
	}
	w.ledger.ack(id)
	if w.kinds[id] == "" {
		w.keep(id, kind)
	}
	w.counts.SQL++
	return nil
}

// picture imports a new picture of several chunks, so that kills fall into
// their transfer, too.
func (w *writer) picture(ctx context.Context) error {
	w.number++
	path := fmt.Sprintf("%s.%s.jpg", w.h.home, mark(w.number))
	if err := os.WriteFile(path, sample.Photo(path), 0o644); err != nil {
		return err
	}
	defer os.Remove(path)
	if _, err := w.h.do(ctx, "import", path); err != nil {
		return err
	}
	w.counts.Pictures++
	return nil
}

func randomBytes(b []byte) []byte {
	crand.Read(b) // never fails
	return b
}

func (w *writer) keep(id string, kind record.Kind) {
	w.ids = append(w.ids, id)
	w.kinds[id] = kind
}

func (w *writer) drop(id string) {
	for i, have := range w.ids {
		if have == id {
			w.ids = append(w.ids[:i], w.ids[i+1:]...)
			return
		}
	}
}
