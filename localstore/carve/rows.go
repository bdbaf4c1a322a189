package carve

import (
	"encoding/binary"
	"math"
)

// Row is one row of a table, or one entry of an index.
type Row struct {
	Page   uint32
	Index  bool  // an entry of an index, or a row of a table WITHOUT ROWID
	Rowid  int64 // of a table's row
	Values []any // nil, int64, float64, string or []byte, in the order of the columns
}

// Report counts what could not be read.
type Report struct {
	Pages   int // looked at
	Missing int // not there, not whole or not readable
	Bad     int // of a kind that no page has, or with a broken head
	Cells   int // rows that could not be read, in pages that could
}

// rowBytesMax bounds what a damaged length can make us read. A record with all
// its columns stays well below.
const rowBytesMax = 4 << 20

// Kinds of page (section 1.6).
const (
	pageIndexInner = 0x02
	pageTableInner = 0x05
	pageIndexLeaf  = 0x0a
	pageTableLeaf  = 0x0d
)

// Rows gives every row that can be read, in no order. Pages of the freelist are
// left out. The values are the caller's. visit ends the walk with an error.
func (f *File) Rows(visit func(*Row) error) (Report, error) {
	r := Report{Missing: f.cut}
	one := func(n uint32) error {
		if f.free[n] {
			return nil
		}
		r.Pages++
		p, ok := f.page(n)
		if !ok {
			r.Missing++
		}
		if p == nil {
			return nil
		}
		return f.cells(n, p, &r, visit)
	}
	for n := uint32(1); n <= f.dbPages; n++ {
		if err := one(n); err != nil {
			return r, err
		}
	}
	for _, n := range f.beyond {
		if err := one(n); err != nil {
			return r, err
		}
	}
	return r, nil
}

// cells reads the cells of a page (section 1.6).
func (f *File) cells(n uint32, p []byte, r *Report, visit func(*Row) error) error {
	head := p
	if n == 1 {
		head = p[fileHeaderBytes:]
	}
	kind, first := head[0], 8
	switch kind {
	case pageTableLeaf, pageIndexLeaf:
	case pageIndexInner:
		first = 12
	case pageTableInner, 0: // no rows; an overflow page, whose number is below 2^24
		return nil
	default:
		r.Bad++
		return nil
	}
	count := int(binary.BigEndian.Uint16(head[3:]))
	if first+2*count > len(head) {
		r.Bad++
		count = (len(head) - first) / 2
	}
	for i := range count {
		at := int(binary.BigEndian.Uint16(head[first+2*i:]))
		row, ok := f.cell(n, kind, p, at)
		if !ok {
			r.Cells++
			continue
		}
		if err := visit(row); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) cell(n uint32, kind byte, p []byte, at int) (*Row, bool) {
	if at < 8 || at >= len(p) {
		return nil, false
	}
	b := p[at:]
	row := &Row{Page: n, Index: kind != pageTableLeaf}
	if kind == pageIndexInner {
		if len(b) < 4 {
			return nil, false
		}
		b = b[4:]
	}
	size, k := varint(b)
	if k == 0 || size > rowBytesMax {
		return nil, false
	}
	b = b[k:]
	if kind == pageTableLeaf {
		id, k := varint(b)
		if k == 0 {
			return nil, false
		}
		row.Rowid, b = int64(id), b[k:]
	}
	payload, ok := f.payload(b, int(size), kind == pageTableLeaf)
	if !ok {
		return nil, false
	}
	row.Values, ok = values(payload)
	return row, ok
}

// payload puts together what stands in the cell and in its overflow pages.
func (f *File) payload(b []byte, size int, table bool) ([]byte, bool) {
	u := f.pageSize
	most, least := u-35, (u-12)*32/255-23
	if !table {
		most = (u-12)*64/255 - 23
	}
	local := size
	if size > most {
		if local = least + (size-least)%(u-4); local > most {
			local = least
		}
	}
	if local > len(b) {
		return nil, false
	}
	if local == size {
		return b[:size], true
	}
	if len(b) < local+4 || size > (int(f.dbPages)+len(f.beyond))*u {
		return nil, false
	}
	whole := append(make([]byte, 0, size), b[:local]...)
	next := binary.BigEndian.Uint32(b[local:])
	for len(whole) < size {
		p, ok := f.page(next)
		if !ok {
			return nil, false
		}
		next = binary.BigEndian.Uint32(p)
		whole = append(whole, p[4:4+min(size-len(whole), u-4)]...)
	}
	return whole, true
}

// values reads a record (section 2.1).
func values(b []byte) ([]any, bool) {
	size, k := varint(b)
	if k == 0 || size > uint64(len(b)) || size < uint64(k) {
		return nil, false
	}
	head, body := b[k:size], b[size:]
	var list []any
	for len(head) > 0 {
		t, k := varint(head)
		if k == 0 {
			return nil, false
		}
		head = head[k:]
		n := contentBytes(t)
		if n < 0 || n > len(body) {
			return nil, false
		}
		list = append(list, value(t, body[:n]))
		body = body[n:]
	}
	return list, len(body) == 0
}

// contentBytes is the size of a value of a serial type, -1 for one that no row has.
func contentBytes(t uint64) int {
	switch {
	case t == 5:
		return 6
	case t == 6, t == 7:
		return 8
	case t <= 4:
		return int(t)
	case t == 8, t == 9:
		return 0
	case t < 12, t > math.MaxInt32:
		return -1
	}
	return int(t-12) / 2
}

func value(t uint64, b []byte) any {
	switch {
	case t == 0:
		return nil
	case t == 7:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	case t <= 6:
		n := int64(int8(b[0]))
		for _, c := range b[1:] {
			n = n<<8 | int64(c)
		}
		return n
	case t == 8:
		return int64(0)
	case t == 9:
		return int64(1)
	case t%2 == 0:
		return append([]byte{}, b...)
	}
	return string(b)
}

// varint reads one of section 1.6: 1 to 9 bytes, big-endian; k is 0 if there is none.
func varint(b []byte) (v uint64, k int) {
	for i := range min(8, len(b)) {
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	if len(b) < 9 {
		return 0, 0
	}
	return v<<8 | uint64(b[8]), 9
}
