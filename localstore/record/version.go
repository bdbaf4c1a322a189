package record

import (
	"bytes"
	"slices"
	"strings"
)

// Keys that are not fields of a person's data. No content line has a key that
// begins with '!'.
const (
	KeyDeleted = "!deleted" // a tombstone; the entry carries the vector it saw
	KeyPurged  = "!purged"  // fields were dropped; the entry carries the vector it saw
	KeyAlive   = "!alive"   // an undelete or an edit of a deleted record
)

// IsFieldKey reports whether key names a field of a person's data, as against
// one of the reserved keys.
func IsFieldKey(key string) bool { return !strings.HasPrefix(key, "!") }

// Blob refers to a large value that is kept outside the version: its size in
// bytes and its chunks in order. All chunks but the last have the fixed chunk size.
type Blob struct {
	Size   uint64
	Chunks []ChunkID
}

// Equal reports whether both are nil or refer to the same bytes.
func (b *Blob) Equal(o *Blob) bool {
	if b == nil || o == nil {
		return b == o
	}
	return b.Size == o.Size && slices.Equal(b.Chunks, o.Chunks)
}

// Field is one field of a record as importers, exporters and stores exchange
// it, without causal state. Fields stand in the order of the record's lines.
type Field struct {
	Key  string // stable key, see localstore/pim
	Line []byte // unfolded content line without line end; bytes as they came
	Blob *Blob  // nil, or the large value that stands after Line on export
}

// Entry is one value of a field: written by one dot.
type Entry struct {
	Dot     Dot
	Pos     uint32 // place among the record's lines, ties by key
	Rescued bool   // W7: brought back by a join; no sign of life
	Line    []byte // unfolded content line; empty for reserved keys
	Blob    *Blob
	Seen    Vector // only KeyDeleted and KeyPurged: the vector the writer saw
}

func (e *Entry) sameValue(o *Entry) bool {
	return e.Pos == o.Pos && e.Rescued == o.Rescued && bytes.Equal(e.Line, o.Line) && e.Blob.Equal(o.Blob) && e.Seen.Equal(o.Seen)
}

// Version is an immutable state of a record.
//
// Invariants: every dot of Fields is covered by Vector, and names one entry
// only; every Seen is covered, and stands on tombstones and purge marks only; no
// key has an empty list; the entries of a key are in Dot order.
type Version struct {
	Fields map[string][]Entry
	Vector Vector
}

// New returns the version that has seen nothing.
func New() *Version { return &Version{Fields: map[string][]Entry{}, Vector: Vector{}} }

// Clone returns a copy whose maps and slices can be changed. Lines, blobs and
// Seen vectors are shared: they are never changed in place.
func (v *Version) Clone() *Version { return v.cloneFor(1) }

// cloneFor is Clone with room for more keys.
func (v *Version) cloneFor(more int) *Version {
	c := &Version{Fields: make(map[string][]Entry, len(v.Fields)+more), Vector: v.Vector.Clone()}
	for k, es := range v.Fields {
		c.Fields[k] = slices.Clone(es)
	}
	return c
}

// Keys returns the field keys (no reserved ones) in the order of the record's
// lines: by position of the shown entry, then key.
func (v *Version) Keys() []string {
	keys := make([]string, 0, len(v.Fields))
	for _, k := range v.Ordered() {
		if IsFieldKey(k.Key) {
			keys = append(keys, k.Key)
		}
	}
	return keys
}

// Shown returns the entry of key that is displayed: the one with the largest
// dot. All devices that hold equal versions show the same one.
func (v *Version) Shown(key string) (Entry, bool) {
	es := v.Fields[key]
	if len(es) == 0 {
		return Entry{}, false
	}
	return es[len(es)-1], true
}

// Lines returns the shown entries as fields, in the order of the record's lines.
func (v *Version) Lines() []Field {
	keys := v.Keys()
	fields := make([]Field, len(keys))
	for i, k := range keys {
		e, _ := v.Shown(k)
		fields[i] = Field{Key: k, Line: e.Line, Blob: e.Blob}
	}
	return fields
}

// Dead reports whether the record is deleted (W3): it has a deleted entry, and
// every entry that counts as life (fields that are not rescued, and alive
// marks) is covered by the vector of some deleted entry.
func (v *Version) Dead() bool {
	tombs := v.Fields[KeyDeleted]
	if len(tombs) == 0 {
		return false
	}
	for k, es := range v.Fields {
		if !IsFieldKey(k) && k != KeyAlive {
			continue
		}
		for i := range es {
			if es[i].Rescued {
				continue
			}
			if !slices.ContainsFunc(tombs, func(t Entry) bool { return t.Seen.Covers(es[i].Dot) }) {
				return false
			}
		}
	}
	return true
}

// Purged reports whether the record was purged and no field came back.
func (v *Version) Purged() bool {
	if len(v.Fields[KeyPurged]) == 0 {
		return false
	}
	for k := range v.Fields {
		if IsFieldKey(k) {
			return false
		}
	}
	return true
}

// Chunks returns the ids of every chunk that some entry refers to, each once,
// in byte order.
func (v *Version) Chunks() []ChunkID {
	var ids []ChunkID
	for _, es := range v.Fields {
		for i := range es {
			if es[i].Blob != nil {
				ids = append(ids, es[i].Blob.Chunks...)
			}
		}
	}
	slices.SortFunc(ids, func(a, b ChunkID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// Conflicts returns the keys that hold more than one distinct value, sorted.
// Siblings with equal values are no conflict to show (W8).
func (v *Version) Conflicts() []string {
	var keys []string
	for k, es := range v.Fields {
		if !IsFieldKey(k) {
			continue
		}
		for i := 1; i < len(es); i++ {
			if !bytes.Equal(es[i].Line, es[0].Line) || !es[i].Blob.Equal(es[0].Blob) {
				keys = append(keys, k)
				break
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func sortEntries(es []Entry) {
	slices.SortFunc(es, func(a, b Entry) int { return a.Dot.Compare(b.Dot) })
}
