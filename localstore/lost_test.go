package localstore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

// damageLeaf changes the first leaf page of a table that has a text.
func damageLeaf(t *testing.T, dir, text string, damage func(page []byte)) {
	t.Helper()
	path := filepath.Join(dir, FileName)
	b, err := os.ReadFile(path)
	must(t, err)
	for p := pageBytes; p < len(b); p += pageBytes {
		if page := b[p:][:pageBytes]; page[0] == 0x0d && bytes.Contains(page, []byte(text)) {
			damage(page)
			must(t, os.WriteFile(path, b, 0o600))
			return
		}
	}
	t.Fatalf("no page has %s", text)
}

// A record with an edit that was not synced is damaged, and comes back from the
// cloud as it was before it: the loss stays named until a person has seen it, or
// writes the record anew; an edit that can be read is made again.
func TestLostEditStaysNamed(t *testing.T) {
	id := record.ID{1}
	for name, damage := range map[string]func(t *testing.T, dir string){
		"row": func(t *testing.T, dir string) { damageLeaf(t, dir, `"SUMMARY":"edited"`, func(p []byte) { clear(p) }) },
		"document": func(t *testing.T, dir string) {
			damageLeaf(t, dir, `"SUMMARY":"edited"`, func(p []byte) { p[bytes.Index(p, []byte(`:"edited"`))] = '!' })
		},
		"before-image": func(t *testing.T, dir string) {
			damageLeaf(t, dir, `notes{"SUMMARY":"synced"`, func(p []byte) { clear(p) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
			must(t, err)
			c := &testCloud{}
			setNote := func(s *Store, id record.ID, text string) {
				must(t, s.Put(t.Context(), record.Notes, id, []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:" + text)}}))
			}
			setNote(s, id, "synced")
			setNote(s, record.ID{2}, "whole")
			c.sync(t, s)
			setNote(s, id, "edited")
			must(t, s.Close())
			damage(t, dir)
			_, err = Salvage(t.Context(), dir, Options{Hasher: testHasher{}}, nil)
			must(t, err)
			s = openTest(t, dir, Options{})
			settle := func() []Lost {
				c.sync(t, s)
				must(t, s.SetCloudState(t.Context(), record.Notes, CloudState{Digest: c.digest(record.Notes), ProvenAt: time.Unix(1, 0)}))
				st, err := s.Status(t.Context())
				must(t, err)
				v, err := s.Verify(t.Context(), nil)
				must(t, err)
				if len(v.Lost) != len(st.Lost) || len(v.Damage) > 0 {
					t.Errorf("%+v, status %+v", v, st.Lost)
				}
				return v.Lost
			}
			lost := settle()
			if name == "before-image" {
				c.sync(t, s)
				c.equal(t, s)
				if r, _ := s.Get(t.Context(), id); len(lost) != 0 || lineOf(r, "SUMMARY") != "SUMMARY:edited" || len(settle()) != 0 {
					t.Errorf("%+v, lost %+v", r, lost)
				}
				return
			}
			if len(lost) != 1 || lost[0].ID != id || !lost[0].Back || !lost[0].Edited || lost[0].Asked == 0 {
				t.Fatalf("%+v", lost)
			}
			if r, _ := s.Get(t.Context(), id); lineOf(r, "SUMMARY") != "SUMMARY:synced" {
				t.Errorf("%+v", r)
			}
			if lost = settle(); len(lost) != 1 {
				t.Errorf("named only once: %+v", lost)
			}
			if name == "row" {
				if n, err := s.SeenLost(t.Context()); err != nil || n != 1 {
					t.Errorf("%d %v", n, err)
				}
			} else {
				setNote(s, id, "anew")
			}
			if lost = settle(); len(lost) != 0 {
				t.Errorf("still named: %+v", lost)
			}
		})
	}
}
