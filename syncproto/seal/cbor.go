package seal

import (
	"bytes"
	"encoding/binary"
)

// The few items of CBOR (RFC 8949) that headers, certificates and statements
// need, in the deterministic encoding of its section 4.2.1: shortest heads,
// definite lengths. Written here by hand because the cloud parses one header a
// version, and because the reader must refuse every other encoding.

const (
	majorUint  = 0 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
)

func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendUint(b []byte, n uint64) []byte { return appendHead(b, majorUint, n) }

func appendBytes(b, s []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(s))), s...)
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

// reader takes items off b. After the first thing out of place bad is set, and
// every further read gives zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) head(major byte) uint64 {
	first := r.take(1)
	if r.bad || first[0]&0xe0 != major {
		r.bad = true
		return 0
	}
	info := first[0] & 0x1f
	if info < 24 {
		return uint64(info)
	}
	if info > 27 {
		r.bad = true
		return 0
	}
	var n, least uint64
	switch p := r.take(1 << (info - 24)); len(p) {
	case 1:
		n, least = uint64(p[0]), 24
	case 2:
		n, least = uint64(binary.BigEndian.Uint16(p)), 1<<8
	case 4:
		n, least = uint64(binary.BigEndian.Uint32(p)), 1<<16
	case 8:
		n, least = binary.BigEndian.Uint64(p), 1<<32
	}
	if n < least {
		r.bad = true
	}
	return n
}

func (r *reader) uint(most uint64) uint64 {
	n := r.head(majorUint)
	if n > most {
		r.bad = true
	}
	return n
}

// array reads the head of an array or map that must hold exactly n items.
func (r *reader) exactly(major byte, n uint64) {
	if r.head(major) != n {
		r.bad = true
	}
}

// count reads the head of an array or map of at most most items.
func (r *reader) count(major byte, most uint64) int {
	n := r.head(major)
	if n > most || n > uint64(len(r.b)) {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	return int(n)
}

// fixed reads a byte string of exactly len(to) bytes into to.
func (r *reader) fixed(to []byte) {
	if r.head(majorBytes) != uint64(len(to)) {
		r.bad = true
	}
	if p := r.take(uint64(len(to))); !r.bad {
		copy(to, p)
	}
}

// text reads a text string of at most most bytes.
func (r *reader) text(most uint64) string {
	n := r.head(majorText)
	if n > most {
		r.bad = true
		return ""
	}
	return string(r.take(n))
}

// done reports whether everything was in place and nothing is left.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

// ascending reports whether a stands before b.
func ascending(a, b []byte) bool { return bytes.Compare(a, b) < 0 }
