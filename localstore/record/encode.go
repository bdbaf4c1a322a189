package record

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The canonical encoding, format 1; SPEC.md section "Merge" has it too. All
// numbers are unsigned LEB128 varints in their shortest form (the encoding of
// encoding/binary's Uvarint).
//
//	version = 0x01 vector count flags[count] name* detail* line*
//	vector  = count (replica[8] counter)*    replicas ascending, counter >= 1
//	name    = length bytes                   of keys of form 0 and 2
//	detail  = [replica behind] [pos] [length] [blob] [seen]
//	line    = the bytes of the entry's line, and a line feed unless length stood before
//	blob    = size count chunkID[16]*
//	seen    = vector                         of the keys !deleted and !purged only
//
// There is one flags byte, one detail and one line an entry, all in the same
// order. Keys stand in the order of the record's lines: by the position of their
// last entry, then by their bytes. The entries of one key stand together in dot
// order. A dot is an index into the vector, and how far it is behind the
// vector's counter.
//
// Flags:
//
//	1   the dot follows; otherwise it is the dot before plus one
//	2   the position follows; otherwise it is the one before plus one (0 at first)
//	4   rescued
//	8   a blob follows
//	16  the length of the line follows, because a line feed is in it
//	32  the next entry has the same key
//	64, 128 (only on the first entry of a key): the form of the key. 0: the name is
//	    the key. 64: the key is the line's name, that is, what stands before its
//	    first colon or semicolon. 128: it is that with the name behind it.
//
// What can be left out is left out, so a version has one encoding only. A record
// as it was imported is thus little more than its lines one after the other as in
// a file, which is what compresses best: keys cost their tag, causality a byte a line.
const formatCanonical = 1

const (
	flagDot = 1 << iota
	flagPos
	flagRescued
	flagBlob
	flagLength
	flagSame
	flagKeyName
	flagKeySuffix
)

// ErrEncoding is wrapped by every error of Decode that is not a LimitError.
var ErrEncoding = errors.New("not a canonical version")

// errInvariant is wrapped by the errors of Encode about a version that breaks
// the invariants of Version: a fault of the program, not of the data.
var errInvariant = errors.New("version breaks an invariant")

// Encode returns the canonical encoding of v, which must keep the invariants of
// Version. It returns a *LimitError if v is larger than a version may be.
func Encode(v *Version) ([]byte, error) {
	if err := checkLimits(v); err != nil {
		return nil, err
	}
	if err := checkInvariants(v); err != nil {
		return nil, err
	}
	replicas := v.Vector.Replicas()
	keys := v.Ordered()
	flags := make([]byte, 0, len(keys)+8)
	names := make([]byte, 0, 8*len(keys))
	details := make([]byte, 0, 2*len(keys)+32)
	prev, text := beforeFirst, 0
	for _, k := range keys {
		es := k.Entries
		form, name := keyForm(k.Key, es[0].Line)
		if form != flagKeyName {
			names = binary.AppendUvarint(names, uint64(len(name)))
			names = append(names, name...)
		}
		for i := range es {
			index, _ := slices.BinarySearchFunc(replicas, es[i].Dot.Replica, ReplicaID.Compare)
			var f byte
			f, details = appendDetail(details, &es[i], &prev, uint64(index), v.Vector)
			if i == 0 {
				f |= form
			}
			if i < len(es)-1 {
				f |= flagSame
			}
			flags = append(flags, f)
			prev = Entry{Dot: es[i].Dot, Pos: es[i].Pos}
			text += len(es[i].Line) + 1
		}
	}
	b := make([]byte, 0, 16+16*len(v.Vector)+len(flags)+len(names)+len(details)+text)
	b = append(b, formatCanonical)
	b = v.Vector.Append(b)
	b = binary.AppendUvarint(b, uint64(len(flags)))
	b = append(append(append(b, flags...), names...), details...)
	for _, k := range keys {
		for i := range k.Entries {
			line := k.Entries[i].Line
			b = append(b, line...)
			if bytes.IndexByte(line, '\n') < 0 {
				b = append(b, '\n')
			}
		}
	}
	if len(b) > EncodedBytesMax {
		return nil, &LimitError{"bytes in one record", len(b), EncodedBytesMax}
	}
	return b, nil
}

// Head is how the canonical encoding of every version with this vector begins.
func Head(v Vector) []byte {
	return v.Append(append(make([]byte, 0, 16+16*len(v)), formatCanonical))
}

// keyForm returns how a key is written beside the line of its first entry, and
// the name that is written for it.
func keyForm(key string, line []byte) (form byte, name string) {
	n := lineName(line)
	switch {
	case len(n) == 0 || !IsFieldKey(key) || !strings.HasPrefix(key, string(n)):
		return 0, key
	case len(key) == len(n):
		return flagKeyName, ""
	}
	return flagKeySuffix, key[len(n):]
}

// lineName returns what stands before the first colon or semicolon of a line.
func lineName(line []byte) []byte {
	return line[:max(0, bytes.IndexAny(line, ":;"))]
}

// beforeFirst stands before the first entry: no dot follows it, and position 0.
var beforeFirst = Entry{Pos: math.MaxUint32}

// follows reports whether e's dot is the one after prev's.
func (e *Entry) follows(prev *Entry) bool {
	return e.Dot.Replica == prev.Dot.Replica && e.Dot.Counter == prev.Dot.Counter+1 && prev.Dot.Counter > 0
}

// appendDetail writes what an entry has beside its key and line.
func appendDetail(b []byte, e, prev *Entry, replica uint64, vector Vector) (flags byte, _ []byte) {
	if !e.follows(prev) {
		flags |= flagDot
		b = binary.AppendUvarint(b, replica)
		b = binary.AppendUvarint(b, vector[e.Dot.Replica]-e.Dot.Counter)
	}
	if e.Pos != prev.Pos+1 {
		flags |= flagPos
		b = binary.AppendUvarint(b, uint64(e.Pos))
	}
	if e.Rescued {
		flags |= flagRescued
	}
	if bytes.IndexByte(e.Line, '\n') >= 0 {
		flags |= flagLength
		b = binary.AppendUvarint(b, uint64(len(e.Line)))
	}
	if e.Blob != nil {
		flags |= flagBlob
		b = binary.AppendUvarint(b, e.Blob.Size)
		b = binary.AppendUvarint(b, uint64(len(e.Blob.Chunks)))
		for i := range e.Blob.Chunks {
			b = append(b, e.Blob.Chunks[i][:]...)
		}
	}
	if e.Seen != nil {
		b = e.Seen.Append(b)
	}
	return flags, b
}

// hasSeen reports whether the entries of a key carry a seen vector.
func hasSeen(key string) bool { return key == KeyDeleted || key == KeyPurged }

// checkInvariants checks what Version promises.
func checkInvariants(v *Version) error {
	dots := make([]Dot, 0, len(v.Fields)+8)
	for k, es := range v.Fields {
		if len(es) == 0 {
			return fmt.Errorf("%w: a key without an entry", errInvariant)
		}
		for i := range es {
			e := &es[i]
			dots = append(dots, e.Dot)
			switch {
			case e.Dot.Counter == 0 || !v.Vector.Covers(e.Dot) || !v.Vector.Includes(e.Seen):
				return fmt.Errorf("%w: a dot outside the vector", errInvariant)
			case i > 0 && es[i-1].Dot.Compare(e.Dot) >= 0:
				return fmt.Errorf("%w: entries out of order", errInvariant)
			case (e.Seen != nil) != hasSeen(k):
				return fmt.Errorf("%w: a seen vector on the wrong key", errInvariant)
			}
		}
	}
	slices.SortFunc(dots, Dot.Compare)
	if len(slices.Compact(dots)) < len(dots) {
		return fmt.Errorf("%w: one dot for two entries", errInvariant)
	}
	return nil
}

func checkLimits(v *Version) error {
	if len(v.Vector) > VectorMax {
		return &LimitError{"replicas in one record's history", len(v.Vector), VectorMax}
	}
	for _, c := range v.Vector {
		if c == 0 || c > CounterMax {
			return fmt.Errorf("%w: a counter out of range", errInvariant)
		}
	}
	if len(v.Fields) > KeysMax {
		return &LimitError{"fields in one record", len(v.Fields), KeysMax}
	}
	entries, chunks := 0, 0
	for k, es := range v.Fields {
		if len(k) == 0 || len(k) > KeyBytesMax {
			return &LimitError{"bytes in a field key", len(k), KeyBytesMax}
		}
		entries += len(es)
		for i := range es {
			if es[i].Blob != nil {
				chunks += len(es[i].Blob.Chunks)
			}
		}
	}
	if entries > EntriesMax {
		return &LimitError{"values in one record", entries, EntriesMax}
	}
	if chunks > ChunksMax {
		return &LimitError{"chunks in one record", chunks, ChunksMax}
	}
	return nil
}

// Keyed is a key of a version with its entries, which are not to be changed.
type Keyed struct {
	Key     string
	Entries []Entry
}

// Ordered returns the keys of a version, the reserved ones too, in the order of
// the record's lines: by position of the shown entry, then key.
func (v *Version) Ordered() []Keyed {
	list := make([]Keyed, 0, len(v.Fields))
	for k, es := range v.Fields {
		list = append(list, Keyed{k, es})
	}
	slices.SortFunc(list, func(a, b Keyed) int {
		if p, q := a.Entries[len(a.Entries)-1].Pos, b.Entries[len(b.Entries)-1].Pos; p != q {
			return cmp.Compare(p, q)
		}
		return strings.Compare(a.Key, b.Key)
	})
	return list
}
