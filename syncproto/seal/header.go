package seal

import (
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"sidekeep/localstore/record"
)

// Sealed is a sealed version or chunk as it travels: the header in clear, and
// the end of the nonce followed by the ciphertext. The header is authenticated with it.
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

// FormatVersion is the only format of a sealed version or chunk that is read or
// written; an older or newer one is refused. Format 1 was never released.
const FormatVersion = 2

// Limits of headers and bodies.
const (
	VersionLengthMax = padHeadMax + record.EncodedBytesMax // of a padded version: pad leaves the largest as it is
	HeaderBytesMax   = 72 << 10                            // ChunksMax chunk ids, VectorMax vector entries, and the rest
)

// Overhead is how much longer a body is than its padded plaintext: the part of
// the nonce that does not stand in the header, and the tag.
const Overhead = nonceTailBytes + chacha20poly1305.Overhead

// nonceTailBytes of a nonce travel with the body; the rest is the id in the header.
const nonceTailBytes = chacha20poly1305.NonceSizeX - 16

// ErrHeader is the error of ParseHeader and ParseChunkHeader.
var ErrHeader = errors.New("bad header")

// kindCodes are the kinds that a header names by one byte, their place in the
// list plus one. The list only ever grows.
var kindCodes = []record.Kind{record.Contacts, record.Events, record.Notes, record.Tasks, record.Pictures}

// marshal returns the header as it travels: SPEC.md "Sealing", version-header.
func (h *Header) marshal() []byte {
	b := make([]byte, 0, 64+len(h.Vector)*16+len(h.Chunks)*16)
	b = binary.AppendUvarint(b, h.Format)
	if code := slices.Index(kindCodes, h.Kind) + 1; code > 0 {
		b = append(b, byte(code))
	} else {
		b = append(b, 0, byte(len(h.Kind)))
		b = append(b, h.Kind...)
	}
	b = append(append(b, h.ID[:]...), h.VersionID[:]...)
	b = h.Vector.Append(b)
	b = binary.AppendUvarint(b, h.Flags)
	b = binary.AppendUvarint(b, h.Dictionary)
	b = binary.AppendUvarint(b, uint64(len(h.Chunks)))
	for i := range h.Chunks {
		b = append(b, h.Chunks[i][:]...)
	}
	return binary.AppendUvarint(b, uint64(h.Length))
}

// ParseHeader reads the header of a sealed version. It needs no key. It refuses
// every encoding but the one of SPEC.md, other formats, unknown flags and
// whatever passes a limit; the error is then ErrHeader.
func ParseHeader(b []byte) (Header, error) {
	if len(b) > HeaderBytesMax {
		return Header{}, ErrHeader
	}
	r := reader{b: b}
	h := Header{Format: r.varint(FormatVersion), Kind: r.kind()}
	r.raw(h.ID[:])
	r.raw(h.VersionID[:])
	h.Vector = r.vector()
	h.Flags = r.varint(FlagDead)
	h.Dictionary = r.varint(1<<32 - 1)
	h.Chunks = r.chunks()
	h.Length = int(r.varint(uint64(VersionLengthMax)))
	if !r.done() || h.Format != FormatVersion || !h.Kind.Valid() || h.Length <= padSmallest {
		return Header{}, ErrHeader
	}
	return h, nil
}

// varint reads a number in its shortest form, at most most.
func (r *reader) varint(most uint64) uint64 {
	n, size := binary.Uvarint(r.b)
	if r.bad || size <= 0 || size > 1 && r.b[size-1] == 0 || n > most {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

// raw reads len(to) bytes into to.
func (r *reader) raw(to []byte) { copy(to, r.take(uint64(len(to)))) }

func (r *reader) kind() record.Kind {
	code := r.varint(uint64(len(kindCodes)))
	if r.bad || code > 0 {
		return kindCodes[max(code, 1)-1]
	}
	kind := record.Kind(r.take(r.varint(record.KindBytesMax)))
	if slices.Contains(kindCodes, kind) {
		r.bad = true
	}
	return kind
}

func (r *reader) vector() record.Vector {
	n := r.varint(record.VectorMax)
	v := make(record.Vector, n)
	var last record.ReplicaID
	for i := range n {
		var id record.ReplicaID
		r.raw(id[:])
		c := r.varint(record.CounterMax)
		if c == 0 || i > 0 && !ascending(last[:], id[:]) {
			r.bad = true
		}
		v[id], last = c, id
	}
	return v
}

func (r *reader) chunks() []record.ChunkID {
	n := r.varint(record.ChunksMax)
	if n > uint64(len(r.b))/16 {
		r.bad = true
		return nil
	}
	ids := make([]record.ChunkID, n)
	for i := range ids {
		r.raw(ids[i][:])
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
	b := binary.AppendUvarint(make([]byte, 0, 32), h.Format)
	b = append(b, h.ID[:]...)
	return binary.AppendUvarint(b, uint64(h.Length))
}

// ParseChunkHeader reads the header of a sealed chunk. It needs no key. The
// error is ErrHeader.
func ParseChunkHeader(b []byte) (ChunkHeader, error) {
	r := reader{b: b}
	h := ChunkHeader{Format: r.varint(FormatVersion)}
	r.raw(h.ID[:])
	h.Length = int(r.varint(ChunkLengthMax))
	if !r.done() || h.Format != FormatVersion || h.Length <= padSmallest {
		return ChunkHeader{}, ErrHeader
	}
	return h, nil
}
