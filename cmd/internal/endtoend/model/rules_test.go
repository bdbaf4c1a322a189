package model

import (
	"fmt"
	"slices"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// The rules that a lost write would show late, or only with bad luck, are
// looked at directly: which dots may be on which replica id, what is marked as
// acknowledged, what is held, how much may be lost in a day.

// marks checks that what counts as acknowledged was, and that what the cloud has
// not acknowledged waits to be sent.
func (t *transition) marks() error {
	h := t.h
	has, may, own := h.has[t.id], h.may[t.id], h.rows.replica
	check := func(what string, v record.Vector, queued bool, acked uint64) error {
		if v[own] > h.rows.counter {
			return fmt.Errorf("P3: %s of %s has seen write %d of this device, which made %d", what, name(t.id), v[own], h.rows.counter)
		}
		if !queued {
			if !may.Includes(v) {
				return fmt.Errorf("%s of %s, %s, is not to be sent, and the cloud is only known to have seen %s", what, name(t.id), describeVector(v), describeVector(may))
			}
			return nil
		}
		if got := min(acked, v[own]); got < min(has[own], v[own]) || got > min(may[own], v[own]) {
			return fmt.Errorf("C5: %s of %s, %s, is marked as acknowledged up to %d; the cloud acknowledged or sent %d (at most %d)",
				what, name(t.id), describeVector(v), acked, has[own], may[own])
		}
		return nil
	}
	if t.now.held != nil {
		if err := check("the held version", h.w.ledger.versions[*t.now.held].version.Vector, t.now.heldQueued, t.now.heldAcked); err != nil {
			return err
		}
	}
	if t.now.vid == nil || t.now.held != nil && t.now.over {
		return nil
	}
	return check("the version", h.w.ledger.versions[*t.now.vid].version.Vector, t.now.queued, t.now.acked)
}

// moved is C5: after a fork the old replica id names what the cloud
// acknowledged or sent, and nothing more; that keeps its dots.
func (t *transition) moved(k, held *known) error {
	if t.was == t.h.rows.replica || t.was == (record.ReplicaID{}) {
		return nil
	}
	has, may := t.h.has[t.id][t.was], t.h.may[t.id][t.was]
	check := func(before *record.VersionID, after *known) error {
		if before == nil || after == nil {
			return nil
		}
		b := t.h.w.ledger.versions[*before].version
		seen := []record.Vector{after.version.Vector}
		for key, es := range after.version.Fields {
			for i := range es {
				if d := es[i].Dot; d.Replica == t.was && d.Counter > may {
					return fmt.Errorf("C5: %s of %s keeps the dot %s, and the cloud has seen %d: %s", key, name(t.id), describeDot(d), may, describe(after.version))
				}
				seen = append(seen, es[i].Seen)
			}
		}
		for _, v := range seen {
			if v[t.was] > may {
				return fmt.Errorf("C5: %s has a vector with write %d of the old replica id %s, and the cloud has seen %d: %s", name(t.id), v[t.was], short(t.was[:]), may, describe(after.version))
			}
		}
		if got, want := after.version.Vector[t.was], min(has, b.Vector[t.was]); got < want {
			return fmt.Errorf("C5: %s has forgotten the acknowledged write %d of the old replica id %s: %s", name(t.id), want, short(t.was[:]), describe(after.version))
		}
		for key, es := range b.Fields {
			for i := range es {
				d := es[i].Dot
				if d.Replica != t.was || d.Counter > has {
					continue
				}
				d.Replica = t.h.rows.replica
				if slices.ContainsFunc(after.version.Fields[key], func(e record.Entry) bool { return e.Dot == d }) {
					return fmt.Errorf("C5: %s of %s was acknowledged up to %d, and is written again as %s", key, name(t.id), has, describeDot(d))
				}
			}
		}
		return nil
	}
	if err := check(t.old.vid, k); err != nil {
		return err
	}
	return check(t.old.held, held)
}

// mayPurge is the condition of W6, and rule 3 of SECURITY.md.
func (t *transition) mayPurge() error {
	switch h := t.h; {
	case t.old.held != nil:
		return fmt.Errorf("W6: %s was purged while something of it is held", name(t.id))
	case !h.proven:
		return fmt.Errorf("W6: %s was purged by a device that was not in sync", name(t.id))
	case h.ran-h.trashed[t.id] < trashTime:
		return fmt.Errorf("%s was purged after %v of running time in the trash", name(t.id), h.ran-h.trashed[t.id])
	}
	return nil
}

// trashTime is how long a handset that runs all the time keeps what was deleted.
const trashTime = 30 * 24 * time.Hour

// holds checks what H1 to H4 and I6 say of the step from old to now.
func (t *transition) holds() error {
	h, l := t.h, t.h.w.ledger
	var before, after *record.Version
	if t.old.vid != nil {
		before = l.versions[*t.old.vid].version
	}
	if t.now.vid != nil {
		after = l.versions[*t.now.vid].version
	}
	if t.now.held != nil && t.now.state <= heldWaits {
		if err := t.blocked(after); err != nil {
			return err
		}
	}
	if before == nil || after == nil || before.Dead() || h.rows.replica != t.was {
		return nil
	}
	loss := after.Dead() || len(t.in) <= 1 && emptied(before, after)
	if !loss {
		return nil
	}
	person := h.accepting || t.old.state == heldAccepted || t.p != nil && t.p.accepted
	issued := t.p != nil && (t.p.deleted || !after.Dead() && t.p.emptied(before))
	if t.old.state == heldWaits && after.Dead() && !person && !issued {
		return fmt.Errorf("I6: %s waits for a person's word, and was deleted without it", name(t.id))
	}
	if t.old.hold == 1 && issued && !person && len(t.in) == 0 {
		return fmt.Errorf("I6: the loss of %s waits for a person's word, and was sent without it", name(t.id))
	}
	if person || t.now.kind != record.Contacts || issued && !after.Dead() && len(t.in) > 0 {
		return nil // what came ends the hold of an edit that emptied the record: it goes out
	}
	list, where := &h.took, "H1: let in"
	if issued {
		list, where = &h.gave, "H4: sent out"
	}
	now := h.now()
	*list = append(slices.DeleteFunc(*list, func(at time.Time) bool { return now.Sub(at).Abs() >= 24*time.Hour }), now)
	if len(*list) > brakeMin {
		return fmt.Errorf("%s %d losses of contacts within a day without a person's word, the last of %s", where, len(*list), name(t.id))
	}
	return nil
}

// waiting counts by kind the losses that went out within a day, and what waits to
// go out and may be one: a deletion, or an edit that takes or replaces a value.
func (h *handset) waiting() map[record.Kind]int {
	count, now := map[record.Kind]int{}, h.now().Unix()
	for id, p := range h.pending {
		r := h.rows.records[id]
		if r.vid == nil {
			continue
		}
		if base := h.w.ledger.versions[*r.vid].version; !base.Dead() && (p.deleted || p.gone(r.kind, base) > 0) {
			count[r.kind]++
		}
	}
	for _, s := range h.rows.spent {
		if now-s.at < 24*60*60 && s.at-now < 24*60*60 {
			count[s.kind] += s.count
		}
	}
	return count
}

// blocked is H2: nothing is held that would take nothing.
func (t *transition) blocked(own *record.Version) error {
	l := t.h.w.ledger
	if own.Dead() && !t.now.dirty {
		return fmt.Errorf("I6: the deletion of %s is held, and it is deleted here too", name(t.id))
	}
	all := l.view(l.history(t.now.vid).union(l.history(t.now.held)))
	if all.dead || own.Dead() {
		return nil
	}
	for _, f := range display(t.now.kind, own) {
		if !slices.ContainsFunc(all.values[f.Key], func(e *event) bool { return e.value == content(f.Line, f.Blob) }) {
			return nil // it has a value that would be lost
		}
	}
	return fmt.Errorf("I6: something of %s is held, and would take nothing from it:\n  it is %s\n  held %s", name(t.id), describe(own), describe(l.versions[*t.now.held].version))
}

// emptied reports whether more than half of the keys of a record are gone.
func emptied(before, after *record.Version) bool {
	keys := before.Keys()
	gone := 0
	for _, key := range keys {
		if len(after.Fields[key]) == 0 {
			gone++
		}
	}
	return 2*gone > len(keys)
}

// emptied reports whether what the app wants leaves less than half of the keys.
func (p *pending) emptied(before *record.Version) bool {
	keys := before.Keys()
	gone := 0
	for _, key := range keys {
		if !slices.ContainsFunc(p.fields, func(f record.Field) bool { return f.Key == key }) {
			gone++
		}
	}
	return 2*gone > len(keys)
}

// gone counts the values that what the app wants takes away or replaces.
func (p *pending) gone(kind record.Kind, before *record.Version) int {
	gone := 0
	for _, b := range display(kind, before) {
		if !slices.ContainsFunc(p.fields, func(f record.Field) bool {
			return f.Key == b.Key && content(f.Line, f.Blob) == content(b.Line, b.Blob)
		}) {
			gone++
		}
	}
	return gone
}

// sums checks the stored digests, and that no piece of a picture that a record
// refers to has gone.
func (h *handset) sums(before *rows) error {
	for kind, d := range h.rows.count() {
		if kept := h.rows.digests[kind]; !kept.Equal(d) {
			return fmt.Errorf("%s: the digest of %s counts %d versions, and there are %d (or others)", h.name, kind, kept.Count, d.Count)
		}
	}
	for kind, kept := range h.rows.digests {
		if _, ok := h.rows.count()[kind]; !ok && kind != record.Witness && kept != (rangeset.Digest{}) {
			return fmt.Errorf("%s: the digest of %s counts %d versions of none", h.name, kind, kept.Count)
		}
	}
	for id := range before.chunks {
		if h.rows.chunks[id] {
			continue
		}
		for rid, r := range h.rows.records {
			for _, vid := range []*record.VersionID{r.vid, r.held} {
				if vid != nil && slices.Contains(h.w.ledger.versions[*vid].version.Chunks(), id) {
					return fmt.Errorf("%s: a piece of %s has gone, and it refers to it", h.name, name(rid))
				}
			}
		}
	}
	return nil
}
