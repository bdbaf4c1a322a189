package sqlitestore

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// TestLostChunkIsAskedForAtOnce: a chunk that goes missing under a running server is
// named to devices once anybody asked for it, and no more when it came again.
func TestLostChunkIsAskedForAtOnce(t *testing.T) {
	s := open(t, t.TempDir())
	a := author(t, s)
	v := push(t, s, a, 1)
	chunk := a.Chunk([]byte("a picture"))
	id, version := v.Ref.Record(), v.Ref.Version()
	err := s.do(ctx, 0, func(t *txn) error {
		return t.addRefs(a.Account[:], string(v.Kind), id[:], version[:], []record.ChunkID{chunk.ID})
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func() {
		t.Helper()
		if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{chunk}); err != nil {
			t.Fatal(err)
		}
	}
	get := func(id record.ChunkID, want bool) {
		t.Helper()
		if c, err := s.Chunks().Get(ctx, a.Account, id); err != nil || (c != nil) != want {
			t.Errorf("read a chunk: %v, %v", c != nil, err)
		}
	}
	lost := func(want ...record.ChunkID) {
		t.Helper()
		st, err := s.Prove(ctx, a.Account, a.Device, a.Replica, nil, nil)
		if err != nil || !slices.Equal(st.Lost, want) {
			t.Errorf("named as lost: %d, %v, want %d", len(st.Lost), err, len(want))
		}
	}
	put()
	get(chunk.ID, true)
	lost()
	damage(t, s, "DELETE FROM chunk")
	lost() // nobody asked yet
	get(chunk.ID, false)
	lost(chunk.ID)
	get(record.ChunkID{9}, false) // nothing refers to it
	lost(chunk.ID)
	put()
	get(chunk.ID, true)
	lost()
}

// A bit of the file says whether the body of a chunk is a BLOB or text of the same
// bytes. If that flips, the chunk is given as it was, or set aside; it is not held
// and out of reach.
func TestChunkThatBecameText(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a := author(t, s)
	chunk := a.Chunk([]byte("a picture"))
	if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{chunk}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, FileName)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The record format of SQLite: a BLOB of n bytes has the type 12 + 2n, a varint.
	kind := func(n int) []byte {
		if n = 12 + 2*n; n < 128 {
			return []byte{byte(n)}
		}
		return []byte{0x80 | byte(n>>7), byte(n & 0x7f)}
	}
	head := append(kind(len(chunk.Header)), kind(len(chunk.Body))...)
	at := bytes.LastIndex(file[:bytes.Index(file, chunk.Body)], head) + len(head) - 1
	file[at] |= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if count(t, s, "SELECT count(*) FROM chunk WHERE typeof(body) = 'text'") != 1 {
		t.Fatal("the body is no text: the test shows nothing")
	}
	got, err := s.Chunks().Get(ctx, a.Account, chunk.ID)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := s.Chunks().Missing(ctx, a.Account, []record.ChunkID{chunk.ID})
	if err != nil {
		t.Fatal(err)
	}
	if whole := got != nil && bytes.Equal(got.Body, chunk.Body); whole == (len(missing) == 1) {
		t.Errorf("given whole: %v; %d missing", whole, len(missing))
	}
}
