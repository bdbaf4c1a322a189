package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The canonical encoding, format 1. All numbers are unsigned LEB128 varints in
// their shortest form (the encoding of encoding/binary's Uvarint).
//
//	version = 0x01 vector keys
//	vector  = count (replica[8] counter)*           replicas ascending, counter >= 1
//	keys    = count (len key count entry+)*         keys ascending, entries in dot order
//	entry   = replicaIndex counter flags pos len line [blob] [seen]
//	flags   = 1 rescued | 2 blob follows | 4 seen follows
//	blob    = size count chunkID[16]*
//	seen    = vector
//
// replicaIndex points into the version's vector. One version has exactly one
// encoding; Decode refuses every other.
const formatCanonical = 1

const (
	flagRescued = 1 << iota
	flagBlob
	flagSeen
)

// ErrEncoding is wrapped by every error of Decode that is not a LimitError.
var ErrEncoding = errors.New("not a canonical version")

// Encode returns the canonical encoding of v, which must keep the invariants of
// Version. It returns a LimitError if v is larger than a version may be.
func Encode(v *Version) ([]byte, error) {
	if err := checkLimits(v); err != nil {
		return nil, err
	}
	replicas := v.Vector.Replicas()
	index := make(map[ReplicaID]uint64, len(replicas))
	for i, r := range replicas {
		index[r] = uint64(i)
	}
	b := make([]byte, 0, 512)
	b = append(b, formatCanonical)
	b = appendVector(b, v.Vector)
	b = binary.AppendUvarint(b, uint64(len(v.Fields)))
	for _, k := range sortedKeys(v.Fields) {
		es := v.Fields[k]
		b = binary.AppendUvarint(b, uint64(len(k)))
		b = append(b, k...)
		b = binary.AppendUvarint(b, uint64(len(es)))
		for i := range es {
			if !v.Vector.Covers(es[i].Dot) || !v.Vector.Includes(es[i].Seen) {
				return nil, fmt.Errorf("encode version: key %q has a dot outside the vector", k)
			}
			b = appendEntry(b, &es[i], index[es[i].Dot.Replica])
		}
	}
	if len(b) > EncodedBytesMax {
		return nil, &LimitError{"bytes in one record", len(b), EncodedBytesMax}
	}
	return b, nil
}

func appendVector(b []byte, v Vector) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	for _, r := range v.Replicas() {
		b = append(b, r[:]...)
		b = binary.AppendUvarint(b, v[r])
	}
	return b
}

func appendEntry(b []byte, e *Entry, replica uint64) []byte {
	var flags byte
	if e.Rescued {
		flags |= flagRescued
	}
	if e.Blob != nil {
		flags |= flagBlob
	}
	if e.Seen != nil {
		flags |= flagSeen
	}
	b = binary.AppendUvarint(b, replica)
	b = binary.AppendUvarint(b, e.Dot.Counter)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(e.Pos))
	b = binary.AppendUvarint(b, uint64(len(e.Line)))
	b = append(b, e.Line...)
	if e.Blob != nil {
		b = binary.AppendUvarint(b, e.Blob.Size)
		b = binary.AppendUvarint(b, uint64(len(e.Blob.Chunks)))
		for i := range e.Blob.Chunks {
			b = append(b, e.Blob.Chunks[i][:]...)
		}
	}
	if e.Seen != nil {
		b = appendVector(b, e.Seen)
	}
	return b
}

func checkLimits(v *Version) error {
	if len(v.Vector) > VectorMax {
		return &LimitError{"replicas in one record's history", len(v.Vector), VectorMax}
	}
	for _, c := range v.Vector {
		if c == 0 || c > CounterMax {
			return &LimitError{"as a write counter", int(min(c, math.MaxInt32)), CounterMax & math.MaxInt32}
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

// Decode reads a canonical encoding. It refuses anything that Encode would not
// have written, allocates no more than a small multiple of len(b), and copies
// what it keeps.
func Decode(b []byte) (*Version, error) {
	if len(b) > EncodedBytesMax {
		return nil, &LimitError{"bytes in one record", len(b), EncodedBytesMax}
	}
	d := decoder{b: b}
	v := d.version()
	if d.err == nil && len(d.b) > 0 {
		d.fail("bytes after the end")
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: byte %d: %s", ErrEncoding, len(b)-len(d.b), d.err)
	}
	if err := checkLimits(v); err != nil {
		return nil, err
	}
	return v, nil
}

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(msg string) {
	if d.err == nil {
		d.err = errors.New(msg)
	}
}

func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	x, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return x
}

// count reads a number of items that take at least size bytes each.
func (d *decoder) count(size int) int {
	x := d.uvarint()
	if x > uint64(len(d.b)/size) {
		d.fail("count larger than the data")
		return 0
	}
	return int(x)
}

func (d *decoder) bytes(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.b) {
		d.fail("cut short")
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) vector() Vector {
	n := d.count(9)
	v := make(Vector, n)
	var last ReplicaID
	for i := 0; i < n && d.err == nil; i++ {
		var r ReplicaID
		copy(r[:], d.bytes(len(r)))
		c := d.uvarint()
		if i > 0 && bytes.Compare(r[:], last[:]) <= 0 {
			d.fail("replicas out of order")
		}
		if c == 0 || c > CounterMax {
			d.fail("counter out of range")
		}
		v[r], last = c, r
	}
	return v
}

func (d *decoder) version() *Version {
	if f := d.bytes(1); d.err == nil && f[0] != formatCanonical {
		d.fail("unknown format")
	}
	v := &Version{Vector: d.vector()}
	replicas := v.Vector.Replicas()
	n := d.count(8)
	v.Fields = make(map[string][]Entry, n)
	last := ""
	for i := 0; i < n && d.err == nil; i++ {
		key := string(d.bytes(d.count(1)))
		if key == "" || i > 0 && key <= last {
			d.fail("keys out of order")
		}
		last = key
		m := d.count(5)
		if m == 0 {
			d.fail("key without a value")
		}
		es := make([]Entry, 0, m)
		for j := 0; j < m && d.err == nil; j++ {
			e := d.entry(v.Vector, replicas)
			if j > 0 && es[j-1].Dot.Compare(e.Dot) >= 0 {
				d.fail("entries out of order")
			}
			if (e.Seen != nil) != (key == KeyDeleted || key == KeyPurged) {
				d.fail("seen vector on the wrong key")
			}
			es = append(es, e)
		}
		v.Fields[key] = es
	}
	return v
}

func (d *decoder) entry(vector Vector, replicas []ReplicaID) Entry {
	var e Entry
	if i := d.uvarint(); i < uint64(len(replicas)) {
		e.Dot.Replica = replicas[i]
	} else {
		d.fail("replica index out of range")
	}
	e.Dot.Counter = d.uvarint()
	if e.Dot.Counter == 0 || !vector.Covers(e.Dot) {
		d.fail("dot outside the vector")
	}
	var flags byte
	if f := d.bytes(1); d.err == nil {
		flags = f[0]
	}
	if flags > flagRescued|flagBlob|flagSeen {
		d.fail("unknown flag")
	}
	pos := d.uvarint()
	if pos > math.MaxUint32 {
		d.fail("position out of range")
	}
	e.Pos = uint32(pos)
	e.Rescued = flags&flagRescued != 0
	e.Line = bytes.Clone(d.bytes(d.count(1)))
	if flags&flagBlob != 0 {
		e.Blob = &Blob{Size: d.uvarint()}
		e.Blob.Chunks = make([]ChunkID, d.count(len(ChunkID{})))
		for i := range e.Blob.Chunks {
			copy(e.Blob.Chunks[i][:], d.bytes(len(ChunkID{})))
		}
	}
	if flags&flagSeen != 0 {
		e.Seen = d.vector()
		if !vector.Includes(e.Seen) {
			d.fail("seen vector outside the vector")
		}
	}
	return e
}
