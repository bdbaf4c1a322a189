package record

import (
	"bytes"
	"maps"
	"slices"
)

// Dot names one write: the Counter-th of a replica. Counters start at 1.
type Dot struct {
	Replica ReplicaID
	Counter uint64
}

// Compare orders dots by counter, then replica: the order in which siblings
// are shown (largest first) and an arbitrary but equal choice on every device.
func (d Dot) Compare(o Dot) int {
	if d.Counter != o.Counter {
		if d.Counter < o.Counter {
			return -1
		}
		return 1
	}
	return bytes.Compare(d.Replica[:], o.Replica[:])
}

// Vector says, for each replica, the highest counter whose writes are seen.
// A missing replica is 0; no entry has the value 0.
type Vector map[ReplicaID]uint64

// Covers reports whether the vector has seen d.
func (v Vector) Covers(d Dot) bool { return v[d.Replica] >= d.Counter }

// Includes reports whether v has seen everything that o has seen.
func (v Vector) Includes(o Vector) bool {
	for r, c := range o {
		if v[r] < c {
			return false
		}
	}
	return true
}

// Equal reports whether both vectors have seen the same dots.
func (v Vector) Equal(o Vector) bool { return maps.Equal(v, o) }

// Dominates reports whether v has seen all that o has and more.
func (v Vector) Dominates(o Vector) bool { return v.Includes(o) && !o.Includes(v) }

// Clone returns an independent copy, never nil.
func (v Vector) Clone() Vector {
	c := make(Vector, len(v)+1)
	maps.Copy(c, v)
	return c
}

// Join returns the pointwise maximum of both vectors as a new vector.
func (v Vector) Join(o Vector) Vector {
	j := v.Clone()
	for r, c := range o {
		if j[r] < c {
			j[r] = c
		}
	}
	return j
}

// Add enters d. It must not lower an entry.
func (v Vector) Add(d Dot) {
	if v[d.Replica] < d.Counter {
		v[d.Replica] = d.Counter
	}
}

// Replicas returns the replica ids in byte order.
func (v Vector) Replicas() []ReplicaID {
	ids := make([]ReplicaID, 0, len(v))
	for r := range v {
		ids = append(ids, r)
	}
	slices.SortFunc(ids, func(a, b ReplicaID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// Minter gives fresh dots. Next never returns the same dot twice, and the
// counter it consumed is durable before any version that carries the dot
// leaves the device.
type Minter interface {
	Next() Dot
}
