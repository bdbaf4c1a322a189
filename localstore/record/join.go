package record

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Clash says that two versions claimed one identity for different contents
// (W9): a replica wrote twice under one dot, or twice the same vector. All
// values were kept, under fresh dots.
type Clash struct {
	Key string // of one of the entries that had the dot
	Dot Dot
}

// Join merges two versions of one record. An entry stays if both have it, or
// if the other's vector has not seen its dot; vectors take the pointwise
// maximum. It is commutative, associative and idempotent, and mints nothing,
// but for two cases that need fresh dots from m: a rescue (W7), and versions
// that claim one identity for different contents (W9), which are reported.
//
// Where one version has seen all that the other has, it is returned itself: a
// dominated version changes nothing.
func Join(a, b *Version, m Minter) (*Version, []Clash) {
	j := newJoiner(a, b)
	if len(j.clashes) == 0 {
		switch {
		case j.sameVector && j.sameContent, !j.sameVector && a.Vector.Includes(b.Vector):
			return a, nil
		case !j.sameVector && b.Vector.Includes(a.Vector):
			return b, nil
		}
	}
	n := &Version{Fields: make(map[string][]Entry, max(len(a.Fields), len(b.Fields))), Vector: a.Vector.Join(b.Vector)}
	j.keep(n, a, b.Vector, j.inB)
	j.keep(n, b, a.Vector, j.inA)
	j.renew(n, m)
	for _, es := range n.Fields {
		sortEntries(es)
	}
	rescue(n, a, b, m)
	return n, j.clashes
}

// place is one entry and where it stands.
type place struct {
	key   string
	entry *Entry
}

// joiner holds what a join needs to know of its inputs.
type joiner struct {
	inA, inB    map[Dot]place
	sameVector  bool
	sameContent bool
	kept        map[Dot]bool // entries that both have and that are in the result
	renewed     []place      // entries that need a fresh dot (W9)
	clashes     []Clash
}

func newJoiner(a, b *Version) *joiner {
	j := &joiner{inA: placesOf(a), inB: placesOf(b), sameVector: a.Vector.Equal(b.Vector), kept: map[Dot]bool{}}
	j.sameContent = len(j.inA) == len(j.inB)
	for d, p := range j.inA {
		o, both := j.inB[d]
		switch {
		case !both:
			j.sameContent = false
		case !p.same(o):
			// One dot, two values. The letter of W9 has them under one key; two
			// clones can as well have used a dot for different keys.
			j.clashes = append(j.clashes, Clash{min(p.key, o.key), d})
			j.sameContent = false
		}
	}
	if j.sameVector && !j.sameContent && len(j.clashes) == 0 {
		j.clashes = append(j.clashes, j.firstDifference())
	}
	slices.SortFunc(j.clashes, func(x, y Clash) int { return x.Dot.Compare(y.Dot) })
	return j
}

func placesOf(v *Version) map[Dot]place {
	n := 0
	for _, es := range v.Fields {
		n += len(es)
	}
	places := make(map[Dot]place, n)
	for k, es := range v.Fields {
		for i := range es {
			places[es[i].Dot] = place{k, &es[i]}
		}
	}
	return places
}

func (p place) same(o place) bool { return p.key == o.key && p.entry.sameValue(o.entry) }

// firstDifference names one entry that only one of two versions with equal
// vectors has.
func (j *joiner) firstDifference() Clash {
	var first *Clash
	look := func(in, other map[Dot]place) {
		for d, p := range in {
			if _, both := other[d]; !both && (first == nil || d.Compare(first.Dot) < 0) {
				first = &Clash{p.key, d}
			}
		}
	}
	look(j.inA, j.inB)
	look(j.inB, j.inA)
	return *first
}

// keep puts the entries of v that stay into n, and those that need a fresh dot
// into j.renewed. seen is the other side's vector, there its entries.
func (j *joiner) keep(n, v *Version, seen Vector, there map[Dot]place) {
	for k, es := range v.Fields {
		for i := range es {
			e := &es[i]
			o, both := there[e.Dot]
			switch {
			case both && o.same(place{k, e}):
				if j.kept[e.Dot] {
					continue
				}
				j.kept[e.Dot] = true
			case both, j.sameVector:
				j.renewed = append(j.renewed, place{k, e})
				continue
			case seen.Covers(e.Dot):
				continue
			}
			n.Fields[k] = append(n.Fields[k], *e)
		}
	}
}

// renew gives the entries of a clash fresh dots, in an order that does not
// depend on which side they came from.
func (j *joiner) renew(n *Version, m Minter) {
	slices.SortFunc(j.renewed, func(p, o place) int {
		return cmp.Or(strings.Compare(p.key, o.key), p.entry.Dot.Compare(o.entry.Dot), p.entry.compareValue(o.entry))
	})
	for _, p := range j.renewed {
		e := *p.entry
		e.Dot = m.Next()
		n.Vector.Add(e.Dot)
		n.Fields[p.key] = append(n.Fields[p.key], e)
	}
}

// compareValue orders entries by all but their dot.
func (e *Entry) compareValue(o *Entry) int {
	f, d := appendDetail(nil, e, &beforeFirst, 0, nil)
	g, c := appendDetail(nil, o, &beforeFirst, 0, nil)
	return cmp.Or(bytes.Compare(e.Line, o.Line), cmp.Compare(f, g), bytes.Compare(d, c))
}

// rescue is W7: if the join n holds a purge mark P, and an input S has not seen
// P's dot and has a field entry outside P, then S was edited while another
// replica purged it. Fields of S that the purge removed and that n lacks are
// written again, so that the edit does not stand alone in a maimed record.
//
// For each P at most one input can be S, so the order of minting does not
// depend on which side is a.
func rescue(n, a, b *Version, m Minter) {
	for _, p := range n.Fields[KeyPurged] {
		for _, s := range []*Version{a, b} {
			if s.Vector.Covers(p.Dot) || !hasFieldOutside(s, p.Seen) {
				continue
			}
			for _, k := range sortedKeys(s.Fields) {
				if !IsFieldKey(k) || len(n.Fields[k]) > 0 {
					continue
				}
				var es []Entry
				for _, e := range s.Fields[k] {
					if !p.Seen.Covers(e.Dot) {
						continue
					}
					e.Dot, e.Rescued = m.Next(), true
					n.Vector.Add(e.Dot)
					es = append(es, e)
				}
				if len(es) > 0 {
					sortEntries(es)
					n.Fields[k] = es
				}
			}
		}
	}
}

func hasFieldOutside(s *Version, seen Vector) bool {
	for k, es := range s.Fields {
		if IsFieldKey(k) && slices.ContainsFunc(es, func(e Entry) bool { return !seen.Covers(e.Dot) }) {
			return true
		}
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
