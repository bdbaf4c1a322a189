package localstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// Witness is one replica's statement of what it has seen when it was last in
// sync: evidence against a cloud that shows devices different states.
type Witness struct {
	Replica record.ReplicaID
	Device  string    // public key of the device, 64 hex digits
	Name    string    // what a person calls it
	Program string    // version of the program that wrote it
	At      time.Time // by the device's clock
	Kinds   map[record.Kind]rangeset.Digest
	Seen    record.Vector // highest dot of each replica in any version it holds, those of statements left out
}

// witnessKey is the one field of a statement's version.
const witnessKey = "WITNESS"

// witnessJSON is its value, after the key and a colon (SPEC.md section "Witnesses").
type witnessJSON struct {
	Format  int                             `json:"v"`
	Replica string                          `json:"replica"`
	Device  string                          `json:"device"`
	Name    string                          `json:"name"`
	Program string                          `json:"agent"`
	At      int64                           `json:"at"`
	Kinds   map[record.Kind]witnessKindJSON `json:"kinds"`
	Seen    map[string]uint64               `json:"seen"`
}

type witnessKindJSON struct {
	Count uint64 `json:"count"`
	Sum   string `json:"sum"`
}

// Testify writes this replica's statement anew if what it says has changed, and
// reports whether it did. device, name and program are w's; everything else is
// taken from the store. The caller has just found every kind equal to the
// cloud's, so that the cloud has whatever the statement claims. It needs an
// accepted claim.
func (s *Store) Testify(ctx context.Context, w Witness) (changed bool, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		m, err := t.mint()
		if err != nil {
			return err
		}
		w.Replica, w.At = m.replica, s.Now()
		if err := t.witnessed(&w); err != nil {
			return err
		}
		id := s.hash.RecordID(record.Witness, m.replica.String())
		rows, err := t.witnessRows()
		if err != nil {
			return err
		}
		for _, r := range rows {
			if old, ok := s.witnessOf(&r); ok && r.id == id && old.same(&w) {
				return nil
			}
		}
		line, err := w.line()
		if err != nil {
			return err
		}
		v := record.Set(record.New(), []record.Edit{{Key: witnessKey, Line: line}}, m)
		encoded, err := record.Encode(v)
		if err != nil {
			return err
		}
		changed, err = t.putWitness(&witnessRow{id: id, vid: s.hash.VersionID(record.Witness, id, encoded), encoded: encoded, v: v}, true)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("write the statement of what was seen: %w", err)
	}
	return changed, nil
}

// witnessed fills in what this device holds.
func (t *tx) witnessed(w *Witness) error {
	kinds, err := t.kinds()
	if err != nil {
		return err
	}
	w.Kinds = map[record.Kind]rangeset.Digest{}
	for _, k := range kinds {
		d, err := t.digest(k)
		if err != nil {
			return err
		}
		if d.Count > 0 {
			w.Kinds[k] = d
		}
	}
	w.Seen, err = t.seenVector()
	return err
}

// same reports whether two statements say the same, whenever they were made.
func (w *Witness) same(o *Witness) bool {
	a, b := *w, *o
	a.At, b.At = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

func (w *Witness) line() ([]byte, error) {
	j := witnessJSON{Format: 1, Replica: w.Replica.String(), Device: w.Device, Name: w.Name, Program: w.Program, At: w.At.Unix(),
		Kinds: map[record.Kind]witnessKindJSON{}, Seen: map[string]uint64{}}
	for k, d := range w.Kinds {
		j.Kinds[k] = witnessKindJSON{d.Count, hex.EncodeToString(d.Sum[:])}
	}
	for r, c := range w.Seen {
		j.Seen[r.String()] = c
	}
	b, err := json.Marshal(j)
	return append([]byte(witnessKey+":"), b...), err
}

// parseWitness reads what the one field of a statement says. One that it can
// not read is carried and says nothing.
func parseWitness(v *record.Version) (w Witness, ok bool) {
	e, ok := v.Shown(witnessKey)
	if !ok || len(e.Line) <= len(witnessKey) {
		return w, false
	}
	var j witnessJSON
	if err := json.Unmarshal(e.Line[len(witnessKey)+1:], &j); err != nil || j.Format != 1 || !parseHex(w.Replica[:], j.Replica) {
		return w, false
	}
	w.Device, w.Name, w.Program, w.At = j.Device, j.Name, j.Program, time.Unix(j.At, 0)
	w.Kinds, w.Seen = map[record.Kind]rangeset.Digest{}, record.Vector{}
	for k, d := range j.Kinds {
		digest := rangeset.Digest{Count: d.Count}
		if !k.Valid() || !parseHex(digest.Sum[:], d.Sum) {
			return w, false
		}
		w.Kinds[k] = digest
	}
	for r, c := range j.Seen {
		var id record.ReplicaID
		if !parseHex(id[:], r) || c == 0 || c > record.CounterMax {
			return w, false
		}
		w.Seen[id] = c
	}
	return w, true
}

func parseHex(dest []byte, text string) bool {
	if len(text) != 2*len(dest) {
		return false
	}
	_, err := hex.Decode(dest, []byte(text))
	return err == nil
}

// Witnesses returns the statements that are here, this device's own too: of each
// replica the newest, ordered by replica id.
func (s *Store) Witnesses(ctx context.Context) (all []Witness, err error) {
	err = s.read(ctx, func(c *session) error {
		all, err = s.witnesses(c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the statements of what was seen: %w", err)
	}
	return all, nil
}

func (s *Store) witnesses(c *session) ([]Witness, error) {
	rows, err := c.witnessRows()
	if err != nil {
		return nil, err
	}
	var all []Witness
	for i := range rows {
		if w, ok := s.witnessOf(&rows[i]); ok {
			all = append(all, w)
		}
	}
	slices.SortStableFunc(all, func(a, b Witness) int { return a.Replica.Compare(b.Replica) })
	return slices.CompactFunc(all, func(a, b Witness) bool { return a.Replica == b.Replica }), nil
}

// witnessOf reads a statement, if it is about the replica whose record it is.
func (s *Store) witnessOf(r *witnessRow) (Witness, bool) {
	if s.decodeWitness(r) != nil {
		return Witness{}, false
	}
	w, ok := parseWitness(r.v)
	return w, ok && s.hash.RecordID(record.Witness, w.Replica.String()) == r.id
}

// witnessRow is a row of table witness: one version of one replica's record.
type witnessRow struct {
	id      record.ID
	vid     record.VersionID
	encoded []byte
	ord     sql.NullInt64
	v       *record.Version // nil until decodeWitness
}

func (c *session) witnessRows() ([]witnessRow, error) {
	var rows []witnessRow
	err := c.each(func(scan func(...any) error) error {
		var r witnessRow
		var id, vid []byte
		if err := scan(&id, &vid, &r.encoded, &r.ord); err != nil {
			return err
		}
		copy(r.id[:], id)
		copy(r.vid[:], vid)
		rows = append(rows, r)
		return nil
	}, "SELECT id, vid, version, ord FROM witness ORDER BY id, vid")
	return rows, err
}

// decodeWitness reads the version of a row and asserts its id.
func (s *Store) decodeWitness(r *witnessRow) error {
	if r.v != nil {
		return nil
	}
	if s.hash.VersionID(record.Witness, r.id, r.encoded) != r.vid {
		return fmt.Errorf("a statement of what was seen does not have its id: %w", ErrDamaged)
	}
	v, err := record.Decode(r.encoded)
	if err != nil {
		return fmt.Errorf("a statement of what was seen: %w: %w", ErrDamaged, err)
	}
	r.v = v
	return nil
}

// putWitness enters a version among those of its record, of which none
// dominates another: what it dominates goes, and it is left out, and no news, if
// it is dominated. A damaged row goes, too: its version comes again. queue says
// that the cloud lacks it.
func (t *tx) putWitness(in *witnessRow, queue bool) (news bool, err error) {
	rows, err := t.witnessRows()
	if err != nil {
		return false, err
	}
	for i := range rows {
		r := &rows[i]
		if r.id != in.id {
			continue
		}
		damaged := t.s.decodeWitness(r)
		switch {
		case damaged == nil && r.vid == in.vid, damaged == nil && r.v.Vector.Dominates(in.v.Vector):
			return false, nil
		case damaged != nil || in.v.Vector.Dominates(r.v.Vector):
			if err := t.exec("DELETE FROM witness WHERE vid = ?", r.vid[:]); err != nil {
				return false, err
			}
		}
	}
	err = t.exec("INSERT INTO witness (vid, id, version) VALUES (?, ?, ?)", in.vid[:], in.id[:], in.encoded)
	if err == nil && queue {
		err = t.queueWitness(in.vid)
	}
	return true, err
}

// queueWitness puts a statement at the end of the outbox.
func (t *tx) queueWitness(vid record.VersionID) error {
	order, err := t.nextOrder()
	if err != nil {
		return err
	}
	return t.exec("UPDATE witness SET ord = ? WHERE vid = ? AND ord IS NULL", order, vid[:])
}

// applyWitness takes a statement that came.
func (t *tx) applyWitness(in *Incoming, m *minter, a *Applied) error {
	if in.Version.Vector[m.replica] > m.counter {
		return errForked
	}
	n, err := t.execCount("UPDATE witness SET ord = NULL WHERE vid = ?", in.VersionID[:])
	if err != nil || n > 0 {
		return err
	}
	t.receive(in.Version.Vector)
	encoded, err := record.Encode(in.Version)
	if err != nil {
		return err
	}
	news, err := t.putWitness(&witnessRow{id: in.ID, vid: in.VersionID, encoded: encoded, v: in.Version}, false)
	if news {
		a.Changed++
	}
	return err
}

// outgoingWitnesses reads the statements that the cloud has not acknowledged.
func (s *Store) outgoingWitnesses(ctx context.Context, after int64, maxRecords int) ([]Outgoing, error) {
	var out []Outgoing
	err := s.read(ctx, func(c *session) error {
		rows, err := c.witnessRows()
		if err != nil {
			return err
		}
		for i := range rows {
			r := &rows[i]
			if !r.ord.Valid || r.ord.Int64 <= after || s.decodeWitness(r) != nil {
				continue
			}
			out = append(out, Outgoing{Kind: record.Witness, ID: r.id, VersionID: r.vid, Version: r.v, Encoded: r.encoded, Order: r.ord.Int64})
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Outgoing) int { return int(a.Order - b.Order) })
	return out[:min(len(out), maxRecords)], err
}

// witnessIDs returns the versions of all statements that are here.
func (c *session) witnessIDs() (map[record.VersionID]bool, error) {
	ids := map[record.VersionID]bool{}
	err := c.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		ids[record.VersionID(b)] = true
		return nil
	}, "SELECT vid FROM witness")
	return ids, err
}

// dropOwnWitness forgets what a replica id that is given up had to say and the
// cloud may not have: another copy may go on under that id.
func (t *tx) dropOwnWitness(old record.ReplicaID) error {
	id := t.s.hash.RecordID(record.Witness, old.String())
	return t.exec("DELETE FROM witness WHERE id = ? AND ord IS NOT NULL", id[:])
}
