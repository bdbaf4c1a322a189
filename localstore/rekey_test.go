package localstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// otherHasher is the hasher of other keys.
type otherHasher struct{}

func (otherHasher) RecordID(kind record.Kind, uid string) record.ID {
	return sum([]byte("other record"), []byte(kind), []byte(uid))
}

func (otherHasher) VersionID(kind record.Kind, id record.ID, encoded []byte) record.VersionID {
	return sum([]byte("other version"), []byte(kind), id[:], encoded)
}

func (otherHasher) ChunkID(plain []byte) record.ChunkID { return sum([]byte("other chunk"), plain) }

// rekeyed rekeys s, and opens what came of it.
func rekeyed(t *testing.T, s *Store, o RekeyOptions) (*Store, Rekeyed) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	committed := false
	o.Store = Options{Hasher: otherHasher{}}
	o.Commit = func() error { committed = true; return nil }
	report, err := s.Rekey(t.Context(), dir, o)
	must(t, err)
	t.Cleanup(func() { writable(t, s) })
	if !committed {
		t.Error("it was not committed")
	}
	fresh, err := Open(t.Context(), dir, Options{Hasher: otherHasher{}, Before: []Hasher{testHasher{}}})
	must(t, err)
	t.Cleanup(func() {
		verify(t, fresh)
		fresh.Close()
	})
	return fresh, report
}

// sameVersions compares ids, dots and vectors, and everything that a person sees,
// pieces of large values by their bytes.
func sameVersions(t *testing.T, old, fresh *Store) {
	t.Helper()
	was, is := everything(t, old), everything(t, fresh)
	if len(was) != len(is) {
		t.Errorf("%d records, want %d", len(is), len(was))
	}
	for id, w := range was {
		r, found := is[id]
		if !found || r.Deleted != w.Deleted || len(r.Fields) != len(w.Fields) || len(r.Conflicts) != len(w.Conflicts) {
			t.Errorf("record %s: %+v, want %+v", id, r, w)
			continue
		}
		for i, f := range w.Fields {
			if g := r.Fields[i]; g.Key != f.Key || !bytes.Equal(g.Line, f.Line) || (g.Blob == nil) != (f.Blob == nil) {
				t.Errorf("record %s: field %s differs", id, f.Key)
			} else if f.Blob != nil {
				a, err := readBlob(old, *f.Blob)
				must(t, err)
				b, err := readBlob(fresh, *g.Blob)
				must(t, err)
				if !bytes.Equal(a, b) || g.Blob.Equal(f.Blob) {
					t.Errorf("record %s: other bytes, or the old ids of them", id)
				}
			}
		}
		a, err := old.Version(t.Context(), id)
		if errors.Is(err, ErrNotFound) {
			continue // never minted
		}
		must(t, err)
		b, err := fresh.Version(t.Context(), id)
		must(t, err)
		if !a.Version.Vector.Equal(b.Version.Vector) || a.VersionID == b.VersionID {
			t.Errorf("record %s: vector %v, want %v", id, b.Version.Vector, a.Version.Vector)
		}
		for key, entries := range a.Version.Fields {
			for i, e := range entries {
				if b.Version.Fields[key][i].Dot != e.Dot {
					t.Errorf("record %s: %s has another dot", id, key)
				}
			}
		}
	}
}

func TestRekey(t *testing.T) {
	c, a, b := openPair(t)
	_, err := a.Import(t.Context(), objects(t, "a.vcf", card("1", "Ada", "1")+card("2", "Bo", "2")+card("3", "Cy", "3")))
	must(t, err)
	data := noise(3*ChunkBytes+17, 1)
	_, err = a.Import(t.Context(), []pim.Object{picture("p", data)})
	must(t, err)
	c.sync(t, a)
	c.sync(t, b)
	missing, err := b.MissingChunks(t.Context(), 10)
	must(t, err)
	for _, id := range missing {
		chunk, err := a.Chunk(t.Context(), id)
		must(t, err)
		must(t, b.PutChunks(t.Context(), []Chunk{{id, chunk}}))
	}
	one, two, three := testHasher{}.RecordID(record.Contacts, "1"), testHasher{}.RecordID(record.Contacts, "2"), testHasher{}.RecordID(record.Contacts, "3")
	setLine(t, a, one, "FN", "FN:Ada A")
	setLine(t, b, one, "FN", "FN:Ada B")
	must(t, a.Delete(t.Context(), three))
	for range 2 {
		c.sync(t, a)
		c.sync(t, b)
	}
	c.equal(t, a, b)
	setLine(t, a, two, "FN", "FN:Bo, not sent")
	must(t, b.Delete(t.Context(), two))
	before, err := a.Version(t.Context(), two)
	must(t, err)

	// What can not be committed changes nothing.
	broken := errors.New("broken")
	if _, err := a.Rekey(t.Context(), filepath.Join(t.TempDir(), "x"), RekeyOptions{Store: Options{Hasher: otherHasher{}}, Commit: func() error { return broken }}); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	setLine(t, a, one, "NOTE", "NOTE:can be written")

	a2, report := rekeyed(t, a, RekeyOptions{})
	if report.Records != 4 || report.Edited != 2 || report.Chunks != 4 || report.Missing+report.Left != 0 {
		t.Errorf("report %+v", report)
	}
	sameVersions(t, a, a2)
	after, err := a2.Version(t.Context(), two)
	must(t, err)
	if !after.Version.Vector.Equal(before.Version.Vector) {
		t.Error("an edit that was not minted is in the version")
	}
	if err := a.Edit(t.Context(), one, func(_ record.Kind, f []record.Field) ([]record.Field, error) { return f[:1], nil }); err == nil {
		t.Error("the replaced database takes writes")
	}

	// Another device that does the same has the same versions, though both have
	// edits that the other has not seen: nothing is to be sent but these.
	b2, _ := rekeyed(t, b, RekeyOptions{})
	sameVersions(t, b, b2)
	for _, k := range record.Kinds {
		x, err := a2.Digest(t.Context(), k)
		must(t, err)
		y, err := b2.Digest(t.Context(), k)
		must(t, err)
		if !x.Equal(y) {
			t.Errorf("%s: the devices differ", k)
		}
	}

	// Imports know what was imported under the old keys.
	again, err := a2.Import(t.Context(), append(objects(t, "a.vcf", card("3", "Cy", "3")), picture("p", data)))
	must(t, err)
	for _, r := range again {
		if r.Outcome != Unchanged {
			t.Errorf("%+v", r)
		}
	}
}

func TestRekeyWithoutAllPieces(t *testing.T) {
	c, a, b := openPair(t)
	_, err := a.Import(t.Context(), []pim.Object{picture("p", noise(ChunkBytes, 1))})
	must(t, err)
	c.sync(t, a)
	c.sync(t, b)
	_, err = b.Rekey(t.Context(), filepath.Join(t.TempDir(), "x"), RekeyOptions{Store: Options{Hasher: otherHasher{}}, Commit: func() error { t.Error("committed"); return nil }})
	if !errors.Is(err, ErrIncomplete) {
		t.Errorf("got %v", err)
	}
	id := testHasher{}.RecordID(record.Pictures, "p")
	if fresh, report := rekeyed(t, b, RekeyOptions{Leave: true}); report.Left != 1 || len(everything(t, fresh)) != 0 {
		t.Errorf("left: %+v", report)
	}
	writable(t, b)
	setLine(t, b, id, "SUMMARY", "SUMMARY:edited here")
	if fresh, report := rekeyed(t, b, RekeyOptions{Leave: true}); report.Left != 0 || report.Missing != 1 || lineOf(everything(t, fresh)[id], "SUMMARY") != "SUMMARY:edited here" {
		t.Errorf("an edit that nobody else has: %+v", report)
	}
}

// writable makes a replaced database one that can be written again.
func writable(t *testing.T, s *Store) {
	t.Helper()
	must(t, s.write(context.Background(), false, func(x *tx) error {
		return errors.Join(x.exec("DROP TRIGGER IF EXISTS replaced_INSERT"), x.exec("DROP TRIGGER IF EXISTS replaced_UPDATE"), x.exec("DROP TRIGGER IF EXISTS replaced_DELETE"))
	}))
}

func TestRekeyWaitsForADecision(t *testing.T) {
	c, a, _ := openPair(t)
	text := ""
	for i := range 40 {
		text += card(fmt.Sprint(i), "P", "1")
	}
	_, err := a.Import(t.Context(), objects(t, "a.vcf", text))
	must(t, err)
	c.sync(t, a)
	for i := range 40 {
		must(t, a.Delete(t.Context(), testHasher{}.RecordID(record.Contacts, fmt.Sprint(i))))
	}
	c.sync(t, a)
	_, err = a.Rekey(t.Context(), filepath.Join(t.TempDir(), "x"), RekeyOptions{Store: Options{Hasher: otherHasher{}}, Commit: func() error { t.Error("committed"); return nil }})
	if !errors.Is(err, ErrUndecided) {
		t.Errorf("got %v", err)
	}
}
