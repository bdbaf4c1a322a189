package record

import (
	"maps"
	"slices"
)

// Clash says that two versions claimed one identity for different contents
// (W9): a replica wrote twice under one dot. All values were kept.
type Clash struct {
	Key string // "" when the vectors were equal but the contents differed
	Dot Dot
}

// Join merges two versions of one record. An entry stays if both have it, or
// if the other's vector has not seen its dot; vectors take the pointwise
// maximum. It is commutative, associative and idempotent, and mints nothing,
// but for two cases that need fresh dots from m: a rescue (W7), and versions
// that claim one identity for different contents (W9), which are reported.
func Join(a, b *Version, m Minter) (*Version, []Clash) {
	sameVector := a.Vector.Equal(b.Vector)
	n := &Version{Fields: make(map[string][]Entry, max(len(a.Fields), len(b.Fields))), Vector: a.Vector.Join(b.Vector)}
	var clashes []Clash
	for _, k := range unionKeys(a.Fields, b.Fields) {
		es, cs := joinEntries(k, a, b, sameVector, n.Vector, m)
		clashes = append(clashes, cs...)
		if len(es) > 0 {
			sortEntries(es)
			n.Fields[k] = es
		}
	}
	rescue(n, a, b, m)
	return n, clashes
}

func joinEntries(k string, a, b *Version, sameVector bool, vector Vector, m Minter) (es []Entry, clashes []Clash) {
	as, bs := a.Fields[k], b.Fields[k]
	fresh := func(e Entry) Entry {
		clashes = append(clashes, Clash{k, e.Dot})
		e.Dot = m.Next()
		vector.Add(e.Dot)
		return e
	}
	for _, e := range as {
		i := slices.IndexFunc(bs, func(o Entry) bool { return o.Dot == e.Dot })
		switch {
		case i >= 0 && e.sameValue(&bs[i]):
			es = append(es, e)
		case i >= 0: // one dot, two values
			// The order of minting must not depend on which side is a.
			es = append(es, fresh(e), fresh(bs[i]))
		case sameVector: // both saw all, yet differ
			es = append(es, fresh(e))
		case !b.Vector.Covers(e.Dot):
			es = append(es, e)
		}
	}
	for _, e := range bs {
		if slices.ContainsFunc(as, func(o Entry) bool { return o.Dot == e.Dot }) {
			continue
		}
		if sameVector {
			es = append(es, fresh(e))
		} else if !a.Vector.Covers(e.Dot) {
			es = append(es, e)
		}
	}
	return es, clashes
}

// rescue is W7: if the join n holds a purge mark P, and an input S has not seen
// P's dot and has a field entry outside P, then S was edited while another
// replica purged it. Fields of S that the purge removed and that n lacks are
// written again, so that the edit does not stand alone in a maimed record.
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

func unionKeys(a, b map[string][]Entry) []string {
	keys := slices.AppendSeq(make([]string, 0, len(a)+len(b)), maps.Keys(a))
	keys = slices.AppendSeq(keys, maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}
