package seal

import (
	"crypto/cipher"
	"crypto/hmac"
	"fmt"
	"slices"

	"sidekeep/localstore/record"
)

// What stands first in the associated data of each sealed thing.
const (
	contextVersion = "sidekeep/v1/version\x00"
	contextChunk   = "sidekeep/v1/chunk\x00"
)

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
	if !kind.Valid() {
		return Sealed{}, fmt.Errorf("seal version of %s: bad kind", id)
	}
	encoded, err := record.Encode(v)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal version of %s: %w", id, err)
	}
	return k.SealEncoded(kind, id, k.VersionID(kind, id, encoded), v, encoded), nil
}

// SealEncoded is SealVersion for who has the canonical encoding of v, and its id, already.
func (k *Keys) SealEncoded(kind record.Kind, id record.ID, version record.VersionID, v *record.Version, encoded []byte) Sealed {
	h := Header{Format: FormatVersion, Kind: kind, ID: id, VersionID: version, Vector: v.Vector, Chunks: v.Chunks()}
	if v.Dead() {
		h.Flags |= FlagDead
	}
	payload, dictionary := compress(kind, encoded[len(record.Head(v.Vector)):])
	h.Dictionary = dictionary
	body := pad(payload, nil)
	h.Length = len(body) - nonceTailBytes
	return k.seal(k.version, contextVersion, h.VersionID, h.marshal(), body)
}

// OpenVersion opens a sealed version, and checks all that its header says
// against what is inside. Whatever is wrong, the error is ErrOpen.
func (k *Keys) OpenVersion(s Sealed) (Opened, error) {
	h, err := ParseHeader(s.Header)
	if err != nil || len(s.Body) != h.Length+Overhead {
		return Opened{}, ErrOpen
	}
	payload, ok := k.open(nil, k.version, contextVersion, h.VersionID, s)
	if !ok {
		return Opened{}, ErrOpen
	}
	rest, ok := decompress(h.Dictionary, payload)
	encoded := append(record.Head(h.Vector), rest...)
	if want := k.VersionID(h.Kind, h.ID, encoded); !ok || !hmac.Equal(want[:], h.VersionID[:]) {
		return Opened{}, ErrOpen
	}
	v, err := record.Decode(encoded)
	if err != nil || !v.Vector.Equal(h.Vector) || v.Dead() != h.Dead() || !slices.Equal(v.Chunks(), h.Chunks) {
		return Opened{}, ErrOpen
	}
	return Opened{h.Kind, h.ID, h.VersionID, v}, nil
}

// SealChunk seals a chunk of 1 to ChunkBytes bytes. Equal input gives equal output.
func (k *Keys) SealChunk(plain []byte) (Sealed, error) {
	if len(plain) == 0 || len(plain) > ChunkBytes {
		return Sealed{}, &record.LimitError{What: "bytes in a chunk", Value: len(plain), Max: ChunkBytes}
	}
	return k.SealKnownChunk(k.ChunkID(plain), plain, nil), nil
}

// SealKnownChunk is SealChunk for who has just found the id of the chunk, which is
// within the limits. The sealed form stands in room if that is large enough.
func (k *Keys) SealKnownChunk(id record.ChunkID, plain, room []byte) Sealed {
	body := pad(plain, room)
	h := ChunkHeader{Format: FormatVersion, ID: id, Length: len(body) - nonceTailBytes}
	return k.seal(k.chunk, contextChunk, h.ID, h.marshal(), body)
}

// OpenChunk opens a sealed chunk and returns its id, recomputed, and its bytes,
// which stand in s.Body: the sealed form is gone, whatever comes out. Whatever is
// wrong, the error is ErrOpen.
func (k *Keys) OpenChunk(s Sealed) (record.ChunkID, []byte, error) {
	h, err := ParseChunkHeader(s.Header)
	if err != nil || len(s.Body) != h.Length+Overhead {
		return record.ChunkID{}, nil, ErrOpen
	}
	plain, ok := k.open(s.Body[nonceTailBytes:nonceTailBytes], k.chunk, contextChunk, h.ID, s)
	if want := k.ChunkID(plain); !ok || len(plain) == 0 || !hmac.Equal(want[:], h.ID[:]) {
		return record.ChunkID{}, nil, ErrOpen
	}
	return h.ID, plain, nil
}

// associated is what is authenticated beside the plaintext.
func (k *Keys) associated(context string, header []byte) []byte {
	return slices.Concat([]byte(context), k.account[:], header)
}

// seal seals what pad has made, in place, under a nonce that begins with the id of
// what it holds, which stands in the header, and ends with a MAC of all that is sealed.
func (k *Keys) seal(a cipher.AEAD, context string, id [16]byte, header, body []byte) Sealed {
	ad := k.associated(context, header)
	plain := body[nonceTailBytes:]
	tail := k.nonceTail(ad, plain)
	copy(body, tail[:])
	return Sealed{header, a.Seal(body[:nonceTailBytes], append(id[:], tail[:]...), plain, ad)}
}

// open returns the payload of s without padding. A nonce that is not the one
// that sealing makes is refused: one plaintext has one sealed form. The payload is
// appended to dst, which may be the place of the ciphertext.
func (k *Keys) open(dst []byte, a cipher.AEAD, context string, id [16]byte, s Sealed) ([]byte, bool) {
	ad := k.associated(context, s.Header)
	tail, ciphertext := s.Body[:nonceTailBytes], s.Body[nonceTailBytes:]
	plain, err := a.Open(dst, append(id[:], tail...), ciphertext, ad)
	if err != nil {
		return nil, false
	}
	if right := k.nonceTail(ad, plain); !hmac.Equal(tail, right[:]) {
		return nil, false
	}
	return unpad(plain)
}
