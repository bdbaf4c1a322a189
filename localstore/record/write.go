package record

import "slices"

// The local writes. Each takes the version that the writer saw and gives a new
// one; each takes a fresh dot and enters it in the vector, even if no entry
// carries it (W1).

// Edit is one change of a field: its new line and blob, or its removal.
type Edit struct {
	Key    string
	Line   []byte
	Blob   *Blob
	Pos    uint32
	Remove bool // the rest is then ignored
}

// Set applies edits, each under a dot of its own, in their order. Every value
// of an edited key that v holds is replaced. On a record with tombstones it
// drops those and marks it alive (W5), even without edits. An edit of a
// reserved key changes nothing: no document of a person has one.
func Set(v *Version, edits []Edit, m Minter) *Version {
	n := v.cloneFor(len(edits))
	entries := make([]Entry, len(edits)) // one piece of memory for all
	for i, e := range edits {
		if !IsFieldKey(e.Key) {
			continue
		}
		d := m.Next()
		n.Vector.Add(d)
		if e.Remove {
			delete(n.Fields, e.Key)
			continue
		}
		entries[i] = Entry{Dot: d, Pos: e.Pos, Line: e.Line, Blob: e.Blob}
		n.Fields[e.Key] = entries[i : i+1 : i+1]
	}
	revive(n, m)
	return n
}

// revive drops the tombstones that n has seen and marks it alive, if it has any.
func revive(n *Version, m Minter) {
	if len(n.Fields[KeyDeleted]) == 0 {
		return
	}
	delete(n.Fields, KeyDeleted)
	d := m.Next()
	n.Vector.Add(d)
	n.Fields[KeyAlive] = []Entry{{Dot: d}}
}

// Delete writes a tombstone that carries the vector it saw. Fields stay, so
// that the trash can give them back.
func Delete(v *Version, m Minter) *Version {
	n := v.Clone()
	d := m.Next()
	n.Vector.Add(d)
	n.Fields[KeyDeleted] = []Entry{{Dot: d, Seen: v.Vector.Clone()}}
	return n
}

// Undelete rewrites all fields under fresh dots, drops the tombstones and
// marks the record alive (W4). Siblings get one dot each.
func Undelete(v *Version, m Minter) *Version {
	n := v.Clone()
	restore(n, m)
	return n
}

// restore makes n, in place, what W4 says.
func restore(n *Version, m Minter) {
	rewriteFields(n, m)
	delete(n.Fields, KeyDeleted)
	d := m.Next()
	n.Vector.Add(d)
	n.Fields[KeyAlive] = []Entry{{Dot: d}}
}

// Reject answers a held deletion (H3): the join of applied and held without its
// tombstones, plus the fields of applied for keys that have no value there, all
// under fresh dots. The result dominates both, so the record returns everywhere.
func Reject(applied, held *Version, m Minter) *Version {
	j, _ := Join(applied, held, m)
	n := j.Clone()
	for k, es := range applied.Fields {
		if IsFieldKey(k) && len(n.Fields[k]) == 0 {
			n.Fields[k] = slices.Clone(es)
		}
	}
	restore(n, m)
	return n
}

// rewriteFields gives every field entry a fresh dot and clears its rescued mark.
func rewriteFields(n *Version, m Minter) {
	for _, k := range sortedKeys(n.Fields) {
		if !IsFieldKey(k) {
			continue
		}
		es := n.Fields[k]
		for i := range es {
			es[i].Dot = m.Next()
			es[i].Rescued = false
			n.Vector.Add(es[i].Dot)
		}
		sortEntries(es)
	}
}

// Purge drops the fields of a deleted record and writes a tombstone and a
// purge mark, both with the whole vector (W6).
func Purge(v *Version, m Minter) *Version {
	n := &Version{Fields: map[string][]Entry{}, Vector: v.Vector.Clone()}
	seen := v.Vector.Clone()
	for _, k := range []string{KeyDeleted, KeyPurged} {
		d := m.Next()
		n.Vector.Add(d)
		n.Fields[k] = []Entry{{Dot: d, Seen: seen}}
	}
	return n
}

// Fork moves the dots of replica old above acked, inside tombstone and purge
// vectors too, to the replica fresh, and lowers the entry for old to acked (C5).
// Counters stay, so the fresh replica's own counter must begin at the old one's.
// acked is the highest counter of old that the cloud acknowledged or sent for
// this record. The result is v itself if nothing moves.
func Fork(v *Version, old, fresh ReplicaID, acked uint64) *Version {
	if v.Vector[old] <= acked {
		return v
	}
	n := v.Clone()
	moveVector(n.Vector, old, fresh, acked)
	for _, es := range n.Fields {
		for i := range es {
			if es[i].Dot.Replica == old && es[i].Dot.Counter > acked {
				es[i].Dot.Replica = fresh
			}
			if es[i].Seen[old] > acked {
				es[i].Seen = es[i].Seen.Clone()
				moveVector(es[i].Seen, old, fresh, acked)
			}
		}
		sortEntries(es)
	}
	return n
}

func moveVector(v Vector, old, fresh ReplicaID, acked uint64) {
	v[fresh] = v[old]
	if acked == 0 {
		delete(v, old)
		return
	}
	v[old] = acked
}
