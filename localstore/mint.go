package localstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// minter draws dots under the replica id whose claim was accepted. The counter
// is stored in the transaction that stores what carries the dots.
type minter struct {
	replica record.ReplicaID
	counter uint64
	stored  uint64 // the counter that table meta has
}

// Next satisfies record.Minter.
func (m *minter) Next() record.Dot {
	m.counter++
	return record.Dot{Replica: m.replica, Counter: m.counter}
}

func (m *minter) save(t *tx) error {
	if m.counter == m.stored {
		return nil
	}
	if m.counter > record.CounterMax {
		return &record.LimitError{What: "writes of one device", Value: math.MaxInt32, Max: math.MaxInt32}
	}
	m.stored = m.counter
	return t.setMeta(metaCounter, int64(m.counter))
}

// mint returns the minter of the transaction, or ErrNotClaimed.
func (t *tx) mint() (*minter, error) {
	if t.minter != nil {
		return t.minter, nil
	}
	if !t.s.claimed.Load() {
		return nil, ErrNotClaimed
	}
	m := &minter{}
	found, err := t.metaBytes(metaReplica, m.replica[:])
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrNotClaimed
	}
	counter, err := t.metaInt(metaCounter)
	m.counter, m.stored = uint64(counter), uint64(counter)
	t.minter = m
	return m, err
}

// Mint turns dirty records of a kind into versions, durably, and returns
// versions that the cloud has not acknowledged, in outbox order, beginning
// after the given place (0 at the start of a session): at most maxRecords, and
// no more once their encodings pass maxBytes (but at least one). Records that
// are held or can not be encoded are left out. It needs an accepted claim.
//
// early, if not nil, is given each version that is minted when it is made, so
// that work on it can begin beside the transaction; what it was given comes back
// without Version and Encoded. It may neither wait long nor use the store, and no
// version may leave the device before Mint has returned it.
func (s *Store) Mint(ctx context.Context, kind record.Kind, after int64, maxRecords, maxBytes int, early func(*Outgoing)) ([]Outgoing, error) {
	if !s.claimed.Load() {
		return nil, ErrNotClaimed
	}
	if kind == record.Witness {
		return s.outgoingWitnesses(ctx, after, maxRecords)
	}
	var out []Outgoing
	var dirty, unsettled, queued bool
	err := s.read(ctx, func(c *session) error {
		_, err := c.one([]any{&dirty, &unsettled, &queued}, `SELECT EXISTS (SELECT 1 FROM dirty d JOIN record r ON r.n = d.n WHERE d.kind = ?1 AND `+mintable+`),
 EXISTS (SELECT 1 FROM held WHERE kind = ?1 AND state <> 1),
 EXISTS (SELECT 1 FROM outbox WHERE kind = ?1 AND ord > ?2) OR EXISTS (SELECT 1 FROM held WHERE kind = ?1 AND ord IS NOT NULL AND ord > ?2)`, string(kind), after)
		if err == nil && queued && !dirty && !unsettled {
			out, err = s.outgoing(c, kind, after, maxRecords, maxBytes)
		}
		return err
	})
	if errors.Is(err, ErrDamaged) || err == nil && (dirty || unsettled) {
		err = s.write(ctx, false, func(t *tx) error {
			out, err = t.mintAll(ctx, kind, after, maxRecords, maxBytes, early)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("mint %s: %w", kind, err)
	}
	return out, nil
}

// mintable: not held, not set aside, and not deleted before any other device saw it.
const mintable = "d.hold <> 1 AND d.problem IS NULL AND NOT (r.vid IS NULL AND r.deleted)"

// mintAll mints what is dirty and reads the outbox. A damaged deletion that is
// held is dropped, and it reads again.
func (t *tx) mintAll(ctx context.Context, kind record.Kind, after int64, maxRecords, maxBytes int, early func(*Outgoing)) ([]Outgoing, error) {
	for {
		fresh, err := t.mintDirty(ctx, kind, after, maxRecords, maxBytes, early)
		if err != nil {
			return nil, err
		}
		if t.minter != nil { // what goes out is checked against the stored counter
			if err := t.minter.save(t); err != nil {
				return nil, err
			}
		}
		if fresh != nil {
			return fresh, t.s.goesOut(t.session, fresh)
		}
		out, err := t.s.outgoing(t.session, kind, after, maxRecords, maxBytes)
		var d *damagedError
		if !errors.As(err, &d) || !d.held {
			return out, err
		}
		if _, err = t.heldOf(d.row); err != nil {
			return nil, err
		}
	}
}

// mintPage is how many dirty rows are read at once.
const mintPage = 64

// mintDirty mints as many dirty records as are missing to fill the outbox up to
// maxRecords and maxBytes. If the outbox holds nothing else it returns them.
func (t *tx) mintDirty(ctx context.Context, kind record.Kind, after int64, maxRecords, maxBytes int, early func(*Outgoing)) (fresh []Outgoing, err error) {
	t.mints = true
	if err := t.settle(kind); err != nil {
		return nil, fmt.Errorf("settle what is held: %w", err)
	}
	queued, err := t.queuedAfter(kind, after)
	if err != nil || queued >= maxRecords {
		return nil, err
	}
	if err := t.judge(kind, maxRecords-queued); err != nil {
		return nil, fmt.Errorf("judge deletions: %w", err)
	}
	m, err := t.mint()
	if err != nil {
		return nil, err
	}
	size, held := 0, false
	for last, left := int64(0), maxRecords-queued; left > 0 && size <= maxBytes; {
		// The plus keeps it from the index on kind, which would sort all of them for each page.
		rows, err := t.rowsOf("WHERE +d.kind = ? AND d.n > ? AND "+mintable+" ORDER BY d.n LIMIT ?", string(kind), last, min(mintPage, left))
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		last, left = rows[len(rows)-1].n, left-len(rows)
		next, stop := t.drawings(rows, m, maxBytes-size)
		for i := 0; i < len(rows) && size <= maxBytes && err == nil; i++ {
			if err = ctx.Err(); err != nil {
				break
			}
			held = held || rows[i].held != nil
			t.mints = t.mints && !held
			var o Outgoing
			var n int
			o, n, err = t.minted(next(), m)
			size += n
			if n > 0 && err == nil {
				fresh = append(fresh, o)
				if early != nil {
					early(&o)
					fresh[len(fresh)-1].givenEarly()
				}
			}
		}
		stop()
		if err != nil {
			return nil, err
		}
	}
	// What else is in the outbox, or is no longer as it was minted, is read from it.
	if queued, err = t.queuedAfter(kind, after); err != nil || held || queued != len(fresh) {
		return nil, err
	}
	return fresh, nil
}

// queuedAfter counts what the outbox has after a place.
func (t *tx) queuedAfter(kind record.Kind, after int64) (int, error) {
	return t.count("SELECT (SELECT count(*) FROM outbox WHERE kind = ?1 AND ord > ?2) + (SELECT count(*) FROM held WHERE kind = ?1 AND ord IS NOT NULL AND ord > ?2)", string(kind), after)
}

// mintRow turns the difference between a dirty row's document and its
// before-image into writes of record, and stores the version they give.
func (t *tx) mintRow(r *row) error {
	m, err := t.mint()
	if err != nil {
		return err
	}
	_, _, err = t.minted(t.s.drawWriting(r, *m), m)
	return err
}

// writing is what a dirty row has to become.
type writing struct {
	row       *row
	sanitised bool            // the document had text that is not UTF-8
	next      *record.Version // nil: the document is again that of the row's version
	encoded   []byte
	id        record.VersionID
	drawn     *drawn
	acked     uint64
	counter   uint64 // of the minter, afterwards
	refused   error  // why it can not be minted
	err       error
}

// drawWriting gives what minted stores. Like draw it touches neither the database
// nor the row. m is a copy: its dots are given once writing.counter is stored. A
// before-image that does not give the row's version is damage: what differs from
// it is not what a program wrote.
func (s *Store) drawWriting(r *row, m minter) *writing {
	w := &writing{row: r, counter: m.counter}
	v, before, _, err := s.version(r)
	if err != nil {
		w.err = err
		return w
	}
	d := r.document
	w.sanitised = d.sanitise()
	lines, err := d.lines(r.kind)
	if err != nil {
		w.refused = err
		return w
	}
	next := localWrite(r, v, before, fieldsOf(lines), &m)
	if next == v {
		return w
	}
	if w.encoded, w.refused = record.Encode(next); w.refused != nil {
		return w
	}
	w.next, w.counter = next, m.counter
	w.id = s.hash.VersionID(r.kind, r.id, w.encoded)
	w.acked = v.Vector[m.replica]
	if r.queued {
		w.acked = r.acked
	}
	w.drawn, w.err = draw(r, next, lines)
	return w
}

// drawings draws rows beside what the caller does, in their order, until the
// encodings are more than room. next gives one after the other; the caller calls
// it no more once it has had more than room, and stop at last. Where minting what
// is held may draw dots of its own, each row is drawn by next.
func (t *tx) drawings(rows []*row, m *minter, room int) (next func() *writing, stop func()) {
	if slices.ContainsFunc(rows, func(r *row) bool { return r.held != nil }) {
		i := 0
		return func() *writing { i++; return t.s.drawWriting(rows[i-1], *m) }, func() {}
	}
	out, ended := make(chan *writing, len(rows)), make(chan struct{})
	go func(m minter) {
		defer close(out)
		for _, r := range rows {
			select {
			case <-ended:
				return
			default:
			}
			w := t.s.drawWriting(r, m)
			m.counter = w.counter
			out <- w
			if room -= w.size(); room < 0 {
				return
			}
		}
	}(*m)
	return func() *writing { return <-out }, func() {
		close(ended)
		for range out { // until it has ended
		}
	}
}

// size is how large what goes out is: 0 if nothing does.
func (w *writing) size() int {
	if w.next == nil {
		return 0
	}
	return len(w.encoded)
}

// minted stores a writing. It returns what goes out, and how large its encoding
// is: 0 if there is nothing to send.
func (t *tx) minted(w *writing, m *minter) (o Outgoing, size int, err error) {
	r := w.row
	if w.err != nil {
		return o, 0, w.err
	}
	if w.sanitised {
		if err := t.problem("encoding", "a program wrote text that is not UTF-8; what was not was replaced", &r.id); err != nil {
			return o, 0, err
		}
	}
	if w.refused != nil {
		return o, 0, t.unmintable(r, w.refused)
	}
	if w.next == nil {
		return o, 0, t.clean(r)
	}
	m.counter = w.counter
	o = Outgoing{Kind: r.kind, ID: r.id, VersionID: w.id, Version: w.next, Encoded: w.encoded, row: r.n}
	if err := t.versionedAs(r, w.next, w.id, w.drawn); err != nil {
		return o, 0, err
	}
	if err := t.queue(r, w.acked); err != nil {
		return o, 0, err
	}
	o.Order = t.order
	if err := t.notLost(r.id); err != nil { // written anew: no edit of it is missed any more
		return o, 0, err
	}
	_, err = t.reconsider(r, w.next)
	return o, w.size(), err
}

// localWrite gives the version after the writes that lead from v, whose fields
// are before, to the row's document and deletion mark. It is v if there are none.
func localWrite(r *row, v *record.Version, before, after []record.Field, m record.Minter) *record.Version {
	next := v
	edits := diff(r.kind, v, before, after, r.keys)
	if r.wasDeleted && !r.deleted {
		next = record.Undelete(next, m) // W4
	}
	switch {
	case len(edits) > 0:
		next = record.Set(next, edits, m) // W1, W5
	case r.vid == nil && !r.deleted:
		next = record.Undelete(next, m) // emptied before its first session: it lives all the same
	}
	if r.deleted && !next.Dead() {
		next = record.Delete(next, m)
	}
	return next
}

// posStep is the distance between the positions of neighbouring lines, so that
// a line can come between them.
const posStep = 8

// diff gives the edits that lead from before to after. keys are edited though
// their value is the same. When a key of a merge unit is edited, all are:
// unchanged ones are written again, and those that are not shown are removed.
func diff(kind record.Kind, v *record.Version, before, after []record.Field, keys []string) []record.Edit {
	if len(v.Fields)+len(before) == 0 { // a new record
		edits := make([]record.Edit, len(after))
		for i, pos := range positions(v, after) {
			edits[i] = record.Edit{Key: after[i].Key, Line: after[i].Line, Blob: after[i].Blob, Pos: pos}
		}
		return edits
	}
	old := make(map[string]*record.Field, len(before))
	for i := range before {
		old[before[i].Key] = &before[i]
	}
	var edits []record.Edit
	stays := make(map[string]bool, len(after))
	units := map[string]bool{}
	edit := func(e record.Edit) {
		edits = append(edits, e)
		units[pim.Unit(kind, e.Key)] = true
	}
	pos := positions(v, after)
	for i := range after {
		f := &after[i]
		stays[f.Key] = true
		if o := old[f.Key]; o != nil && bytes.Equal(o.Line, f.Line) && o.Blob.Equal(f.Blob) && !slices.Contains(keys, f.Key) {
			continue
		}
		edit(record.Edit{Key: f.Key, Line: f.Line, Blob: f.Blob, Pos: pos[i]})
	}
	for i := range before {
		if !stays[before[i].Key] {
			edit(record.Edit{Key: before[i].Key, Remove: true})
		}
	}
	return wholeUnits(kind, v, after, pos, units, edits)
}

// wholeUnits adds to edits what else belongs to their units.
func wholeUnits(kind record.Kind, v *record.Version, after []record.Field, pos []uint32, units map[string]bool, edits []record.Edit) []record.Edit {
	done := make(map[string]bool, len(edits))
	for i := range edits {
		done[edits[i].Key] = true
	}
	for i := range after {
		f := &after[i]
		if !done[f.Key] && units[pim.Unit(kind, f.Key)] {
			done[f.Key] = true
			edits = append(edits, record.Edit{Key: f.Key, Line: f.Line, Blob: f.Blob, Pos: pos[i]})
		}
	}
	for _, k := range v.Keys() {
		if !done[k] && units[pim.Unit(kind, k)] {
			edits = append(edits, record.Edit{Key: k, Remove: true})
		}
	}
	return edits
}

// positions gives each field its place: the one it has, or for a new one a
// place between its neighbours.
func positions(v *record.Version, fields []record.Field) []uint32 {
	pos := make([]uint32, len(fields))
	known := make([]bool, len(fields))
	for i := range fields {
		if e, ok := v.Shown(fields[i].Key); ok {
			pos[i], known[i] = e.Pos, true
		}
	}
	last := uint32(0)
	for i := range fields {
		if known[i] {
			last = pos[i]
			continue
		}
		next := last + 2*posStep
		for j := i + 1; j < len(fields); j++ {
			if known[j] {
				next = pos[j]
				break
			}
		}
		pos[i] = last
		if next > last {
			pos[i] += (next - last) / 2
		}
		last = pos[i]
	}
	return pos
}

// clean takes a row whose document is again that of its version off the dirty list.
func (t *tx) clean(r *row) error {
	r.dirty, r.before = false, nil
	return t.exec("DELETE FROM dirty WHERE n = ?", r.n)
}

// unmintable sets a dirty row aside until it is changed again.
func (t *tx) unmintable(r *row, cause error) error {
	var limit *record.LimitError
	code, text := "damage", "a record can not be read"
	if errors.As(cause, &limit) {
		code, text = "too-large", "a record can not be sent: "+limit.Error()
	}
	return errors.Join(
		t.exec("UPDATE dirty SET problem = ? WHERE n = ?", text, r.n),
		t.problem(code, text, &r.id))
}
