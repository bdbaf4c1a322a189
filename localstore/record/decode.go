package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Decode reads a canonical encoding. It refuses anything that Encode would not
// have written, allocates no more than a small multiple of len(b), and keeps
// nothing of b.
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
		return nil, fmt.Errorf("%w: byte %d: %w", ErrEncoding, len(b)-len(d.b), d.err)
	}
	if err := checkLimits(v); err != nil {
		return nil, err
	}
	if err := checkInvariants(v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return v, nil
}

// decoder takes items off b. After the first error it reads only zeros.
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
		if i > 0 && last.Compare(r) >= 0 {
			d.fail("replicas out of order")
		}
		if c == 0 || c > CounterMax {
			d.fail("counter out of range")
		}
		v[r], last = c, r
	}
	return v
}

// head is what stands about a key before the entries.
type head struct {
	key   string
	count int
}

func (d *decoder) version() *Version {
	if f := d.bytes(1); d.err == nil && f[0] != formatCanonical {
		d.fail("unknown format")
	}
	v := &Version{Vector: d.vector()}
	heads := d.heads()
	v.Fields = make(map[string][]Entry, len(heads))
	replicas := v.Vector.Replicas()
	lengths := make([]int, 0, len(heads)+4)
	prev := beforeFirst
	lines := 0
	for _, h := range heads {
		es := make([]Entry, 0, h.count)
		for j := 0; j < h.count && d.err == nil; j++ {
			e, n := d.entry(&prev, v.Vector, replicas)
			es = append(es, e)
			lengths = append(lengths, n)
			lines += n
			prev = Entry{Dot: e.Dot, Pos: e.Pos}
		}
		if _, twice := v.Fields[h.key]; twice {
			d.fail("a key twice")
		}
		v.Fields[h.key] = es
	}
	// One copy for all lines; each is capped so that appending to one can not
	// reach into the next.
	text := bytes.Clone(d.bytes(lines))
	for _, h := range heads {
		es := v.Fields[h.key]
		for j := 0; j < len(es) && d.err == nil; j++ {
			n := lengths[0]
			es[j].Line, text, lengths = text[:n:n], text[n:], lengths[1:]
		}
	}
	if d.err == nil {
		d.checkOrder(v, heads)
	}
	return v
}

func (d *decoder) heads() []head {
	n := d.count(3)
	heads := make([]head, 0, n)
	entries := 0
	for i := 0; i < n && d.err == nil; i++ {
		key := string(d.bytes(d.count(1)))
		m := d.count(2)
		if entries += m; key == "" || m == 0 || entries > len(d.b)/2 {
			d.fail("bad key")
		}
		heads = append(heads, head{key, m})
	}
	return heads
}

// checkOrder checks that the keys stand in the order of the record's lines.
func (d *decoder) checkOrder(v *Version, heads []head) {
	pos := func(h head) uint32 {
		es := v.Fields[h.key]
		return es[len(es)-1].Pos
	}
	for i := 1; i < len(heads); i++ {
		p, q := pos(heads[i-1]), pos(heads[i])
		if p > q || p == q && heads[i-1].key >= heads[i].key {
			d.fail("keys out of order")
			return
		}
	}
}

// entry reads one entry, and the length of its line.
func (d *decoder) entry(prev *Entry, vector Vector, replicas []ReplicaID) (e Entry, length int) {
	var flags byte
	if f := d.bytes(1); d.err == nil {
		flags = f[0]
	}
	if flags&^byte(flagsAll) != 0 {
		d.fail("unknown flag")
	}
	e.Dot = Dot{prev.Dot.Replica, prev.Dot.Counter + 1}
	if flags&flagDot != 0 {
		e.Dot = d.dot(vector, replicas)
		if e.follows(prev) {
			d.fail("dot that can be left out")
		}
	} else if prev.Dot.Counter == 0 {
		d.fail("no dot")
	}
	e.Pos = prev.Pos + 1
	if flags&flagPos != 0 {
		pos := d.uvarint()
		if pos > math.MaxUint32 || uint32(pos) == e.Pos {
			d.fail("bad position")
		}
		e.Pos = uint32(pos)
	}
	e.Rescued = flags&flagRescued != 0
	length = d.count(1)
	if flags&flagBlob != 0 {
		e.Blob = &Blob{Size: d.uvarint()}
		e.Blob.Chunks = make([]ChunkID, d.count(len(ChunkID{})))
		for i := range e.Blob.Chunks {
			copy(e.Blob.Chunks[i][:], d.bytes(len(ChunkID{})))
		}
	}
	if flags&flagSeen != 0 {
		e.Seen = d.vector()
	}
	return e, length
}

func (d *decoder) dot(vector Vector, replicas []ReplicaID) Dot {
	i, behind := d.uvarint(), d.uvarint()
	if i >= uint64(len(replicas)) || behind >= vector[replicas[i]] {
		d.fail("dot outside the vector")
		return Dot{}
	}
	return Dot{replicas[i], vector[replicas[i]] - behind}
}
