package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
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
	replicas := make([]ReplicaID, 0, len(v))
	for r := range v {
		replicas = append(replicas, r)
	}
	slices.SortFunc(replicas, ReplicaID.Compare)
	return replicas
}

// VectorError says that a version must not be pushed: its vector claims writes
// that nobody is known to have made (P3).
type VectorError struct {
	Replica ReplicaID
	Counter uint64 // in the vector
	Known   uint64 // the most that is known
}

func (e *VectorError) Error() string {
	return fmt.Sprintf("vector claims write %d of replica %s, only %d are known", e.Counter, e.Replica, e.Known)
}

// CheckPush is rule P3, asserted before a push: in v the entry of this device's
// own replica is at most its counter, and every other entry is at most the join
// of the vectors received for the record (a fork's earlier ids are received,
// too: the cloud acknowledged them). The error is a *VectorError.
func CheckPush(v Vector, own ReplicaID, counter uint64, received Vector) error {
	for r, c := range v {
		known := received[r]
		if r == own {
			known = counter
		}
		if c > known {
			return &VectorError{r, c, known}
		}
	}
	return nil
}

// Minter gives fresh dots. Next never returns the same dot twice, and the
// counter it consumed is durable before any version that carries the dot
// leaves the device.
type Minter interface {
	Next() Dot
}

// Append appends the vector as the canonical encoding has it (SPEC.md section
// "Merge"): the number of its entries, then each replica, ascending, and its counter.
func (v Vector) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	for _, r := range v.Replicas() {
		b = append(b, r[:]...)
		b = binary.AppendUvarint(b, v[r])
	}
	return b
}
