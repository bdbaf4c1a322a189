package sqlitestore

import (
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
