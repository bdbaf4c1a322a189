package localstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
	id := sum([]byte("edited"))
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
			setNote(s, sum([]byte("whole")), "whole")
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

// A bit of a synced record flips, and then an app edits another field: the edit
// goes out, the flipped value never does.
func TestFlippedValueIsNoEdit(t *testing.T) {
	id := sum([]byte("a"))
	for _, queued := range []bool{false, true} {
		dir := t.TempDir()
		s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
		must(t, err)
		c := &testCloud{}
		fields := func(name, note string) []record.Field {
			return []record.Field{{Key: "FN", Line: []byte("FN:" + name)}, {Key: "NOTE", Line: []byte("NOTE:" + note)}}
		}
		must(t, s.Put(t.Context(), record.Contacts, id, fields("Lene", "old")))
		c.sync(t, s)
		if queued { // minted since, and never acknowledged
			claim(t, s)
			must(t, s.Put(t.Context(), record.Contacts, id, fields("Lene", "older")))
			_, err := s.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil)
			must(t, err)
		}
		must(t, s.Close())
		damageLeaf(t, dir, `"FN":"Lene"`, func(p []byte) { p[bytes.Index(p, []byte(`"FN":"Lene"`))+6] ^= 1 })
		s, err = Open(t.Context(), dir, Options{Hasher: testHasher{}})
		must(t, err)
		must(t, s.Edit(t.Context(), id, func(_ record.Kind, fs []record.Field) ([]record.Field, error) {
			if string(fs[0].Line) != "FN:Mene" {
				t.Errorf("not flipped: %s", fs[0].Line)
			}
			fs[1].Line = []byte("NOTE:new")
			return fs, nil
		}))
		claim(t, s)
		if out, err := s.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil); !errors.Is(err, ErrDamaged) {
			t.Fatalf("minted %d: %v", len(out), err)
		}
		must(t, s.Close())
		report, err := Salvage(t.Context(), dir, Options{Hasher: testHasher{}}, nil)
		must(t, err)
		if len(report.Lost) != 1 {
			t.Errorf("%+v", report)
		}
		s = openTest(t, dir, Options{})
		c.sync(t, s)
		must(t, s.SetCloudState(t.Context(), record.Contacts, CloudState{Digest: c.digest(record.Contacts), ProvenAt: time.Unix(1, 0)}))
		c.sync(t, s)
		c.equal(t, s)
		r, err := s.Get(t.Context(), id)
		must(t, err)
		want := "NOTE:new"
		if queued { // over a version that the cloud never had: the edit stays named
			want = "NOTE:old"
			if st, err := s.Status(t.Context()); err != nil || len(st.Lost) != 1 || !st.Lost[0].Edited {
				t.Errorf("%+v, %v", st.Lost, err)
			}
		}
		if lineOf(r, "FN") != "FN:Lene" || lineOf(r, "NOTE") != want {
			t.Errorf("queued %v: %s, %s", queued, lineOf(r, "FN"), lineOf(r, "NOTE"))
		}
		verify(t, s)
	}
}

func TestEditAgain(t *testing.T) {
	list := func(text string) (fs []record.Field) {
		for _, line := range strings.Fields(text) {
			key, _, _ := strings.Cut(line, ":")
			fs = append(fs, record.Field{Key: key, Line: []byte(line)})
		}
		return fs
	}
	for _, c := range []struct{ base, before, after, want string }{
		{"A:1 B:1", "A:x B:1", "A:x B:2", "A:1 B:2"},         // a flipped value
		{"A:1 B:1", "A:x B:1", "A:2 B:1", "A:2 B:1"},         // written over
		{"A:1 B:1", "C:1 B:1", "C:1 B:2", "A:1 B:2"},         // a flipped key
		{"A:1 B:1", "A:1 B:x", "A:1", "A:1"},                 // removed
		{"A:1", "A:x", "A:x D:1", "A:1 D:1"},                 // added
		{"A:1 B:1 C:1", "A:1 B:1 C:1", "C:2 D:1", "C:2 D:1"}, // nothing damaged
	} {
		if got := editAgain(list(c.base), list(c.before), list(c.after)); !sameFields(got, list(c.want)) {
			t.Errorf("%s after %s to %s: %v, want %s", c.base, c.before, c.after, got, c.want)
		}
	}
}
