package syncproto

import "sync"

// largeBytes is the capacity of the buffers that go round between messages with
// chunks and what they are encoded in: a picture would else take three of them
// from the heap for each of its pieces, at both ends.
const largeBytes = ChunkBodyBytesMax + ChunkHeaderBytesMax + roomSmall + roomItem

// largeLeast is from how many bytes on one of them is worth it.
const largeLeast = 16 << 10

var large sync.Pool // of *[]byte

// Buffer returns an empty buffer for n bytes; for a chunk of n bytes, sealed, if n
// is large.
func Buffer(n int) []byte {
	if n < largeLeast || n > largeBytes {
		return make([]byte, 0, n)
	}
	if b, _ := large.Get().(*[]byte); b != nil {
		return (*b)[:0]
	}
	return make([]byte, 0, largeBytes)
}

// Free takes back a Buffer, what Encode returned, or the body of a Chunk that
// Decode returned, when nobody has it any more; the next one is made in it. Nobody
// has to.
func Free(b []byte) {
	if cap(b) != largeBytes {
		return
	}
	if poison {
		clear(b[:cap(b)])
	}
	large.Put(&b)
}

// Copy returns a copy of b that can be given to Free.
func Copy(b []byte) []byte { return append(Buffer(len(b)), b...) }
