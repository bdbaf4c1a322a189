package localstore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

func picture(uid string, data []byte) pim.Object {
	return pim.Object{Kind: record.Pictures, UID: uid, Fields: []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:sea")}, {Key: "ATTACH", Line: []byte("ATTACH;FMTTYPE=image/png:")}},
		Blobs: map[string]pim.BlobSource{"ATTACH": pim.BytesSource(data)}}
}

func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func TestChunksTravel(t *testing.T) {
	c, a, b := openPair(t)
	data := noise(3*ChunkBytes+17, 1)
	res, err := a.Import(t.Context(), []pim.Object{picture("p", data)})
	must(t, err)
	if ids, err := a.UnsentChunks(t.Context(), record.ChunkID{}, 10); err != nil || len(ids) != 0 {
		t.Errorf("chunks of a record that was never minted: %v %v", ids, err)
	}
	c.sync(t, a)
	c.sync(t, b)
	unsent, err := a.UnsentChunks(t.Context(), record.ChunkID{}, 3)
	must(t, err)
	rest, err := a.UnsentChunks(t.Context(), unsent[2], 3)
	must(t, err)
	if unsent = append(unsent, rest...); len(unsent) != 4 {
		t.Fatalf("%d unsent", len(unsent))
	}
	missing, err := b.MissingChunks(t.Context(), 10)
	must(t, err)
	if len(missing) != 4 {
		t.Fatalf("%d missing", len(missing))
	}
	rec, err := b.Get(t.Context(), res[0].ID)
	must(t, err)
	if _, err := readBlob(b, *rec.Fields[1].Blob); !errors.Is(err, ErrChunk) {
		t.Errorf("reading what is missing: %v", err)
	}
	for _, id := range missing {
		chunk, err := a.Chunk(t.Context(), id)
		must(t, err)
		if err := b.PutChunks(t.Context(), []Chunk{{id, make([]byte, ChunkBytes+1)}}); !errors.Is(err, ErrChunk) {
			t.Errorf("one that is too large: %v", err)
		}
		if err := b.PutChunks(t.Context(), []Chunk{{ID: id}}); !errors.Is(err, ErrChunk) {
			t.Errorf("nothing: %v", err)
		}
		must(t, b.PutChunks(t.Context(), []Chunk{{id, chunk}}))
		must(t, b.PutChunks(t.Context(), []Chunk{{id, chunk}}))
		must(t, a.ChunksAcked(t.Context(), []record.ChunkID{id}))
	}
	got, err := readBlob(b, *rec.Fields[1].Blob)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Error("the picture differs")
	}
	for _, s := range []*Store{a, b} {
		st, err := s.Status(t.Context())
		must(t, err)
		if st.Blobs != (BlobStatus{Chunks: 4, Bytes: int64(len(data))}) {
			t.Errorf("%+v", st.Blobs)
		}
	}
	// Lost by the cloud, which had one of these; another is not here.
	for _, want := range []int{1, 0} {
		if had, err := a.ChunksLost(t.Context(), []record.ChunkID{missing[0], {1}}); err != nil || len(had) != want {
			t.Errorf("%d lost chunks that the cloud had, %v, want %d", len(had), err, want)
		}
	}
	// Another cloud: offered again. What it lacks of the three that the last one had,
	// and that a version needs, is lost.
	must(t, a.ResetEpoch(t.Context(), Epoch{1}))
	must(t, a.ResetEpoch(t.Context(), Epoch{1}))
	if ids, _ := a.UnsentChunks(t.Context(), record.ChunkID{}, 10); len(ids) != 4 {
		t.Errorf("%d offered to a new cloud", len(ids))
	}
	must(t, a.ChunksAcked(t.Context(), missing[1:2]))
	if had, err := a.ChunksLost(t.Context(), append(missing[:1:1], missing[2:]...)); err != nil || !slices.Equal(had, missing[2:]) {
		t.Errorf("%v of %v are told as lost: %v", had, missing[2:], err)
	}
	must(t, a.ChunksAcked(t.Context(), missing))
	must(t, a.Put(t.Context(), record.Pictures, res[0].ID, rec.Fields[:1])) // the picture is in the history only
	c.sync(t, a)
	if had, err := a.ChunksLost(t.Context(), missing); err != nil || len(had) != 0 {
		t.Errorf("%v are told as lost, and no version needs them: %v", had, err)
	}
	// A chunk that nothing refers to is not taken.
	stray := noise(9, 9)
	must(t, b.PutChunks(t.Context(), []Chunk{{testHasher{}.ChunkID(stray), stray}}))
	if _, err := b.Chunk(t.Context(), testHasher{}.ChunkID(stray)); !errors.Is(err, ErrChunk) {
		t.Errorf("stray chunk: %v", err)
	}
}

// testdata/format5.db.gz is a store of format 5: a picture of three pieces, of
// which the cloud has acknowledged two.
func TestMigrateFormat5(t *testing.T) {
	dir := t.TempDir()
	in, err := os.Open("testdata/format5.db.gz")
	must(t, err)
	defer in.Close()
	z, err := gzip.NewReader(in)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, FileName), b, 0o600))
	wantShell(t, dir, "SELECT value FROM meta WHERE key = 'format'", "5")
	s := openTest(t, dir, Options{})
	verify(t, s)
	wantShell(t, dir, "SELECT value FROM meta WHERE key = 'format'", fmt.Sprint(formatVersion))
	claim(t, s)
	for epoch, want := range []int{1, 3} { // 5 is the one it knows
		must(t, s.ResetEpoch(t.Context(), Epoch{byte(5 + epoch)}))
		if ids, err := s.UnsentChunks(t.Context(), record.ChunkID{}, 10); err != nil || len(ids) != want {
			t.Errorf("%d pieces are offered, want %d: %v", len(ids), want, err)
		}
	}
	ids, err := s.UnsentChunks(t.Context(), record.ChunkID{}, 10)
	must(t, err)
	if had, err := s.ChunksLost(t.Context(), ids); err != nil || len(had) != 2 {
		t.Errorf("%d pieces are lost, 2 were acknowledged: %v", len(had), err)
	}
}

func readBlob(s *Store, b record.Blob) ([]byte, error) {
	r, err := s.OpenBlob(background, b)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestUnusedChunksGo(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	res, err := s.Import(t.Context(), []pim.Object{picture("p", noise(2*ChunkBytes, 2))})
	must(t, err)
	claim(t, s)
	_, err = s.Mint(t.Context(), record.Pictures, 0, 1, 1, nil)
	must(t, err)
	res2, err := s.Import(t.Context(), []pim.Object{picture("p", noise(2*ChunkBytes, 3))})
	must(t, err)
	if res2[0].Outcome != Changed || res2[0].ID != res[0].ID {
		t.Errorf("%+v", res2)
	}
	count := func() (n int) {
		must(t, s.Maintain(t.Context()))
		must(t, s.read(t.Context(), func(c *session) (err error) {
			n, err = c.count("SELECT count(*) FROM chunk_data")
			return err
		}))
		return n
	}
	if n := count(); n != 4 { // the before-image still needs the old ones
		t.Errorf("%d chunks before minting", n)
	}
	_, err = s.Mint(t.Context(), record.Pictures, 0, 10, 1<<20, nil)
	must(t, err)
	if n := count(); n != 4 { // the history does
		t.Errorf("%d chunks after minting", n)
	}
	must(t, s.Ran(t.Context(), 31*day))
	if n := count(); n != 2 {
		t.Errorf("%d chunks after the history expired", n)
	}
}

func TestDamagedChunk(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	defer s.Close()
	res, err := s.Import(t.Context(), []pim.Object{picture("p", noise(100, 4))})
	must(t, err)
	mustShell(t, dir, "UPDATE chunk_data SET data = zeroblob(100)")
	rec, err := s.Get(t.Context(), res[0].ID)
	must(t, err)
	if _, err := readBlob(s, *rec.Fields[1].Blob); !errors.Is(err, ErrChunk) {
		t.Errorf("a damaged chunk was read: %v", err)
	}
	if r, _ := s.Verify(t.Context(), nil); len(r.Damage) != 1 {
		t.Errorf("verify: %v", r.Damage)
	}
}

func TestReadSet(t *testing.T) {
	c, s := filled(t, t.TempDir(), 50, Options{})
	_ = c
	must(t, s.ReadSet(t.Context(), record.Contacts, func(set rangeset.Set) error {
		var all []rangeset.Item
		var d rangeset.Digest
		must(t, set.Scan(nil, nil, func(it rangeset.Item) bool {
			if len(all) > 0 && all[len(all)-1].Compare(it) >= 0 {
				t.Error("out of order")
			}
			all = append(all, it)
			d.Add(it.Version)
			return true
		}))
		kept, err := s.Digest(t.Context(), record.Contacts)
		must(t, err)
		if !d.Equal(kept) {
			t.Error("the set's digest differs")
		}
		for _, lo := range []rangeset.Bound{nil, all[7].Bytes()[:3], all[7].Bytes()[:16], all[7].Bytes(), all[7].Bytes()[:20]} {
			for _, up := range []rangeset.Bound{nil, all[30].Bytes()[:1], all[30].Bytes()[:16], all[30].Bytes(), all[30].Bytes()[:17]} {
				want, got := 0, 0
				for _, it := range all {
					if rangeset.Contains(lo, up, it) {
						want++
					}
				}
				must(t, set.Scan(lo, up, func(rangeset.Item) bool { got++; return true }))
				if got != want {
					t.Errorf("%x to %x: %d items, want %d", lo, up, got, want)
				}
			}
		}
		n := 0
		must(t, set.Scan(nil, nil, func(rangeset.Item) bool { n++; return n < 5 }))
		if n != 5 {
			t.Errorf("stopped after %d", n)
		}
		return nil
	}))
}

func TestMarkUnsent(t *testing.T) {
	_, s := filled(t, t.TempDir(), 3, Options{})
	claim(t, s)
	id := testHasher{}.RecordID(record.Contacts, "h1")
	v, err := s.Version(t.Context(), id)
	must(t, err)
	refs := []Ref{{id, v.VersionID}, {id, record.VersionID{1}}, {record.ID{1}, v.VersionID}}
	for _, want := range []int{1, 0} { // the second time it is in the outbox
		if had, err := s.MarkUnsent(t.Context(), refs); err != nil || len(had) != want {
			t.Errorf("%d, %v, want %d", had, err, want)
		}
	}
	out, err := s.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil)
	must(t, err)
	if len(out) != 1 || out[0].VersionID != v.VersionID {
		t.Errorf("%+v", out)
	}
	must(t, s.MarkSent(t.Context(), []Ref{{id, v.VersionID}}))
	if out, _ := s.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil); len(out) != 0 {
		t.Errorf("after MarkSent: %+v", out)
	}
}

// A cloud that lost a record may have lost its pieces: they are offered again with it.
func TestPiecesOfALostRecordAreOfferedAgain(t *testing.T) {
	c, a, _ := openPair(t)
	res, err := a.Import(t.Context(), []pim.Object{picture("p", noise(2*ChunkBytes, 1))})
	must(t, err)
	c.sync(t, a)
	ids, err := a.UnsentChunks(t.Context(), record.ChunkID{}, 10)
	must(t, err)
	must(t, a.ChunksAcked(t.Context(), ids))
	v, err := a.Version(t.Context(), res[0].ID)
	must(t, err)
	had, err := a.MarkUnsent(t.Context(), []Ref{{v.ID, v.VersionID}})
	must(t, err)
	offered, err := a.UnsentChunks(t.Context(), record.ChunkID{}, 10)
	must(t, err)
	if len(had) != 1 || len(ids) != 2 || !slices.Equal(offered, ids) {
		t.Errorf("%d versions were there, %d of %d pieces are offered", len(had), len(offered), len(ids))
	}
}

// What is held of a record can have pieces of its own: they are fetched and kept.
func TestPiecesOfWhatIsHeld(t *testing.T) {
	c, a, b := openPair(t)
	res, err := a.Import(t.Context(), []pim.Object{picture("p", noise(100, 1))})
	must(t, err)
	c.sync(t, a)
	c.sync(t, b)
	other, err := b.Import(t.Context(), []pim.Object{picture("other", noise(100, 2))})
	must(t, err)
	rec, err := b.Get(t.Context(), other[0].ID)
	must(t, err)
	blob := rec.Fields[1].Blob
	must(t, b.Delete(t.Context(), other[0].ID)) // it never leaves this device
	must(t, b.Put(t.Context(), record.Pictures, res[0].ID, []record.Field{{Key: "X-OTHER", Line: []byte("X-OTHER:"), Blob: blob}}))
	c.sync(t, b)
	claim(t, a)
	c.pull(t, a, record.Pictures, 9) // an emptied picture is set aside, whatever becomes of it
	verify(t, a)
	st, err := a.Status(t.Context())
	must(t, err)
	missing, err := a.MissingChunks(t.Context(), 10)
	must(t, err)
	if st.Kinds[record.Pictures].Live != 1 || !slices.Equal(missing, blob.Chunks) {
		t.Errorf("%+v, pieces to fetch: %v, want %v", st.Kinds[record.Pictures], missing, blob.Chunks)
	}
}
