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

// FlagDead says that the version is a tombstone that nothing outlives.
const FlagDead = 1

// Overhead is how much longer a body is than its padded plaintext: nonce and tag.
const Overhead = 24 + 16

// ErrHeader is wrapped by the errors of ParseHeader and ParseChunkHeader.
var ErrHeader = errors.New("bad header")

// ParseHeader reads the header of a sealed version. It needs no key.
func ParseHeader(b []byte) (Header, error) { return Header{}, errors.ErrUnsupported }

// ChunkHeader is what the cloud sees of a sealed chunk.
type ChunkHeader struct {
	Format uint64
	ID     record.ChunkID
	Length int // of the padded plaintext
}

// ParseChunkHeader reads the header of a sealed chunk. It needs no key.
func ParseChunkHeader(b []byte) (ChunkHeader, error) { return ChunkHeader{}, errors.ErrUnsupported }

// Opened is a version that opened, with its identity as recomputed from inside.
type Opened struct {
	Kind      record.Kind
	ID        record.ID
	VersionID record.VersionID
	Version   *record.Version
}

// SealVersion seals v as the version of record id. Equal input gives equal output.
// The error is a *record.LimitError if v is too large.
func (k *Keys) SealVersion(kind record.Kind, id record.ID, v *record.Version) (Sealed, error) {
	return Sealed{}, errors.ErrUnsupported
}

// OpenVersion opens a sealed version. Whatever is wrong, the error is ErrOpen.
func (k *Keys) OpenVersion(s Sealed) (Opened, error) { return Opened{}, ErrOpen }

// ChunkBytes is the size of every chunk of a blob but the last.
const ChunkBytes = 65536

// SealChunk seals a chunk of 1 to ChunkBytes bytes.
func (k *Keys) SealChunk(plain []byte) (Sealed, error) { return Sealed{}, errors.ErrUnsupported }

// OpenChunk opens a sealed chunk. Whatever is wrong, the error is ErrOpen.
func (k *Keys) OpenChunk(s Sealed) (record.ChunkID, []byte, error) {
	return record.ChunkID{}, nil, ErrOpen
}
