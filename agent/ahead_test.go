package agent

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"sidekeep/localstore"
	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// What was sealed ahead is what is sealed when it is asked for, in whatever order
// that comes; and what is gone by then, or never was here, is left out.
func TestLoaderAhead(t *testing.T) {
	ctx := t.Context()
	secret, err := seal.NewSecret(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	must(t, err)
	identity, err := seal.NewIdentity(secret, bytes.NewReader(bytes.Repeat([]byte{9}, 256)))
	must(t, err)
	keys := identity.Keys()
	store, err := localstore.Open(ctx, t.TempDir(), localstore.Options{Hasher: keys})
	must(t, err)
	defer store.Close()
	data := make([]byte, 9*localstore.ChunkBytes+100)
	for i, random := 0, rand.New(rand.NewPCG(1, 2)); i < len(data); i++ {
		data[i] = byte(random.Uint32())
	}
	res, err := store.Import(ctx, []pim.Object{{
		Kind: record.Pictures, UID: "p", Fields: []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:sea")}, {Key: "ATTACH", Line: []byte("ATTACH;FMTTYPE=image/png:")}},
		Blobs: map[string]pim.BlobSource{"ATTACH": pim.BytesSource(data)},
	}})
	must(t, err)
	r, err := store.Get(ctx, res[0].ID)
	must(t, err)
	ids := r.Fields[1].Blob.Chunks
	if len(ids) != 10 {
		t.Fatalf("%d chunks", len(ids))
	}
	l := loader{store: store, keys: keys}
	defer l.wait()
	stray := record.ChunkID{1}
	check := func(what string, ask []record.ChunkID, want ...int) {
		t.Helper()
		got, bad, err := l.load(ctx, ask)
		must(t, err)
		if len(got) != len(want) || bad != len(ask)-len(want) {
			t.Fatalf("%s: %d given, %d bad, of %d", what, len(got), bad, len(ask))
		}
		for i, n := range want {
			id, plain, err := keys.OpenChunk(seal.Sealed{Header: got[i].Sealed.Header, Body: got[i].Sealed.Body})
			if begin := n * localstore.ChunkBytes; err != nil || id != ids[n] || got[i].ID != id || !bytes.Equal(plain, data[begin:min(begin+localstore.ChunkBytes, len(data))]) {
				t.Errorf("%s: chunk %d is another one: %v", what, n, err)
			}
		}
	}
	check("nothing ahead", ids[:2], 0, 1)
	l.ahead(ctx, ids[2:6])
	check("the first of those ahead", ids[2:4], 2, 3)
	l.ahead(ctx, append(ids[4:9:9], stray)) // some are sealed already
	check("in another order, with one that is not here", []record.ChunkID{ids[8], stray, ids[9], ids[4]}, 8, 9, 4)
	l.ahead(ctx, nil)
	if len(l.sealed) != 0 {
		t.Errorf("%d are kept that nobody will ask for", len(l.sealed))
	}
	check("again, not ahead", ids[5:6], 5)
}
