package localstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"sidekeep/localstore/record"
)

// errForked ends an Apply that met writes of this replica that it did not make.
var errForked = errors.New("another device writes under this device's identity")

// Apply joins received versions of one kind into the store, in one transaction,
// and moves the cursor with them if it is not nil and something of the kind is here
// then. Dirty records it meets are minted first (W2). What would take a living record away, or most of it, is set
// aside (H1); a deletion that is held on its way out is let go if something
// newer keeps the record alive. A version that changes nothing is no error. It needs an accepted
// claim.
func (s *Store) Apply(ctx context.Context, kind record.Kind, in []Incoming, cursor *Cursor) (Applied, error) {
	if !kind.Valid() {
		return Applied{}, fmt.Errorf("apply: %q is not a kind", string(kind))
	}
	var a Applied
	err := s.write(ctx, false, func(t *tx) error {
		m, err := t.mint()
		if err != nil {
			return err
		}
		known, err := t.knownOf(in)
		if err != nil {
			return err
		}
		drawings, stop := drawFresh(kind, in, known)
		defer stop()
		for d := range drawings {
			if err := ctx.Err(); err != nil {
				return err
			}
			switch {
			case d.Version == nil:
				a.NotOpen = append(a.NotOpen, Ref{d.ID, d.VersionID})
				continue
			case known[d.ID]:
				err = t.applyKnown(kind, &d.Incoming, m, &a)
			default:
				err = t.applyNew(kind, &d, m, &a)
			}
			if err != nil {
				return err
			}
			known[d.ID] = true
		}
		if cursor == nil {
			return nil
		}
		if holds, err := t.holds(kind); err != nil || !holds { // names that only the cloud knows would fill the store
			return err
		}
		return t.setCursor(kind, *cursor)
	})
	if errors.Is(err, errForked) {
		if err := s.Fork(ctx, ForkCounter); err != nil {
			return Applied{}, fmt.Errorf("apply %s: %w", kind, err)
		}
		return Applied{Fork: true}, nil
	}
	if err != nil {
		return Applied{}, fmt.Errorf("apply %s: %w", kind, err)
	}
	return a, nil
}

// knownOf tells which of the records of versions that came are here.
func (t *tx) knownOf(in []Incoming) (map[record.ID]bool, error) {
	known := make(map[record.ID]bool, len(in))
	list := make([]byte, 0, 2+35*len(in))
	for i := range in {
		list = append(list, sepOf(list, '['), '"')
		list = hex.AppendEncode(list, in[i].ID[:])
		list = append(list, '"')
	}
	if len(list) == 0 {
		return known, nil
	}
	err := t.each(func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		id, err := record.ParseID(text)
		known[id] = true
		return err
	}, "SELECT id FROM record WHERE id IN (SELECT value FROM json_each(?))", string(append(list, ']')))
	return known, err
}

// drawing is a version that came, open, and the row of a new record that gets it.
type drawing struct {
	Incoming
	*row
	*drawn
	err error
}

// drawAhead is how many versions are opened and drawn before they are stored.
const drawAhead = 32

// drawFresh opens versions, and draws those of records that are not known, beside
// what the caller does: it gives all of in, in order, until stop, which waits until
// it has ended.
func drawFresh(kind record.Kind, in []Incoming, known map[record.ID]bool) (_ <-chan drawing, stop func()) {
	fresh := make([]bool, len(in)) // the caller goes on with known
	for i := range in {
		fresh[i] = kind != record.Witness && !known[in[i].ID]
	}
	out, stopped := make(chan drawing, drawAhead), make(chan struct{})
	go func() {
		defer close(out)
		for i := range in {
			d := drawing{Incoming: in[i]}
			if d.Version == nil && d.Open != nil {
				d.Version = d.Open()
			}
			if fresh[i] && d.Version != nil {
				d.row = &row{id: d.ID, kind: kind}
				d.drawn, d.err = draw(d.row, d.Version, nil)
			}
			select {
			case out <- d:
			case <-stopped:
				return
			}
		}
	}()
	return out, func() {
		close(stopped)
		for range out { // until it has ended
		}
	}
}

// applyNew takes a version of a record that is not here.
func (t *tx) applyNew(kind record.Kind, d *drawing, m *minter, a *Applied) error {
	if kind == record.Witness {
		return t.applyWitness(&d.Incoming, m, a)
	}
	if d.Version.Vector[m.replica] > 0 {
		return errForked
	}
	if d.err != nil {
		return d.err
	}
	t.receive(d.Version.Vector)
	a.Changed++
	return t.versionedAs(d.row, d.Version, d.VersionID, d.drawn)
}

// applyKnown takes a version of a record that is here.
func (t *tx) applyKnown(kind record.Kind, in *Incoming, m *minter, a *Applied) error {
	if kind == record.Witness {
		return t.applyWitness(in, m, a)
	}
	r, err := t.rowByID(in.ID)
	if err == nil && r == nil {
		err = fmt.Errorf("the index names a record that is not there: %w", ErrDamaged)
	}
	if err != nil {
		return err
	}
	if r.dirty && r.hold == holdNone && r.before != nil {
		// Minting it takes its loss out: that is judged first, with all the others.
		if err := t.judge(r.kind, 0); err != nil {
			return fmt.Errorf("judge deletions: %w", err)
		}
		if r, err = t.rowByID(in.ID); err != nil {
			return err
		}
	}
	switch {
	case r.kind != kind:
		return t.problem("clash", "a version came for a record of another kind and was left aside", &r.id)
	case r.vid != nil && *r.vid == in.VersionID:
		t.receive(in.Version.Vector)
		return t.dequeue(r)
	}
	base, err := t.current(r)
	if err != nil {
		return err
	}
	held, err := t.heldOf(r)
	if err != nil {
		return err
	}
	own := base.Vector[m.replica]
	if held != nil {
		own = max(own, held.Vector[m.replica])
	}
	// SECURITY: a dot of the own replica id that this device did not write.
	if in.Version.Vector[m.replica] > own {
		return errForked
	}
	t.receive(in.Version.Vector)
	if r.hold == holdHeld && !base.Vector.Includes(in.Version.Vector) {
		start := m.counter
		_, next, _, err := t.merged(r, base, in.Version, m)
		m.counter = start
		loss := lossNone
		if err == nil {
			loss, err = t.lossOf(r, base, next)
		}
		switch {
		case err != nil || loss != lossNone:
		case r.deleted:
			err = t.reject(r)
		default: // the values that were written here are nowhere else: they go out
			err = t.setHold(r, holdReleased)
		}
		if err != nil {
			return err
		}
	}
	return t.join(r, base, in, m, a)
}

// current returns the version of a row.
func (t *tx) current(r *row) (*record.Version, error) {
	v, _, _, err := t.s.version(r)
	return v, err
}

func (t *tx) join(r *row, base *record.Version, in *Incoming, m *minter, a *Applied) error {
	own := base
	if r.dirty && r.hold != holdHeld {
		if err := t.mintRow(r); err != nil {
			return err
		}
		if !r.dirty {
			v, err := t.current(r)
			if err != nil {
				return err
			}
			own = v
		}
	}
	got, next, clashes, err := t.merged(r, own, in.Version, m)
	if err != nil {
		return err
	}
	for _, c := range clashes {
		if c.Dot.Replica == m.replica && c.Dot.Counter > r.ackedOf(base, m.replica) {
			return errForked
		}
		a.Clashes = append(a.Clashes, Clash{r.id, c.Key})
	}
	if len(clashes) > 0 {
		if err := t.problem("clash", "two contents had one identity; both were kept", &r.id); err != nil {
			return err
		}
	}
	loss, err := t.lossOf(r, own, next)
	if err != nil {
		return err
	}
	if loss != lossNone {
		return t.setAside(r, own, got, loss, in, m.replica, a)
	}
	encoded, err := record.Encode(next)
	if err != nil { // too many values to hold both: the cloud keeps both
		return t.problem("too-large", "two versions of a record can not be merged: "+err.Error(), &r.id)
	}
	id := t.s.hash.VersionID(r.kind, r.id, encoded)
	acked := max(r.ackedOf(base, m.replica), in.Version.Vector[m.replica])
	if r.held != nil {
		acked = max(acked, r.held.ackedOf(m.replica))
	}
	if r.vid != nil && id == *r.vid {
		return t.raiseAcked(r, acked)
	}
	a.Changed++
	if r.dirty {
		err = t.rebase(r, next, id)
	} else {
		err = t.versioned(r, next, id)
	}
	if err != nil {
		return err
	}
	if id == in.VersionID {
		return t.dequeue(r)
	}
	a.ToPush = append(a.ToPush, Ref{r.id, id})
	return t.queue(r, acked)
}

// ackedOf is the highest own counter in the record that the cloud acknowledged
// or sent. base is the version the row had before this transaction.
func (r *row) ackedOf(base *record.Version, own record.ReplicaID) uint64 {
	if r.queued {
		return r.acked
	}
	return base.Vector[own]
}

// rebase puts a version under the document of a row that stays dirty, because
// it is held or can not be minted.
func (t *tx) rebase(r *row, v *record.Version, id record.VersionID) error {
	fields := shown(r.kind, v)
	d, err := makeDocument(r.kind, fields)
	if err != nil {
		return err
	}
	state := encodeState(v, fields)
	if err := t.carry(r, fields); err != nil {
		return err
	}
	if err := t.replaceVersion(r, v, id); err != nil {
		return err
	}
	r.state, r.before, r.wasDeleted, r.noRefs = state, &d, v.Dead(), false
	return errors.Join(
		t.exec("UPDATE record SET vid = ?, state = ?, conflicts = ? WHERE n = ?", id[:], state, len(conflictKeys(r.kind, v, fields)), r.n),
		t.exec("UPDATE dirty SET doc = ?, par = ?, raw = ?, deleted = ? WHERE n = ?", d.doc, text(d.par), d.raw, r.wasDeleted, r.n),
		t.addRefs(r.n, v.Chunks()))
}

// carry lets the document of a dirty row follow what its version becomes, but
// for what was edited here: else a later minting would take the old values for
// edits, and write them over the new ones.
func (t *tx) carry(r *row, next []record.Field) error {
	if r.before == nil {
		return nil
	}
	before, err := r.before.fields(r.kind)
	if err != nil {
		return err
	}
	own, err := r.document.fields(r.kind)
	if err != nil {
		return err
	}
	merged := carried(before, own, next)
	if sameFields(own, merged) {
		return nil
	}
	d, err := makeDocument(r.kind, merged)
	if err != nil {
		return err
	}
	if len(d.doc)+len(d.par) > documentMost && len(d.doc) > len(r.doc) {
		return nil // the guard of the schema would end the transaction: the edit stays as it is
	}
	return t.written(r, merged, r.deleted)
}

// documentMost is how large a document the guards of the schema let grow, in bytes.
const documentMost = 230_000

// carried gives next with the edits that lead from before to own.
func carried(before, own, next []record.Field) []record.Field {
	find := func(fields []record.Field, key string) *record.Field {
		i := slices.IndexFunc(fields, func(f record.Field) bool { return f.Key == key })
		if i < 0 {
			return nil
		}
		return &fields[i]
	}
	same := func(a, b *record.Field) bool {
		return a == nil && b == nil || a != nil && b != nil && bytes.Equal(a.Line, b.Line) && a.Blob.Equal(b.Blob)
	}
	var merged []record.Field
	for i := range next {
		key := next[i].Key
		switch mine := find(own, key); {
		case same(find(before, key), mine):
			merged = append(merged, next[i])
		case mine != nil:
			merged = append(merged, *mine)
		}
	}
	for i := range own {
		if key := own[i].Key; find(next, key) == nil && !same(find(before, key), &own[i]) {
			merged = append(merged, own[i])
		}
	}
	return merged
}

// dequeue notes that the cloud has the row's version.
func (t *tx) dequeue(r *row) error {
	if !r.queued {
		return nil
	}
	r.queued, r.acked = false, 0
	return t.exec("DELETE FROM outbox WHERE n = ?", r.n)
}

func (t *tx) raiseAcked(r *row, acked uint64) error {
	if !r.queued || acked <= r.acked {
		return nil
	}
	r.acked = acked
	return t.exec("UPDATE outbox SET acked = ? WHERE n = ?", int64(acked), r.n)
}
