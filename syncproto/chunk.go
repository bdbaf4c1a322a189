package syncproto

import (
	"bytes"
	"encoding/binary"

	"sidekeep/localstore/record"
)

// Have names chunks that the device could give.
type Have struct {
	ID     RequestID        `cbor:"1,keyasint"`
	Chunks []record.ChunkID `cbor:"2,keyasint"`
}

// Type returns TypeHave.
func (*Have) Type() Type { return TypeHave }

func (m *Have) check() error { return checkChunkRequest(m.ID, m.Chunks, false) }

// Need answers Have: the chunks among them that the cloud lacks.
type Need struct {
	ID     RequestID        `cbor:"1,keyasint"`
	Chunks []record.ChunkID `cbor:"2,keyasint"`
}

// Type returns TypeNeed.
func (*Need) Type() Type { return TypeNeed }

func (m *Need) check() error { return checkChunkRequest(m.ID, m.Chunks, true) }

// Chunk carries one sealed chunk, in either direction.
type Chunk struct {
	Header []byte `cbor:"1,keyasint"`
	Body   []byte `cbor:"2,keyasint"`
}

// Type returns TypeChunk.
func (*Chunk) Type() Type { return TypeChunk }

// decode reads a chunk that is encoded as Encode would, and reports whether it is:
// chunks are most of what goes over the network, and the general way copies
// and compares each of them three times.
func (m *Chunk) decode(body []byte) bool {
	rest, ok := bytes.CutPrefix(body, []byte{0xa2, 1}) // two pairs, key 1
	if !ok {
		return false
	}
	header, rest, ok := cutBytes(rest)
	if !ok || len(rest) == 0 || rest[0] != 2 {
		return false
	}
	sealed, rest, ok := cutBytes(rest[1:])
	if !ok || len(rest) > 0 {
		return false
	}
	m.Header, m.Body = bytes.Clone(header), Copy(sealed)
	return true
}

// cutBytes takes a byte string of CBOR (RFC 8949 section 3.1, major type 2), whose
// length is in its shortest form, off the front of b.
func cutBytes(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 5 || b[0]>>5 != 2 { // what is shorter goes the general way
		return nil, nil, false
	}
	n, least, head := uint64(b[0]&0x1f), uint64(0), 1
	switch n {
	case 24:
		n, least, head = uint64(b[1]), 24, 2
	case 25:
		n, least, head = uint64(binary.BigEndian.Uint16(b[1:])), 1<<8, 3
	case 26:
		n, least, head = uint64(binary.BigEndian.Uint32(b[1:])), 1<<16, 5
	case 27, 28, 29, 30, 31: // no chunk has 4 GiB
		return nil, nil, false
	}
	b = b[head:]
	if n < least || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func (m *Chunk) check() error {
	switch {
	case len(m.Header) == 0 || len(m.Body) == 0:
		return errorf(CodeBadMessage, "empty chunk")
	case len(m.Header) > ChunkHeaderBytesMax:
		return errorf(CodeTooLarge, "chunk header of %d bytes", len(m.Header))
	case len(m.Body) > ChunkBodyBytesMax:
		return errorf(CodeTooLarge, "chunk of %d bytes", len(m.Body))
	}
	return nil
}

// Stored says that these chunks are durable in the cloud.
type Stored struct {
	Chunks []record.ChunkID `cbor:"1,keyasint"`
}

// Type returns TypeStored.
func (*Stored) Type() Type { return TypeStored }

func (m *Stored) check() error { return checkChunks(m.Chunks, false) }

// Want asks for chunks. The answer is a Chunk for each that the cloud holds,
// then Absent.
type Want struct {
	ID     RequestID        `cbor:"1,keyasint"`
	Chunks []record.ChunkID `cbor:"2,keyasint"`
}

// Type returns TypeWant.
func (*Want) Type() Type { return TypeWant }

func (m *Want) check() error { return checkChunkRequest(m.ID, m.Chunks, false) }

// Absent closes the answer to Want: the chunks that the cloud does not hold.
type Absent struct {
	ID     RequestID        `cbor:"1,keyasint"`
	Chunks []record.ChunkID `cbor:"2,keyasint"`
}

// Type returns TypeAbsent.
func (*Absent) Type() Type { return TypeAbsent }

func (m *Absent) check() error { return checkChunkRequest(m.ID, m.Chunks, true) }

func checkChunkRequest(id RequestID, ids []record.ChunkID, emptyOK bool) error {
	if err := checkRequest(id); err != nil {
		return err
	}
	return checkChunks(ids, emptyOK)
}

func checkChunks(ids []record.ChunkID, emptyOK bool) error {
	if len(ids) == 0 && !emptyOK {
		return errorf(CodeBadMessage, "no chunks named")
	}
	if len(ids) > HaveMax {
		return errorf(CodeTooLarge, "%d chunks named", len(ids))
	}
	return nil
}
