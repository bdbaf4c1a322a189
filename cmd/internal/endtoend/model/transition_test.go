package model

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// news is what an event brought to a handset.
type news struct {
	versions map[record.ID][]record.VersionID // that came
	acked    map[record.ID]record.Vector      // that the cloud acknowledged
	aborted  bool                             // the store may have kept nothing of it
	partly   bool                             // or some
}

// vectors is what the cloud is known to have seen, by the news.
func (n news) vectors(l *ledger) map[record.ID]record.Vector {
	all := maps.Clone(n.acked)
	if all == nil {
		all = map[record.ID]record.Vector{}
	}
	for id, vids := range n.versions {
		for _, vid := range vids {
			all[id] = all[id].Join(l.versions[vid].version.Vector)
		}
	}
	return all
}

// look reads the rows and notes what died.
func (h *handset) look() error {
	rows, err := h.scan()
	if err != nil {
		return err
	}
	for id, r := range rows.records {
		if r.deleted && !h.rows.records[id].deleted {
			h.trashed[id] = h.ran
		}
	}
	h.rows = rows
	return nil
}

// settled takes what happened in the store during one event, and checks it.
func (h *handset) settled(n news) error {
	before, waiting := h.rows, h.waiting()
	if err := h.look(); err != nil {
		return err
	}
	for id, v := range n.vectors(h.w.ledger) {
		switch {
		case !n.aborted:
			h.has[id], h.may[id] = h.has[id].Join(v), h.may[id].Join(v)
		case n.partly:
			h.may[id] = h.may[id].Join(v)
		}
	}
	if h.rows == before && len(n.versions) == 0 {
		return nil
	}
	for _, id := range slices.SortedFunc(maps.Keys(h.rows.records), compareIDs) {
		t := transition{h: h, id: id, old: before.records[id], now: h.rows.records[id], was: before.replica, in: n.versions[id], aborted: n.aborted}
		t.mass = waiting[t.now.kind] > brakeMin
		if err := t.run(); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		if err := t.marks(); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	for id := range before.records {
		if _, ok := h.rows.records[id]; !ok && before.records[id].vid != nil {
			return fmt.Errorf("%s: I1: the row of %s is gone", h.name, name(id))
		}
		if _, ok := h.rows.records[id]; !ok {
			delete(h.pending, id) // erased: nobody else ever saw it
		}
	}
	return h.sums(before)
}

func compareIDs(a, b record.ID) int { return bytes.Compare(a[:], b[:]) }

// transition is what became of one record of one handset in one event.
type transition struct {
	h        *handset
	id       record.ID
	old, now row
	was      record.ReplicaID // whose dots the handset wrote before
	in       []record.VersionID
	aborted  bool
	mass     bool // what of its kind waited to go out may have been more than may without a person's word

	p *pending // what was issued
}

func (t *transition) run() error {
	h, l := t.h, t.h.w.ledger
	same, sameHeld := equalIDs(t.now.vid, t.old.vid), equalIDs(t.now.held, t.old.held)
	p := h.pending[t.id]
	if same && sameHeld && len(t.in) == 0 && (p == nil || t.now.dirty) && h.rows.replica == t.was {
		return nil
	}
	if t.now.vid == nil && t.old.vid != nil {
		return fmt.Errorf("the version of %s is gone", name(t.id))
	}
	k, err := t.read(t.now.vid, false)
	if err != nil {
		return err
	}
	held, err := t.read(t.now.held, true)
	if err != nil {
		return err
	}
	if err := t.moved(k, held); err != nil {
		return err
	}
	if p != nil && t.old.dirty && t.now.dirty && !same && t.now.hold != 1 && h.rows.replica == t.was {
		return fmt.Errorf("W2: %s was changed by what came before its edits were issued", name(t.id))
	}
	if p != nil && t.now.dirty && !same && t.old.vid != nil && h.rows.replica == t.was {
		if err := t.carried(p, k.version); err != nil {
			return err
		}
	}
	events, beside := l.history(t.old.vid), l.history(t.old.held)
	if h.rows.replica != t.was {
		if p != nil && t.now.dirty && !same && t.old.vid != nil && p.shown == nil {
			p.shown = t.edited(p) // a dot that moved may come before its sibling; the app wrote nothing by that
		}
		if !same && t.old.vid != nil {
			events = l.fork(events, t.was, h.rows.replica, k.version.Vector[t.was], k.version.Vector[h.rows.replica])
		}
		if !sameHeld && held != nil && t.old.held != nil {
			beside = l.fork(beside, t.was, h.rows.replica, held.version.Vector[t.was], held.version.Vector[h.rows.replica])
		}
	}
	waited := t.old.hold == 1 || t.old.hold == 0 && t.mass && t.old.vid != nil && !l.versions[*t.old.vid].version.Dead() // it was, or was to be when something came
	wentOut := k != nil && slices.ContainsFunc(k.version.Fields[record.KeyDeleted], func(e record.Entry) bool {
		return e.Dot.Replica == h.rows.replica && !l.dots[e.Dot]
	})
	if p != nil && p.deleted && waited && !wentOut && !(t.now.dirty && t.now.deleted) && len(t.in) > 0 && t.fresh() {
		p.deleted = false // what came is newer than the deletion that was held
	}
	if p != nil && !t.now.dirty {
		t.p = p
		delete(h.pending, t.id)
		issued := t.issue(p, events, k)
		if !issued.minus(events).empty() && same {
			return fmt.Errorf("I1: edits of %s were dropped:%s", name(t.id), l.describe(issued.minus(events)))
		}
		events = issued
	}
	if h.purging && !same && p == nil && k.version.Purged() && !t.base().Purged() {
		if err := t.mayPurge(); err != nil {
			return err
		}
		events = events.with(l.add(event{rec: t.id, kind: purge, replica: h.rows.replica, counter: k.version.Vector[h.rows.replica], past: events, by: h.name}).id)
	}
	// What came is in the version, or in what is set aside beside it.
	all := events.union(beside)
	aside := beside
	for _, vid := range t.in {
		if t.aborted && same && sameHeld {
			continue
		}
		in := l.versions[vid]
		all = all.union(in.events)
		if k.version.Vector.Includes(in.version.Vector) {
			events = events.union(in.events)
		} else {
			aside = aside.union(in.events)
		}
	}
	switch {
	case held == nil:
		events = all
	case l.versions[*t.now.vid] == nil && t.old.held != nil && k.version.Vector.Includes(l.versions[*t.old.held].version.Vector):
		events = events.union(beside) // what was set aside went in, and what came may be set aside now
	}
	if held != nil && !sameHeld && l.versions[held.vid] == nil {
		held.events = aside
		if err := l.rescues(held, h.name); err != nil {
			return err
		}
		if err := l.enter(held); err != nil {
			return fmt.Errorf("set aside: %w\n  was %s", err, t.describeOld())
		}
	}
	if !same && l.versions[k.vid] == nil {
		k.events = events
		brought := slices.ContainsFunc(k.version.Fields[record.KeyAlive], func(e record.Entry) bool { return !l.dots[e.Dot] })
		if t.old.state == heldRejected && held == nil && t.p == nil && len(t.in) == 0 && !brought {
			return fmt.Errorf("H3: the loss of %s was rejected, and nothing brings it back: %s\n  was %s", name(t.id), describe(k.version), t.describeOld())
		}
		if t.old.state == heldRejected && held == nil && brought { // an edit of its own may have ended the hold
			if err := t.rejected(k, events); err != nil {
				return err
			}
		}
		if err := l.rescues(k, h.name); err != nil {
			return err
		}
		if err := l.enter(k); err != nil {
			return fmt.Errorf("%w\n  was %s", err, t.describeOld())
		}
		if err := t.maimed(k); err != nil {
			return err
		}
	}
	if err := t.holds(); err != nil {
		return err
	}
	have := l.history(t.now.vid).union(l.history(t.now.held))
	if lost := l.untwinned(all.minus(have), have); !lost.empty() {
		return fmt.Errorf("I1: %s lacks%s\n  it is %s\n  was %s", name(t.id), l.describe(lost), describe(k.version), t.describeOld())
	}
	return nil
}

// carried notes that a record which waits to go out follows what came in, but for
// what was edited in it.
func (t *transition) carried(p *pending, next *record.Version) error {
	value := func(fields []record.Field) map[string]string {
		all := map[string]string{}
		for _, f := range fields {
			all[f.Key] = content(f.Line, f.Blob)
		}
		return all
	}
	before, own, want := value(t.edited(p)), value(p.fields), value(display(t.now.kind, next))
	for key, v := range own {
		if before[key] != v {
			want[key] = v
		}
	}
	for key := range before {
		if _, ok := own[key]; !ok {
			delete(want, key)
		}
	}
	now, err := t.h.store.Get(t.h.w.ctx, t.id)
	if err != nil {
		return err
	}
	if got := value(now.Fields); !maps.Equal(got, want) {
		return fmt.Errorf("I1: %s waits to go out with %v, and should with %v", name(t.id), got, want)
	}
	p.fields, p.shown = now.Fields, nil
	return nil
}

// edited is what the app saw when it began to edit.
func (t *transition) edited(p *pending) []record.Field {
	if p.shown != nil {
		return p.shown
	}
	return display(t.now.kind, t.base())
}

// fresh reports whether something of what came was unknown to the record.
func (t *transition) fresh() bool {
	b := t.base()
	return b == nil || slices.ContainsFunc(t.in, func(vid record.VersionID) bool {
		return !b.Vector.Includes(t.h.w.ledger.versions[vid].version.Vector)
	})
}

// read gives what the ledger knows of a version that the row has now, or what
// the store says of it.
func (t *transition) read(vid *record.VersionID, held bool) (*known, error) {
	if vid == nil {
		return nil, nil
	}
	if k := t.h.w.ledger.versions[*vid]; k != nil {
		return k, nil
	}
	if held {
		var b []byte
		if err := t.h.db.QueryRow("SELECT version FROM held WHERE vid = ?", vid[:]).Scan(&b); err != nil {
			return nil, err
		}
		v, err := record.Decode(b)
		return &known{kind: t.now.kind, id: t.id, vid: *vid, version: v}, err
	}
	o, err := t.h.store.Version(context.Background(), t.id)
	if err != nil {
		return nil, err
	}
	if o.VersionID != *vid {
		return nil, fmt.Errorf("version of %s is %s, and its row says %s", name(t.id), o.VersionID, vid)
	}
	return &known{kind: o.Kind, id: t.id, vid: o.VersionID, version: o.Version}, nil
}

// rejected makes events of what undoing a held deletion wrote: values that were
// there on one side, under fresh dots. No key of the record may be missing.
func (t *transition) rejected(k *known, past set) error {
	l := t.h.w.ledger
	possible := l.view(past).loose
	for key, es := range l.view(l.history(t.old.vid)).values {
		possible[key] = append(slices.Clone(possible[key]), es...)
	}
	add := func(e event) {
		e.rec, e.replica, e.counter, e.past, e.by = t.id, t.h.rows.replica, k.version.Vector[t.h.rows.replica], past, t.h.name+" rejects"
		k.events = k.events.with(l.add(e).id)
	}
	for _, key := range k.version.Keys() {
		for i := range k.version.Fields[key] {
			e := &k.version.Fields[key][i]
			if l.dots[e.Dot] {
				continue
			}
			value := content(e.Line, e.Blob)
			if !slices.ContainsFunc(possible[key], func(o *event) bool { return o.value == value }) {
				return fmt.Errorf("%s: a reject wrote %s=%s, which nobody wrote", name(t.id), key, value)
			}
			add(event{kind: write, key: key, value: value})
		}
	}
	add(event{kind: alive})
	if b := t.base(); b != nil {
		for _, key := range b.Keys() {
			removed := slices.ContainsFunc(l.of(past), func(o *event) bool { return o.kind == remove && o.key == key })
			if len(k.version.Fields[key]) == 0 && !removed {
				return fmt.Errorf("I6: %s: a reject left out %s: %s", name(t.id), key, describe(k.version))
			}
		}
	}
	return nil
}

func equalIDs(a, b *record.VersionID) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func (t *transition) base() *record.Version {
	if t.old.vid == nil {
		return nil
	}
	return t.h.w.ledger.versions[*t.old.vid].version
}

func (t *transition) describeOld() string {
	s := "nothing"
	if b := t.base(); b != nil {
		s = describe(b)
	}
	if t.old.held != nil {
		s += "\n  held " + describe(t.h.w.ledger.versions[*t.old.held].version)
	}
	for _, vid := range t.in {
		s += "\n  came " + describe(t.h.w.ledger.versions[vid].version)
	}
	return s
}

// issue makes events of what the app wanted, against the version that it saw.
func (t *transition) issue(p *pending, seen set, k *known) set {
	h, l := t.h, t.h.w.ledger
	var base []record.Field
	var keys []string
	dead := false
	if b := t.base(); b != nil {
		base, keys, dead = t.edited(p), b.Keys(), b.Dead()
	}
	all := seen
	add := func(e event) {
		e.rec, e.replica, e.by = t.id, h.rows.replica, h.name
		if k != nil {
			e.counter = k.version.Vector[h.rows.replica]
		}
		all = all.with(l.add(e).id)
	}
	if dead && !p.deleted {
		past := all
		for _, es := range l.view(past).values {
			for _, e := range es {
				add(event{kind: write, key: e.key, value: e.value, past: past})
			}
		}
		add(event{kind: alive, past: past})
	}
	old := map[string]string{}
	for _, f := range base {
		old[f.Key] = content(f.Line, f.Blob)
	}
	touched := map[string]bool{}  // keys
	together := map[string]bool{} // merge units: their keys are written together
	for _, f := range p.fields {
		if was, there := old[f.Key]; !there || was != content(f.Line, f.Blob) || p.keys[f.Key] {
			touched[f.Key], together[pim.Unit(t.now.kind, f.Key)] = true, true
		}
	}
	for key := range old {
		if !slices.ContainsFunc(p.fields, func(f record.Field) bool { return f.Key == key }) {
			touched[key], together[pim.Unit(t.now.kind, key)] = true, true
		}
	}
	for _, f := range p.fields {
		if touched[f.Key] || together[pim.Unit(t.now.kind, f.Key)] {
			add(event{kind: write, key: f.Key, value: content(f.Line, f.Blob), past: all})
		}
	}
	for _, key := range keys {
		left := !slices.ContainsFunc(p.fields, func(f record.Field) bool { return f.Key == key })
		if left && (touched[key] || together[pim.Unit(t.now.kind, key)]) {
			add(event{kind: remove, key: key, past: all})
		}
	}
	if len(touched) > 0 && len(l.view(all).deletes) > 0 {
		add(event{kind: alive, past: all})
	}
	if p.deleted && !l.view(all).dead {
		add(event{kind: del, past: all})
	}
	return all
}

// maimed is I7: where a living version was joined into a living one, no key of
// it has vanished but by a write that saw it.
func (t *transition) maimed(k *known) error {
	if k.version.Dead() {
		return nil
	}
	inputs := slices.Clone(t.in)
	if t.old.vid != nil {
		inputs = append(inputs, *t.old.vid)
	}
	l := t.h.w.ledger
	for _, vid := range inputs {
		in := l.versions[vid]
		if in.version.Dead() || !in.events.minus(k.events).empty() { // or set aside beside it
			continue
		}
		for _, key := range in.version.Keys() {
			if len(k.version.Fields[key]) > 0 {
				continue
			}
			replaced := true
			for _, e := range l.view(in.events).values[key] {
				gone := slices.ContainsFunc(l.of(k.events), func(o *event) bool {
					return o.past.has(e.id) && ((o.kind == write || o.kind == remove) && o.key == key ||
						o.kind == purge && in.events.minus(o.past).empty()) // purged as a whole: nothing was written beside it
				})
				replaced = replaced && gone
			}
			if !replaced {
				return fmt.Errorf("I7: %s lives and has lost %s, which nobody removed: %s\n  of %s\n  was %s%s", name(t.id), key, describe(k.version), describe(in.version), t.describeOld(), l.describe(k.events))
			}
		}
	}
	return nil
}
