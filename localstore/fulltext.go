package localstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sidekeep/localstore/pim"
)

// From this many changed records on, the full text is indexed at once: an index
// write costs 20.8 KB of flash for one record alone and 0.7 KB among fifty.
const flushRecords = 50

// text notes what a row is found by. It is indexed with the transaction if many
// rows changed, and later otherwise.
func (t *tx) text(r *row, c pim.Columns) error {
	if t.texts == nil {
		t.texts = map[int64]string{}
	}
	t.texts[r.n] = c.Text
	if r.deleted {
		t.texts[r.n] = ""
	}
	return nil
}

func (t *tx) saveTexts() error {
	if len(t.texts) == 0 {
		return nil
	}
	now := len(t.texts) >= flushRecords
	var last int64 // no record after it is in the index, or on the stale list
	if now {
		if _, err := t.one([]any{&last}, "SELECT max(coalesce((SELECT max(id) FROM fulltext_docsize), 0), coalesce((SELECT max(n) FROM stale), 0))"); err != nil {
			return err
		}
	}
	for _, n := range slices.Sorted(maps.Keys(t.texts)) {
		var err error
		switch {
		case now && n > last:
			err = t.indexNew(n, t.texts[n])
		case now:
			err = t.index(n, t.texts[n])
		default:
			err = t.exec("INSERT INTO stale (n, columns) VALUES (?, 0) ON CONFLICT (n) DO UPDATE SET columns = 0 WHERE columns <> 0", n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// indexNew puts the text of a row that was never indexed into the full text.
func (t *tx) indexNew(n int64, text string) error {
	if text == "" {
		return nil
	}
	if err := t.exec("INSERT INTO fulltext (rowid, text) VALUES (?, ?)", n, text); err != nil {
		return fmt.Errorf("index full text: %w", err)
	}
	return nil
}

// index puts a row's text into the full text and takes it off the stale list.
func (t *tx) index(n int64, text string) error {
	if err := t.exec("DELETE FROM fulltext WHERE rowid = ?", n); err != nil {
		return fmt.Errorf("index full text: %w", err)
	}
	if err := t.indexNew(n, text); err != nil {
		return err
	}
	return t.exec("DELETE FROM stale WHERE n = ?", n)
}

// absorbMax is how many records one transaction absorbs.
const absorbMax = 500

// absorb fills the agent's columns of records that other programs wrote.
func (s *Store) absorb(ctx context.Context) error {
	return s.eachStale(ctx, "s.columns = 1", func(t *tx, r *row) error {
		if r.document.sanitise() {
			err := errors.Join(
				t.exec("UPDATE record SET doc = ?, par = ? WHERE n = ?", r.doc, text(r.par), r.n),
				t.problem("encoding", "a program wrote text that is not UTF-8; what was not was replaced", &r.id))
			if err != nil {
				return err
			}
		}
		c, err := t.columns(r)
		if err != nil {
			return err
		}
		return errors.Join(
			t.exec("UPDATE record SET title = ?, sort = ?, start_utc = ?, end_utc = ?, due_utc = ? WHERE n = ?",
				c.Title, c.SortKey, text(c.Start), text(c.End), text(c.Due), r.n),
			t.phones(r, false, c.Digits), t.text(r, c))
	})
}

// flush indexes the full text of all stale records.
func (s *Store) flush(ctx context.Context) error {
	if err := s.absorb(ctx); err != nil {
		return err
	}
	return s.eachStale(ctx, "s.columns = 0", func(t *tx, r *row) error {
		c, err := t.columns(r)
		if err != nil {
			return err
		}
		if r.deleted {
			c.Text = ""
		}
		return t.index(r.n, c.Text)
	})
}

// columns computes the agent's columns of a row. A document that can not be
// read has none: verify reports it.
func (t *tx) columns(r *row) (pim.Columns, error) {
	fields, err := r.fields(r.kind)
	if errors.Is(err, ErrDamaged) {
		return pim.Columns{}, nil
	}
	return pim.ColumnsOf(r.kind, fields), err
}

// eachStale calls visit for all stale rows of a condition, some hundreds a
// transaction. visit must take the row off the condition.
func (s *Store) eachStale(ctx context.Context, condition string, visit func(*tx, *row) error) error {
	for {
		var n int
		err := s.read(ctx, func(c *session) (err error) {
			n, err = c.count("SELECT count(*) FROM stale s WHERE " + condition)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		err = s.write(ctx, false, func(t *tx) error {
			if err := t.exec("DELETE FROM stale WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = stale.n)"); err != nil {
				return err
			}
			rows, err := t.rowsOf("JOIN stale s ON s.n = r.n WHERE "+condition+" ORDER BY s.n LIMIT ?", absorbMax)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if err := visit(t, r); err != nil {
					return fmt.Errorf("absorb record %s: %w", r.id, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}
