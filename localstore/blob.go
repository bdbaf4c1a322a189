package localstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// divide stores a large value in chunks of ChunkBytes and returns the reference to it.
func (t *tx) divide(src pim.BlobSource) (*record.Blob, error) {
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := &record.Blob{}
	buf := make([]byte, ChunkBytes)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if len(b.Chunks) == record.ChunksMax {
				return nil, &record.LimitError{What: "chunks in one record", Value: len(b.Chunks) + 1, Max: record.ChunksMax}
			}
			id := t.s.hash.ChunkID(buf[:n])
			row, err := t.chunkRow(id)
			if err != nil {
				return nil, err
			}
			if err := t.putChunk(row, buf[:n], false); err != nil {
				return nil, err
			}
			b.Chunks = append(b.Chunks, id)
			b.Size += uint64(n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return b, nil
		case err != nil:
			return nil, fmt.Errorf("read value: %w", err)
		}
	}
}

// OpenBlob reads a large value. Each piece is verified by its hash when it is
// read; a missing or damaged one gives ErrChunk.
func (s *Store) OpenBlob(ctx context.Context, b record.Blob) (io.ReadCloser, error) {
	return &blobReader{ctx: ctx, s: s, chunks: b.Chunks, left: b.Size}, nil
}

type blobReader struct {
	ctx    context.Context
	s      *Store
	chunks []record.ChunkID // not read yet
	buf    []byte           // read and not given yet
	left   uint64           // bytes not given yet
}

// Read gives the bytes of one chunk after the other.
func (r *blobReader) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		if len(r.chunks) == 0 {
			if r.left > 0 {
				return 0, fmt.Errorf("a large value is shorter than it should be: %w", ErrChunk)
			}
			return 0, io.EOF
		}
		data, err := r.s.Chunk(r.ctx, r.chunks[0])
		if err != nil {
			return 0, err
		}
		if uint64(len(data)) > r.left {
			return 0, fmt.Errorf("a large value is longer than it should be: %w", ErrChunk)
		}
		r.chunks, r.buf = r.chunks[1:], data
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	r.left -= uint64(n)
	return n, nil
}

// Close satisfies io.Closer.
func (r *blobReader) Close() error { return nil }
