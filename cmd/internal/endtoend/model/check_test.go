package model

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
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
	if err := w.cloud.reopen(nil); err != nil {
		return err
	}
	alive := w.everything()
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
	return w.sound()
}

// decide answers what is held, one way on all handsets, until nothing is.
func (w *world) decide() error {
	accept := w.serial%2 == 0
	for range 6 {
		waits := false
		for _, h := range w.handsets {
			for _, r := range h.rows {
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

// everything is every event that still exists somewhere, by record.
func (w *world) everything() map[record.ID]set {
	all := map[record.ID]set{}
	for _, h := range w.handsets {
		for id, r := range h.rows {
			all[id] = all[id].union(w.ledger.history(r.vid)).union(w.ledger.history(r.held))
		}
	}
	for id := range w.cloud.rows {
		all[id] = all[id].union(w.cloud.history(id))
	}
	return all
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
		if _, ok := first.rows[id]; !ok {
			return fmt.Errorf("I2: the cloud has %s, and %s has not", name(id), first.name)
		}
	}
	for _, h := range w.handsets {
		for id := range first.rows {
			if _, ok := h.rows[id]; !ok && first.rows[id].vid != nil {
				return fmt.Errorf("I2: %s lacks %s", h.name, name(id))
			}
		}
		for id, r := range h.rows {
			if r.dirty && (r.vid != nil || !r.deleted) {
				return fmt.Errorf("I6: %s of %s was never sent (hold %d)", name(id), h.name, r.hold)
			}
			if r.vid == nil {
				continue
			}
			if f := first.rows[id]; f.vid == nil || *f.vid != *r.vid {
				return fmt.Errorf("I2: %s differs on %s and %s:\n  %s\n  %s", name(id), first.name, h.name, w.show(f.vid), w.show(r.vid))
			}
			if at := w.cloud.rows[id]; len(at) != 1 || !at[*r.vid] {
				return fmt.Errorf("I2: %s of %s is not what the cloud holds (%d versions)", name(id), h.name, len(at))
			}
		}
		if err := h.proven(); err != nil {
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

// proven checks that the handset says that it is in sync, as `status` would.
func (h *handset) proven() error {
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
	rows := w.handsets[0].rows
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
		for id, row := range h.rows { // what an app reads is what the version shows
			if row.vid == nil {
				continue
			}
			rec, err := h.store.Get(w.ctx, id)
			if err != nil {
				return err
			}
			lines := w.ledger.versions[*row.vid].version.Lines()
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
