package localstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// Rolling back: records become what they were on this device at a moment, by
// ordinary local writes. So it is durable like any edit, goes to the cloud and
// all devices as new versions, and stands in the history itself.

// RollbackOptions say what to roll back to.
type RollbackOptions struct {
	To     Moment      // from MomentAt or MomentBefore
	Kind   record.Kind // "" for all
	DryRun bool        // change nothing
	// Release lets deletions go out without the brake: a person has agreed.
	Release bool
}

// What Rollback does to a record.
const (
	RollbackEdit     = "edit"
	RollbackUndelete = "undelete"
	RollbackDelete   = "delete"
	// RollbackUnknown: what the record was is not known; it is left as it is.
	RollbackUnknown = "unknown"
)

// RollbackChange is a record that a rollback changes, or can not.
type RollbackChange struct {
	ID    record.ID
	Kind  record.Kind
	Title string // as it is before the rollback, or will be if it has none
	What  string // RollbackEdit ...
	Keys  []KeyChange
}

// RollbackReport counts what a rollback did, or would do.
type RollbackReport struct {
	Edited    int
	Undeleted int
	Deleted   int
	Unknown   int // records left as they are, because what they were is not known
}

// rollbackRecords is how many records one transaction rolls back.
const rollbackRecords = 256

// Rollback brings records to what they were at a moment: what was edited since
// gets its fields back, what was deleted since comes back, what was added since
// goes to the trash. It runs in transactions of some hundred records; each is
// durable, and whoever runs it again with the same moment finishes it. visit
// (may be nil) is called for each record when its change is durable.
func (s *Store) Rollback(ctx context.Context, o RollbackOptions, visit func(RollbackChange) error) (RollbackReport, error) {
	rb := &rollback{s: s, o: o, states: map[int64]*pastState{}}
	err := s.read(ctx, func(c *session) error {
		start, _, err := c.historyStart()
		if err == nil && o.To.Order < start {
			_, err = s.MomentBefore(ctx, o.To.Order+1)
		}
		if err != nil {
			return err
		}
		rb.seen = o.To.Order
		return rb.follow(c, true)
	})
	if err == nil {
		err = rb.run(ctx, visit)
	}
	if err != nil {
		return rb.report, fmt.Errorf("roll back: %w", err)
	}
	return rb.report, nil
}

// pastState is what a record was at the moment.
type pastState struct {
	was    int
	holder int64 // row of history that has the content; 0: the record's document
	open   bool  // the content is still that of the record's document
}

type rollback struct {
	s      *Store
	o      RollbackOptions
	seen   int64 // last change that states know
	states map[int64]*pastState
	report RollbackReport
}

// follow reads the changes that were not seen yet. The first change of a record
// after the moment says what it was; begin collects those, later ones only tell
// where the content of a known state went.
func (rb *rollback) follow(c *session, begin bool) error {
	return c.each(func(scan func(...any) error) error {
		var n, rec int64
		var was int
		var content bool
		if err := scan(&n, &rec, &was, &content); err != nil {
			return err
		}
		rb.seen = n
		p := rb.states[rec]
		switch {
		case p == nil && begin:
			p = &pastState{was: was, open: was < wasAbsent}
			rb.states[rec] = p
		case p == nil || !p.open:
			return nil
		case was == wasUnknown:
			p.was, p.open = wasUnknown, false
		}
		if p.open && content {
			p.holder, p.open = n, false
		}
		return nil
	}, "SELECT n, record, was, doc IS NOT NULL FROM history WHERE n > ? ORDER BY n", rb.seen)
}

func (rb *rollback) run(ctx context.Context, visit func(RollbackChange) error) error {
	for batch := range slices.Chunk(slices.Sorted(maps.Keys(rb.states)), rollbackRecords) {
		var done []RollbackChange
		do := func(c *session, t *tx) error {
			if err := rb.follow(c, false); err != nil {
				return err
			}
			for _, n := range batch {
				if err := ctx.Err(); err != nil {
					return err
				}
				change, err := rb.restore(c, t, n)
				if err != nil {
					return err
				}
				if change != nil {
					done = append(done, *change)
				}
			}
			return nil
		}
		var err error
		if rb.o.DryRun {
			err = rb.s.read(ctx, func(c *session) error { return do(c, nil) })
		} else {
			err = rb.s.write(ctx, false, func(t *tx) error { return do(t.session, t) })
		}
		if err != nil {
			return err
		}
		for _, change := range done {
			rb.count(change.What)
			if visit == nil {
				continue
			}
			if err := visit(change); err != nil {
				return err
			}
		}
	}
	return nil
}

func (rb *rollback) count(what string) {
	switch what {
	case RollbackEdit:
		rb.report.Edited++
	case RollbackUndelete:
		rb.report.Undeleted++
	case RollbackDelete:
		rb.report.Deleted++
	case RollbackUnknown:
		rb.report.Unknown++
	}
}

// restore makes one record what it was; t is nil for a dry run. It returns nil
// for a record that is so already.
func (rb *rollback) restore(c *session, t *tx, n int64) (*RollbackChange, error) {
	rows, err := c.rowsOf("WHERE r.n = ?", n)
	if err != nil || len(rows) == 0 || rb.o.Kind != "" && rows[0].kind != rb.o.Kind {
		return nil, err
	}
	r := rows[0]
	now, err := r.lines(r.kind)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", r.id, err)
	}
	change := &RollbackChange{ID: r.id, Kind: r.kind, Title: titleOf(r.kind, now)}
	p := rb.states[n]
	then := now
	if p.was == wasLiving && p.holder != 0 {
		if then, err = c.pastLines(r.kind, p.holder); err != nil {
			return nil, err
		}
	}
	switch {
	case p.was == wasUnknown || p.holder != 0 && then == nil:
		if p.was == wasUnknown && r.deleted && len(now) == 0 {
			return nil, nil // purged: it can not have been anything that is known
		}
		change.What = RollbackUnknown
		return change, nil
	case p.was != wasLiving && r.deleted:
		return nil, nil
	case p.was != wasLiving:
		change.What = RollbackDelete
	case r.deleted:
		change.What = RollbackUndelete
	case sameFields(fieldsOf(now), fieldsOf(then)):
		return nil, nil
	default:
		change.What = RollbackEdit
	}
	if p.was == wasLiving {
		change.Keys = keyChanges(now, then)
	}
	if change.Title == "" {
		change.Title = titleOf(r.kind, then)
	}
	if t == nil {
		return change, nil
	}
	err = t.edited(r, fieldsOf(then), p.was != wasLiving)
	var limit *record.LimitError
	switch {
	case errors.As(err, &limit): // found before anything is written
		change.What, change.Keys = RollbackUnknown, nil
		return change, nil
	case err == nil && rb.o.Release:
		err = t.setHold(r, holdReleased)
	}
	return change, err
}

// pastLines reads the content of a row of history; nil if it can not be read.
func (c *session) pastLines(kind record.Kind, n int64) ([]line, error) {
	rows, err := c.changes("WHERE n = ?", n)
	if err != nil || len(rows) == 0 || rows[0].same {
		return nil, err
	}
	d := rows[0].document
	d.sanitise()
	lines, err := d.lines(kind)
	switch {
	case err != nil: // damaged
		return nil, nil
	case lines == nil:
		return []line{}, nil
	}
	return lines, nil
}

func titleOf(kind record.Kind, lines []line) string {
	return pim.TitleOf(kind, fieldsOf(lines))
}
