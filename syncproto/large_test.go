package syncproto

import (
	"bytes"
	"testing"
)

// A full piece of a picture is encoded, decoded and sealed in buffers that go round.
func TestLargeBuffersGoRound(t *testing.T) {
	full := &Chunk{Header: make([]byte, ChunkHeaderBytesMax), Body: bytes.Repeat([]byte{7}, ChunkBodyBytesMax)}
	b, err := Encode(full)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.(*Chunk); !bytes.Equal(got.Body, full.Body) || cap(got.Body) != largeBytes || cap(b) != largeBytes || cap(Buffer(ChunkBytes)) != largeBytes {
		t.Errorf("buffers of %d, %d and %d bytes, want %d", cap(got.Body), cap(b), cap(Buffer(ChunkBytes)), largeBytes)
	}
	if small := Copy([]byte("small")); cap(small) >= largeLeast {
		t.Errorf("%d bytes for 5", cap(small))
	}
}
