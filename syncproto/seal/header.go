package seal

import (
	"errors"

	"sidekeep/localstore/record"
)

// Sealed is a sealed version or chunk as it travels: the header in clear, and
// the nonce followed by the ciphertext. The header is authenticated with it.
type Sealed struct {
	Header []byte
	Body   []byte
}

// Header is what the cloud sees of a sealed version.
type Header struct {
	Format     uint64
	Kind       record.Kind
	ID         record.ID
	VersionID  record.VersionID
	Vector     record.Vector
	Flags      uint64
	Dictionary uint64
	Chunks     []record.ChunkID // ascending, each once
	Length     int              // of the padded plaintext: len(Body) is Length + Overhead
}

// Dead reports whether the version is a tombstone that nothing outlives.
func (h *Header) Dead() bool { return h.Flags&FlagDead != 0 }

// FlagDead says that the version is a tombstone that nothing outlives.
const FlagDead = 1

// FormatVersion is the only format of a sealed version or chunk so far.
// An older or newer one is refused.
const FormatVersion = 1

// Limits of headers and bodies.
const (
	VersionLengthMax = padHeadMax + record.EncodedBytesMax // of a padded version: pad leaves the largest as it is
	HeaderBytesMax   = 72 << 10                            // ChunksMax chunk ids, VectorMax vector entries, and the rest
)

// Overhead is how much longer a body is than its padded plaintext: nonce and tag.
const Overhead = 24 + 16

// ErrHeader is the error of ParseHeader and ParseChunkHeader.
var ErrHeader = errors.New("bad header")

// marshal returns the header as it travels: SPEC.md "Sealing", sealed-version-header.
func (h *Header) marshal() []byte {
	b := make([]byte, 0, 96+len(h.Vector)*16+len(h.Chunks)*17)
	b = appendHead(b, majorArray, 9)
	b = appendUint(b, h.Format)
	b = appendText(b, string(h.Kind))
	b = appendBytes(b, h.ID[:])
	b = appendBytes(b, h.VersionID[:])
	b = appendHead(b, majorMap, uint64(len(h.Vector)))
	for _, r := range h.Vector.Replicas() {
		b = appendBytes(b, r[:])
		b = appendUint(b, h.Vector[r])
	}
	b = appendUint(b, h.Flags)
	b = appendUint(b, h.Dictionary)
	b = appendHead(b, majorArray, uint64(len(h.Chunks)))
	for i := range h.Chunks {
		b = appendBytes(b, h.Chunks[i][:])
	}
	return appendUint(b, uint64(h.Length))
}

// ParseHeader reads the header of a sealed version. It needs no key. It refuses
// every encoding but the deterministic one, other formats, unknown flags and
// whatever passes a limit; the error is then ErrHeader.
func ParseHeader(b []byte) (Header, error) {
	if len(b) > HeaderBytesMax {
		return Header{}, ErrHeader
	}
	r := reader{b: b}
	r.exactly(majorArray, 9)
	h := Header{Format: r.uint(FormatVersion), Kind: record.Kind(r.text(record.KindBytesMax))}
	r.fixed(h.ID[:])
	r.fixed(h.VersionID[:])
	h.Vector = r.vector()
	h.Flags = r.uint(FlagDead)
	h.Dictionary = r.uint(1<<32 - 1)
	h.Chunks = r.chunks()
	h.Length = int(r.uint(uint64(VersionLengthMax)))
	if !r.done() || h.Format != FormatVersion || !h.Kind.Valid() || h.Length <= padSmallest {
		return Header{}, ErrHeader
	}
	return h, nil
}

func (r *reader) vector() record.Vector {
	n := r.count(majorMap, record.VectorMax)
	v := make(record.Vector, n)
	var last record.ReplicaID
	for i := range n {
		var id record.ReplicaID
		r.fixed(id[:])
		c := r.uint(record.CounterMax)
		if c == 0 || i > 0 && !ascending(last[:], id[:]) {
			r.bad = true
		}
		v[id], last = c, id
	}
	return v
}

func (r *reader) chunks() []record.ChunkID {
	ids := make([]record.ChunkID, r.count(majorArray, record.ChunksMax))
	for i := range ids {
		r.fixed(ids[i][:])
		if i > 0 && !ascending(ids[i-1][:], ids[i][:]) {
			r.bad = true
		}
	}
	return ids
}

// ChunkHeader is what the cloud sees of a sealed chunk.
type ChunkHeader struct {
	Format uint64
	ID     record.ChunkID
	Length int // of the padded plaintext: len(Body) is Length + Overhead
}

// ChunkBytes is the size of every chunk of a blob but the last.
const ChunkBytes = 65536

// ChunkLengthMax is the padded length of a full chunk.
const ChunkLengthMax = padHeadMax + ChunkBytes

func (h *ChunkHeader) marshal() []byte {
	b := appendHead(make([]byte, 0, 32), majorArray, 3)
	b = appendUint(b, h.Format)
	b = appendBytes(b, h.ID[:])
	return appendUint(b, uint64(h.Length))
}

// ParseChunkHeader reads the header of a sealed chunk. It needs no key. The
// error is ErrHeader.
func ParseChunkHeader(b []byte) (ChunkHeader, error) {
	r := reader{b: b}
	r.exactly(majorArray, 3)
	h := ChunkHeader{Format: r.uint(FormatVersion)}
	r.fixed(h.ID[:])
	h.Length = int(r.uint(ChunkLengthMax))
	if !r.done() || h.Format != FormatVersion || h.Length <= padSmallest {
		return ChunkHeader{}, ErrHeader
	}
	return h, nil
}
