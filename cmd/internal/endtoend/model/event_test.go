package model

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"sidekeep/localstore/record"
)

// set is a set of event ids. It is never changed after it was made.
type set []uint64

func (s set) has(id int) bool { return id/64 < len(s) && s[id/64]&(1<<(id%64)) != 0 }

func (s set) with(ids ...int) set {
	n := slices.Clone(s)
	for _, id := range ids {
		for len(n) <= id/64 {
			n = append(n, 0)
		}
		n[id/64] |= 1 << (id % 64)
	}
	return n
}

func (s set) union(o set) set {
	if len(s) < len(o) {
		s, o = o, s
	}
	n := slices.Clone(s)
	for i := range o {
		n[i] |= o[i]
	}
	return n
}

func (s set) minus(o set) set {
	n := slices.Clone(s)
	for i := range n {
		if i < len(o) {
			n[i] &^= o[i]
		}
	}
	return n
}

func (s set) empty() bool { return s.count() == 0 }

func (s set) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s set) ids() []int {
	var ids []int
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			ids = append(ids, i*64+bits.TrailingZeros64(w))
		}
	}
	return ids
}

type eventKind int

const (
	write eventKind = iota
	remove
	alive
	del
	purge
)

func (k eventKind) String() string {
	return [...]string{"write", "remove", "alive", "delete", "purge"}[k]
}

// event is one write of one record, under a fresh identity, with what its
// writer had seen of the record.
type event struct {
	id      int
	rec     record.ID
	kind    eventKind
	key     string // of write and remove
	value   string
	rescued bool // written by a merge with a purge
	replica record.ReplicaID
	counter uint64 // of the version that brought it: not below that of its dot
	past    set
	copies  []int  // what became of it when its replica was given up before the cloud had it
	by      string // for people
}

func (e *event) String() string {
	s := fmt.Sprintf("#%d %s %s", e.id, e.by, e.kind)
	if e.key != "" {
		s += " " + e.key
	}
	if e.value != "" {
		s += "=" + e.value
	}
	if e.rescued {
		s += " (rescued)"
	}
	return s + fmt.Sprintf(" seen %v", e.past.ids())
}

// chronicle is every event of a history.
type chronicle struct{ events []*event }

func (c *chronicle) add(e event) *event {
	e.id = len(c.events)
	c.events = append(c.events, &e)
	return &e
}

func (c *chronicle) of(s set) []*event {
	ids := s.ids()
	es := make([]*event, len(ids))
	for i, id := range ids {
		es[i] = c.events[id]
	}
	return es
}

func (c *chronicle) describe(s set) string {
	var b strings.Builder
	for _, e := range c.of(s) {
		fmt.Fprintf(&b, "\n    %s", e)
	}
	return b.String()
}

// view is what a set of events of one record amounts to.
type view struct {
	values  map[string][]*event // writes that no other event has replaced
	loose   map[string][]*event // the same, as if nothing had been purged
	deletes []*event            // that no sign of life has seen
	dead    bool
}

// view says what must show when exactly these events are known: a value shows
// unless an event that saw it replaced it, and the record is dead if it was
// deleted and nobody wrote to it who had not seen that.
func (c *chronicle) view(s set) view {
	v := view{values: map[string][]*event{}, loose: map[string][]*event{}}
	es := c.of(s)
	var life []*event
	for _, e := range es {
		gone, purged := false, false
		for _, o := range es {
			if !o.past.has(e.id) {
				continue
			}
			switch e.kind {
			case write, remove:
				gone = gone || (o.kind == write || o.kind == remove) && o.key == e.key && !o.rescued
				purged = purged || o.kind == purge || o.rescued && o.key == e.key
			case del, purge:
				gone = gone || o.kind == alive || o.kind == del || o.kind == purge
			case alive:
				gone = gone || o.kind == alive || o.kind == purge
			}
		}
		switch {
		case gone:
		case e.kind == write:
			v.loose[e.key] = append(v.loose[e.key], e)
			if !purged {
				v.values[e.key] = append(v.values[e.key], e)
				if !e.rescued {
					life = append(life, e)
				}
			}
		case e.kind == alive:
			life = append(life, e)
		case e.kind == del, e.kind == purge:
			v.deletes = append(v.deletes, e)
		}
	}
	v.dead = len(v.deletes) > 0 && !slices.ContainsFunc(life, func(e *event) bool {
		return !slices.ContainsFunc(v.deletes, func(d *event) bool { return d.past.has(e.id) })
	})
	return v
}

// fork returns what becomes of events when replica old is given up: those above
// acked are issued again by the fresh one.
func (c *chronicle) fork(s set, old, fresh record.ReplicaID, acked, counter uint64) set {
	moved := map[int]int{}
	n := set(nil)
	mapped := func(p set) set {
		var m set
		for _, id := range p.ids() {
			if to, ok := moved[id]; ok {
				id = to
			}
			m = m.with(id)
		}
		return m
	}
	for _, e := range c.of(s) { // an event's past has smaller ids
		if e.replica != old || e.counter <= acked {
			n = n.with(e.id)
			continue
		}
		again := *e
		again.replica, again.past, again.copies = fresh, mapped(e.past), nil
		again.counter = min(counter, e.counter)
		again.by += " again"
		id := c.add(again).id
		e.copies = append(e.copies, id)
		moved[e.id] = id
		n = n.with(id)
	}
	return n
}

// untwinned leaves out of lost what two copies of one handset issued alike,
// value and dot, before either knew of the other: it is one event.
func (c *chronicle) untwinned(lost, have set) set {
	for _, e := range c.of(lost) {
		for _, o := range c.of(have) {
			if o.kind == e.kind && o.key == e.key && o.value == e.value && o.replica == e.replica && o.counter == e.counter {
				e.copies = append(e.copies, o.id)
				lost = lost.minus(set(nil).with(e.id))
				break
			}
		}
	}
	return lost
}

// kept reports whether s has the event or what became of it.
func (c *chronicle) kept(s set, id int) bool {
	return s.has(id) || slices.ContainsFunc(c.events[id].copies, func(i int) bool { return c.kept(s, i) })
}
