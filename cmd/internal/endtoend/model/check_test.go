package model

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// roundsMax is how often every handset may sync before all is at rest.
const roundsMax = 8

// rest ends all faults, lets everything come to rest, and checks what must hold then.
func (w *world) rest() error {
	for _, h := range w.handsets {
		if h.link != nil {
			if err := h.link.lose(1); err != nil {
				return fmt.Errorf("at the end: %w", err)
			}
		}
	}
	if err := w.cloud.whole(); err != nil {
		return err
	}
	// A cloud that runs on learns of lost rows when somebody misses them; of lost
	// pieces of pictures with its daily scrub, or when it starts.
	if w.cloud.doubted && !w.cloud.pieces && w.serial%2 == 0 {
		if _, err := w.join(); err != nil {
			return err
		}
		if _, err := w.handsets[len(w.handsets)-1].sync(rngOf(w.serial), 0, 0); err != nil {
			return fmt.Errorf("a new handset at a cloud that lost rows: %w", err)
		}
	} else if err := w.cloud.reopen(nil); err != nil {
		return err
	}
	alive, pieces, err := w.everything()
	if err != nil {
		return err
	}
	if err := w.settle(); err != nil {
		return err
	}
	if err := w.decide(); err != nil {
		return err
	}
	if err := w.equal(); err != nil {
		return err
	}
	if err := w.nothingLost(alive); err != nil {
		return err
	}
	if err := w.pictures(pieces); err != nil {
		return err
	}
	// A new handset gets the same, and what is damaged comes to light.
	if _, err := w.join(); err != nil {
		return err
	}
	if err := w.settle(); err != nil {
		return fmt.Errorf("after a new handset joined: %w", err)
	}
	if err := w.equal(); err != nil {
		return fmt.Errorf("after a new handset joined: %w", err)
	}
	if err := w.nothingLost(alive); err != nil {
		return fmt.Errorf("after a new handset joined: %w", err)
	}
	if err := w.pictures(pieces); err != nil {
		return fmt.Errorf("after a new handset joined: %w", err)
	}
	return w.sound()
}

// decide answers what is held, one way on all handsets, until nothing is.
func (w *world) decide() error {
	accept := w.serial%2 == 0
	for range 6 {
		waits := false
		for _, h := range w.handsets {
			for _, r := range h.rows.records {
				waits = waits || r.hold == 1 || r.held != nil
			}
			do := h.reject
			if accept {
				do = h.accept
			}
			if err := do(); err != nil {
				return err
			}
		}
		if !waits {
			return nil
		}
		if err := w.settle(); err != nil {
			return fmt.Errorf("after decisions (accept %v): %w", accept, err)
		}
	}
	return fmt.Errorf("I6: something is held again and again (accept %v)", accept)
}

// everything is every event that still exists somewhere, by record, and every
// piece of a picture.
func (w *world) everything() (map[record.ID]set, map[record.ChunkID]bool, error) {
	all, pieces := map[record.ID]set{}, map[record.ChunkID]bool{}
	for _, h := range w.handsets {
		for id, r := range h.rows.records {
			all[id] = all[id].union(w.ledger.history(r.vid)).union(w.ledger.history(r.held))
		}
		maps.Copy(pieces, h.rows.chunks)
	}
	c := w.cloud
	for id := range c.rows {
		all[id] = all[id].union(c.history(id))
	}
	if len(c.poison) > 0 { // what it dominates comes back
		err := c.each("SELECT record, version FROM dominated WHERE aside = 0", func(scan func(...any) error) error {
			var id, vid []byte
			if err := scan(&id, &vid); err != nil {
				return err
			}
			if k := w.ledger.versions[record.VersionID(vid)]; k != nil && c.hasBad(k.id) {
				all[k.id] = all[k.id].union(k.events)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return all, pieces, c.each("SELECT header, body FROM chunk", func(scan func(...any) error) error {
		var s seal.Sealed
		if err := scan(&s.Header, &s.Body); err != nil {
			return err
		}
		if id, _, err := w.keys.OpenChunk(s); err == nil {
			pieces[id] = true
		}
		return nil
	})
}

// pictures checks that every piece that existed anywhere, and that a record
// refers to, is on every handset and at the cloud, and is what it should be.
func (w *world) pictures(existed map[record.ChunkID]bool) error {
	at := map[record.ChunkID]bool{}
	err := w.cloud.each("SELECT chunk FROM chunk", func(scan func(...any) error) error {
		var id []byte
		if err := scan(&id); err != nil {
			return err
		}
		at[record.ChunkID(id)] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, h := range w.handsets {
		for id, r := range h.rows.records {
			if r.vid == nil {
				continue
			}
			for _, piece := range w.ledger.versions[*r.vid].version.Chunks() {
				if !existed[piece] {
					continue
				}
				if _, err := h.store.Chunk(w.ctx, piece); err != nil {
					return fmt.Errorf("I1: %s lacks a piece of %s: %w", h.name, name(id), err)
				}
				if !at[piece] {
					return fmt.Errorf("I1: the cloud lacks a piece of %s, which %s has", name(id), h.name)
				}
			}
		}
	}
	return nil
}

// settle syncs all handsets in turn until nothing moves any more.
func (w *world) settle() error {
	for round := range roundsMax {
		moved := 0
		for i, h := range w.handsets {
			n, err := h.sync(rngOf(round, i), 0, 0)
			if err != nil {
				return fmt.Errorf("at rest, round %d: %w", round+1, err)
			}
			moved += n
		}
		w.clock = w.clock.Add(day)
		if moved == 0 {
			return nil
		}
	}
	return fmt.Errorf("I2: versions still move after %d rounds", roundsMax)
}

// equal is I2 and I4 at rest: all sides hold the same versions, and know it.
func (w *world) equal() error {
	first := w.handsets[0]
	for id := range w.cloud.rows {
		if _, ok := first.rows.records[id]; !ok {
			return fmt.Errorf("I2: the cloud has %s, and %s has not", name(id), first.name)
		}
	}
	for _, h := range w.handsets {
		for id := range first.rows.records {
			if _, ok := h.rows.records[id]; !ok && first.rows.records[id].vid != nil {
				return fmt.Errorf("I2: %s lacks %s", h.name, name(id))
			}
		}
		for id, r := range h.rows.records {
			if r.dirty && (r.vid != nil || !r.deleted) {
				return fmt.Errorf("I6: %s of %s was never sent (hold %d)", name(id), h.name, r.hold)
			}
			if r.vid == nil {
				continue
			}
			if f := first.rows.records[id]; f.vid == nil || *f.vid != *r.vid {
				return fmt.Errorf("I2: %s differs on %s and %s:\n  %s\n  %s", name(id), first.name, h.name, w.show(f.vid), w.show(r.vid))
			}
			if at := w.cloud.rows[id]; len(at) != 1 || !at[*r.vid] {
				return fmt.Errorf("I2: %s of %s is not what the cloud holds (%d versions)", name(id), h.name, len(at))
			}
		}
		if err := h.saysSo(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) show(vid *record.VersionID) string {
	if vid == nil {
		return "nothing"
	}
	return describe(w.ledger.versions[*vid].version)
}

// saysSo checks that the handset says that it is in sync, as `status` would.
func (h *handset) saysSo() error {
	st, err := h.store.Status(h.w.ctx)
	if err != nil {
		return err
	}
	if len(st.Withheld) > 0 {
		return fmt.Errorf("%s says that the cloud withholds, when all have synced: %+v", h.name, st.Withheld)
	}
	for kind, k := range st.Kinds {
		if k.Unsynced > 0 || k.Digest != k.Cloud.Digest || k.Cloud.ProvenAt.IsZero() && k.Digest.Count > 0 {
			return fmt.Errorf("I2: %s does not call %s in sync: %+v", h.name, kind, k)
		}
	}
	return nil
}

// nothingLost is I1 at rest: what existed when the faults stopped is among what
// the versions stand for. What those show was checked when they were made.
func (w *world) nothingLost(before map[record.ID]set) error {
	rows := w.handsets[0].rows.records
	for _, id := range slices.SortedFunc(maps.Keys(before), compareIDs) {
		now := w.ledger.history(rows[id].vid)
		for _, e := range before[id].ids() {
			if !w.ledger.kept(now, e) {
				return fmt.Errorf("I1: %s has lost %s\n  it is %s%s", name(id), w.ledger.events[e], w.show(rows[id].vid), w.ledger.describe(now))
			}
		}
	}
	return nil
}

// sound verifies every store.
func (w *world) sound() error {
	for _, h := range w.handsets {
		r, err := h.store.Verify(w.ctx, nil)
		if err != nil {
			return err
		}
		if len(r.Damage) > 0 {
			return fmt.Errorf("%s: verify: %v", h.name, r.Damage)
		}
		for id, row := range h.rows.records { // what an app reads is what the version shows
			if row.vid == nil {
				continue
			}
			rec, err := h.store.Get(w.ctx, id)
			if err != nil {
				return err
			}
			lines := display(row.kind, w.ledger.versions[*row.vid].version)
			if len(lines) != len(rec.Fields) {
				return fmt.Errorf("%s: %s shows %d fields of %d", h.name, name(id), len(rec.Fields), len(lines))
			}
			for i := range lines {
				if lines[i].Key != rec.Fields[i].Key || !bytes.Equal(lines[i].Line, rec.Fields[i].Line) {
					return fmt.Errorf("%s: %s shows %q, not %q", h.name, name(id), rec.Fields[i].Line, lines[i].Line)
				}
			}
		}
	}
	if err := w.cloud.scan(); err != nil {
		return err
	}
	if n := len(w.cloud.damaged); n > 0 {
		return fmt.Errorf("the cloud still serves %d damaged versions", n)
	}
	var found []string
	_, err := w.cloud.store.Verify(w.ctx, func(p cloudstore.Problem) {
		// What was damaged and then dominated or set aside is kept as it is.
		if !w.cloud.corrupted || !strings.Contains(p.What, "checksum") {
			found = append(found, p.What)
		}
	})
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("the cloud's verify: %q", found)
	}
	return nil
}
