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

// row is one entry on its way out of the columns.
type row struct {
	flags  byte
	length int // of the line; -1 = up to the line feed
	name   string
	entry  Entry
}

// first reports whether the row at i is the first of its key.
func first(rows []row, i int) bool { return i == 0 || rows[i-1].flags&flagSame == 0 }

func (d *decoder) version() *Version {
	if f := d.bytes(1); d.err == nil && f[0] != formatCanonical {
		d.fail("unknown format")
	}
	v := &Version{Vector: d.vector()}
	rows := make([]row, d.count(2))
	if len(rows) > EntriesMax {
		d.fail("too many entries")
		return v
	}
	d.flags(rows)
	d.names(rows)
	d.details(rows, v.Vector)
	d.lines(rows)
	if d.err == nil {
		v.Fields = d.fields(rows)
	}
	return v
}

func (d *decoder) flags(rows []row) {
	for i, f := range d.bytes(len(rows)) {
		rows[i].flags = f
		form := f & (flagKeyName | flagKeySuffix)
		if form == flagKeyName|flagKeySuffix || form != 0 && !first(rows, i) || f&flagSame != 0 && i == len(rows)-1 {
			d.fail("bad flags")
		}
	}
}

// names reads what is written of the keys, into the first row of each.
func (d *decoder) names(rows []row) {
	for i := 0; i < len(rows) && d.err == nil; i++ {
		if first(rows, i) && rows[i].flags&flagKeyName == 0 {
			rows[i].name = string(d.bytes(d.count(1)))
			if rows[i].name == "" {
				d.fail("empty key")
			}
		}
	}
}

func (d *decoder) details(rows []row, vector Vector) {
	replicas := vector.Replicas()
	prev := beforeFirst
	seen := false
	for i := 0; i < len(rows) && d.err == nil; i++ {
		r := &rows[i]
		if first(rows, i) {
			seen = r.flags&(flagKeyName|flagKeySuffix) == 0 && hasSeen(r.name)
		}
		e := &r.entry
		e.Dot = Dot{prev.Dot.Replica, prev.Dot.Counter + 1}
		if r.flags&flagDot != 0 {
			e.Dot = d.dot(vector, replicas)
			if e.follows(&prev) {
				d.fail("dot that can be left out")
			}
		} else if prev.Dot.Counter == 0 {
			d.fail("no dot")
		}
		e.Pos = prev.Pos + 1
		if r.flags&flagPos != 0 {
			pos := d.uvarint()
			if pos > math.MaxUint32 || uint32(pos) == e.Pos {
				d.fail("bad position")
			}
			e.Pos = uint32(pos)
		}
		e.Rescued = r.flags&flagRescued != 0
		r.length = -1
		if r.flags&flagLength != 0 {
			r.length = d.count(1)
		}
		if r.flags&flagBlob != 0 {
			e.Blob = &Blob{Size: d.uvarint()}
			e.Blob.Chunks = make([]ChunkID, d.count(len(ChunkID{})))
			for i := range e.Blob.Chunks {
				copy(e.Blob.Chunks[i][:], d.bytes(len(ChunkID{})))
			}
		}
		if seen {
			e.Seen = d.vector()
		}
		prev = Entry{Dot: e.Dot, Pos: e.Pos}
	}
}

// lines gives each row its line. All share one copy; each is capped, so that
// appending to one can not reach into the next.
func (d *decoder) lines(rows []row) {
	if d.err != nil {
		return
	}
	text := bytes.Clone(d.b)
	for i := range rows {
		r := &rows[i]
		n, end := r.length, r.length
		if r.length < 0 {
			n = bytes.IndexByte(text, '\n')
			end = n + 1
		}
		if n < 0 || n > len(text) {
			d.fail("cut short")
			return
		}
		r.entry.Line = text[:n:n]
		if r.length >= 0 && bytes.IndexByte(r.entry.Line, '\n') < 0 {
			d.fail("length that can be left out")
		}
		text = text[end:]
	}
	d.b = d.b[len(d.b)-len(text):]
}

// fields puts the rows under their keys and checks the order of these.
func (d *decoder) fields(rows []row) map[string][]Entry {
	fields := make(map[string][]Entry, len(rows))
	entries := make([]Entry, len(rows))
	lastKey, lastPos := "", uint32(0)
	for i := 0; i < len(rows); {
		n := i + 1
		for n < len(rows) && !first(rows, n) {
			n++
		}
		key := d.key(&rows[i])
		pos := rows[n-1].entry.Pos
		if _, twice := fields[key]; twice || i > 0 && (pos < lastPos || pos == lastPos && key <= lastKey) {
			d.fail("keys out of order")
		}
		lastKey, lastPos = key, pos
		for j := i; j < n; j++ {
			entries[j] = rows[j].entry
		}
		fields[key] = entries[i:n:n]
		i = n
	}
	return fields
}

// key returns the key that begins with r, and checks that its form is the one
// that Encode would choose.
func (d *decoder) key(r *row) string {
	key := r.name
	if r.flags&(flagKeyName|flagKeySuffix) != 0 {
		key = string(lineName(r.entry.Line)) + r.name
	}
	if form, _ := keyForm(key, r.entry.Line); form != r.flags&(flagKeyName|flagKeySuffix) {
		d.fail("key in the wrong form")
	}
	return key
}

func (d *decoder) dot(vector Vector, replicas []ReplicaID) Dot {
	i, behind := d.uvarint(), d.uvarint()
	if i >= uint64(len(replicas)) || behind >= vector[replicas[i]] {
		d.fail("dot outside the vector")
		return Dot{}
	}
	return Dot{replicas[i], vector[replicas[i]] - behind}
}
