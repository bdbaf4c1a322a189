package localstore

import (
	"errors"
	"strings"

	"sidekeep/localstore/carve"
	"sidekeep/localstore/record"
)

// This file brings over what is not about what records are now: what they were,
// what was imported into them, what was found wrong. None of it has an id to
// prove it by.

// whole reports whether every page and row could be read.
func (v *salvager) whole() bool {
	d := v.report.Damage
	return d.Missing == 0 && d.Bad == 0 && d.Cells == 0
}

// past brings the history over, in place of what came of bringing the records
// over. It does so only if nothing at all was unreadable: what a record was at a
// moment is its next change after it, so with a change missing a rollback would
// bring back what it never was.
func (v *salvager) past() error {
	if !v.whole() || v.historyAt == 0 {
		return nil
	}
	err := v.s.write(v.ctx, false, func(t *tx) error {
		return errors.Join(t.exec("DELETE FROM history"), t.setMeta(metaHistoryN, v.historyN), t.setMeta(metaHistoryAt, v.historyAt))
	})
	if err != nil {
		return err
	}
	return v.batches(func(c *carve.Row) bool {
		_, known := v.brought[asInt(c, 1)]
		return known && isChange(c.Values)
	}, func(t *tx, c *carve.Row) error {
		r, err := t.rowByID(v.brought[asInt(c, 1)])
		if err != nil || r == nil {
			return err
		}
		err = t.exec("INSERT OR IGNORE INTO history (n, record, ran, at, was, blobs, doc, par, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			append([]any{c.Rowid, r.n}, c.Values[2:]...)...)
		if err != nil || asInt(c, 5) == 0 {
			return err
		}
		fields, err := parseRaw(bytesOr(c.Values[8]))
		if err != nil {
			return nil // of a program's making; verify tells
		}
		var chunks []record.ChunkID
		for _, f := range fields {
			chunks = append(chunks, chunksOf([]record.Field{f})...)
		}
		return t.addRefs(r.n, chunks)
	})
}

// beside brings over what was imported, so that a file that is imported again
// does not undo edits, and the list of problems.
func (v *salvager) beside() error {
	err := v.batches(func(c *carve.Row) bool {
		return c.Index && match(c.Values, "sb") && len(asBytes(c, 1)) == 16
	}, func(t *tx, c *carve.Row) error {
		id, err := record.ParseID(c.Values[0].(string))
		if err != nil {
			return nil
		}
		return t.exec("INSERT INTO imported (id, hash) VALUES (?, ?) ON CONFLICT DO NOTHING", id.String(), asBytes(c, 1))
	})
	if err != nil {
		return err
	}
	return v.batches(func(c *carve.Row) bool {
		return !c.Index && match(c.Values, "niss?")
	}, func(t *tx, c *carve.Row) error {
		id, named := c.Values[4].(string)
		if _, err := record.ParseID(id); named && err != nil || strings.ContainsFunc(c.Values[2].(string), notCode) {
			return nil
		}
		return t.exec("INSERT OR IGNORE INTO problem (n, at, code, text, id) VALUES (?, ?, ?, ?, ?)", append([]any{c.Rowid}, c.Values[1:]...)...)
	})
}

func notCode(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }

// isChange tells a row of table history: n, record, ran, at, was, blobs, doc, par, raw.
func isChange(c []any) bool {
	if !match(c, "niiiii???") {
		return false
	}
	was, blobs := c[4].(int64), c[5].(int64)
	_, text := c[6].(string)
	_, par := c[7].([]byte)
	_, raw := c[8].(string)
	return was>>2 == 0 && blobs>>1 == 0 && !par && !raw && (c[6] == nil || text && was < wasAbsent)
}

func asInt(c *carve.Row, i int) int64 {
	if i >= len(c.Values) {
		return 0
	}
	n, _ := c.Values[i].(int64)
	return n
}

func asBytes(c *carve.Row, i int) []byte { return bytesOr(c.Values[i]) }

// batches brings over the rows that take wants, some to a commit.
func (v *salvager) batches(want func(*carve.Row) bool, take func(*tx, *carve.Row) error) error {
	var batch []*carve.Row
	flush := func() error {
		err := v.s.write(v.ctx, true, func(t *tx) error {
			for _, c := range batch {
				if err := take(t, c); err != nil {
					return err
				}
			}
			return nil
		})
		batch = batch[:0]
		return err
	}
	_, err := v.file.Rows(func(c *carve.Row) error {
		if !want(c) {
			return nil
		}
		row := *c
		if batch = append(batch, &row); len(batch) < salvageBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}
