package localstore

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// Real files travel from one device to another: every line and every byte of
// every large value arrives.
func TestCorpusTravels(t *testing.T) {
	root := os.Getenv("SIDEKEEP_CORPUS")
	if root == "" {
		root = "../../shared/corpus"
	}
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no corpus at ../shared/corpus beside the repository, nor at SIDEKEEP_CORPUS")
	}
	c, a, b := openPair(t)
	c.large = true
	want := map[record.ID][]record.Field{}
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		var objs []pim.Object
		if _, err := pim.ImportFile(path, func(o pim.Object) error { objs = append(objs, o); return nil }); err != nil {
			return nil // its report is pim's business
		}
		res, err := a.Import(t.Context(), objs)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		for _, r := range res {
			rec, err := a.Get(t.Context(), r.ID)
			must(t, err)
			want[r.ID] = rec.Fields
		}
		return nil
	}))
	c.sync(t, a)
	verify(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	for {
		ids, err := b.MissingChunks(t.Context(), 100)
		must(t, err)
		if len(ids) == 0 {
			break
		}
		var chunks []Chunk
		for _, id := range ids {
			data, err := a.Chunk(t.Context(), id)
			must(t, err)
			chunks = append(chunks, Chunk{id, data})
		}
		must(t, b.PutChunks(t.Context(), chunks))
	}
	for id, fields := range want {
		rec, err := b.Get(t.Context(), id)
		must(t, err)
		if len(rec.Fields) != len(fields) {
			t.Errorf("record %s: %d fields, want %d", id, len(rec.Fields), len(fields))
			continue
		}
		for i := range fields {
			f, g := fields[i], rec.Fields[i]
			if f.Key != g.Key || !bytes.Equal(f.Line, g.Line) || !f.Blob.Equal(g.Blob) {
				t.Errorf("record %s, field %d: %q %q, want %q %q", id, i, g.Key, g.Line, f.Key, f.Line)
			}
			if g.Blob != nil {
				if _, err := readBlob(b, *g.Blob); err != nil {
					t.Errorf("record %s: %v", id, err)
				}
			}
		}
	}
	t.Logf("%d records", len(want))
}
