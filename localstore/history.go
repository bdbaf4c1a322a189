package localstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// Values of history.was: what a record was before a change.
const (
	wasLiving  = 0
	wasDeleted = 1
	wasAbsent  = 2 // not there yet
	wasUnknown = 3 // not kept, or it came with the first sync of its kind
)

// changeRow is a row of table history: a change, and what the record was before.
type changeRow struct {
	n      int64 // order of changes
	record int64
	at     int64 // Unix ms
	was    int
	same   bool // the content is that of the record's next state
	document
}

const changeColumns = "n, record, at, was, doc, par, raw FROM history"

func scanChange(scan func(...any) error) (h changeRow, err error) {
	var doc, par sql.NullString
	err = scan(&h.n, &h.record, &h.at, &h.was, &doc, &par, &h.raw)
	h.doc, h.par = doc.String, par.String
	h.same = !doc.Valid && h.was < wasAbsent
	return h, err
}

// What a Change did to its record.
const (
	ChangeAdded     = "added"     // the record was not there before
	ChangeEdited    = "edited"    // fields changed
	ChangeDeleted   = "deleted"   // it went to the trash
	ChangeUndeleted = "undeleted" // it came back from the trash
	ChangePurged    = "purged"    // its fields were removed for good
	ChangeUnknown   = "unknown"   // what it was before is not kept
)

// Change is one change of a record, as the history has it.
type Change struct {
	Order int64     // place among all changes on this device, whatever the clock said
	At    time.Time // what the clock said
	What  string    // ChangeAdded ...
	Keys  []KeyChange
}

// KeyChange is what a change did to one field. A value is nil where there was
// or is no such field; else it is a string or a list, as in Record.
type KeyChange struct {
	Key           string
	Before, After any
	Blob          bool // a large value of it changed
}

// History gives the changes of a record that are kept, newest first. It
// returns ErrNotFound for an unknown record.
func (s *Store) History(ctx context.Context, id record.ID) (list []Change, err error) {
	err = s.read(ctx, func(c *session) error {
		r, err := c.rowByID(id)
		if err != nil {
			return err
		}
		if r == nil {
			return ErrNotFound
		}
		rows, err := c.changes("WHERE record = ? ORDER BY n", r.n)
		if err != nil {
			return err
		}
		after := r.past()
		content := r.document
		for i := len(rows) - 1; i >= 0; i-- {
			h := rows[i]
			if !h.same {
				content = h.document
			}
			before := past{was: h.was, document: content}
			c, err := changeOf(r.kind, before, after)
			if err != nil {
				return err
			}
			c.Order, c.At = h.n, time.UnixMilli(h.at)
			list = append(list, c)
			after = before
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("history of record %s: %w", id, err)
	}
	return list, nil
}

func (c *session) changes(where string, args ...any) (rows []changeRow, err error) {
	err = c.each(func(scan func(...any) error) error {
		h, err := scanChange(scan)
		rows = append(rows, h)
		return err
	}, "SELECT "+changeColumns+" "+where, args...)
	return rows, err
}

// past is what a record was: its document means something only while it is
// living or deleted.
type past struct {
	was int
	document
}

// past is what a row is now.
func (r *row) past() past {
	p := past{wasLiving, r.document}
	if r.deleted {
		p.was = wasDeleted
	}
	return p
}

func changeOf(kind record.Kind, before, after past) (c Change, err error) {
	switch {
	case before.was == wasUnknown || after.was == wasUnknown:
		c.What = ChangeUnknown
		return c, nil
	case before.was == wasAbsent:
		c.What, before.document = ChangeAdded, document{doc: "{}"}
	case before.was == wasLiving && after.was == wasDeleted:
		c.What = ChangeDeleted
	case before.was == wasDeleted && after.was == wasLiving:
		c.What = ChangeUndeleted
	case after.was == wasDeleted && after.doc == "{}":
		c.What = ChangePurged
		return c, nil
	default:
		c.What = ChangeEdited
	}
	old, err := before.lines(kind)
	if err != nil {
		return c, err
	}
	now, err := after.lines(kind)
	if err != nil {
		return c, err
	}
	c.Keys = keyChanges(old, now)
	return c, nil
}

// keyChanges compares fields by their keys, in the order of the new lines.
func keyChanges(before, after []line) []KeyChange {
	old := make(map[string]*line, len(before))
	for i := range before {
		old[before[i].Key] = &before[i]
	}
	var list []KeyChange
	for i := range after {
		a := &after[i]
		b := old[a.Key]
		delete(old, a.Key)
		switch {
		case pim.NeverConflicts(a.Key):
		case b == nil:
			list = append(list, KeyChange{Key: a.Key, After: a.value, Blob: a.Blob != nil})
		case string(a.Line) != string(b.Line) || !a.Blob.Equal(b.Blob):
			list = append(list, KeyChange{Key: a.Key, Before: b.value, After: a.value, Blob: !a.Blob.Equal(b.Blob)})
		}
	}
	for i := range before {
		if b := &before[i]; old[b.Key] != nil && !pim.NeverConflicts(b.Key) {
			list = append(list, KeyChange{Key: b.Key, Before: b.value, Blob: b.Blob != nil})
		}
	}
	return list
}
