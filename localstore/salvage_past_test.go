package localstore

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

// TestSalvageOfThePast: a database that is only broken in its indexes keeps its
// history, what was imported into it, and its problems; one of which a page is
// lost begins a new history, and never guesses.
func TestSalvageOfThePast(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	c, s := filled(t, dir, 5, Options{Now: clock.now})
	before := clock.at
	clock.at = clock.at.Add(time.Hour)
	ids := []record.ID{}
	for id, r := range everything(t, s) {
		if r.Kind == record.Contacts && len(ids) < 2 {
			ids = append(ids, id)
		}
	}
	first := lineOf(everything(t, s)[ids[0]], "FN")
	for _, name := range []string{"One", "Two", "Three"} {
		must(t, s.Put(t.Context(), record.Contacts, ids[0], []record.Field{{Key: "FN", Line: []byte("FN:" + name)}}))
		clock.at = clock.at.Add(time.Hour)
	}
	must(t, s.Delete(t.Context(), ids[1]))
	_, err := s.Import(t.Context(), objects(t, "x.vcf", card("imp", "Imported", "Person")))
	must(t, err)
	imported := testHasher{}.RecordID(record.Contacts, "imp")
	must(t, s.Put(t.Context(), record.Contacts, imported, []record.Field{{Key: "FN", Line: []byte("FN:Edited")}}))
	_, err = s.Import(t.Context(), append(objects(t, "x.vcf", card("pic", "Picture", "Follows")), picture("p1", noise(100_000, 1))))
	must(t, err)
	pic := testHasher{}.RecordID(record.Pictures, "p1")
	must(t, s.Put(t.Context(), record.Pictures, pic, []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:without")}}))
	must(t, s.write(t.Context(), true, func(tx *tx) error { return tx.problem("encoding", "about one", &ids[0]) }))
	c.sync(t, s)
	was := everything(t, s)
	history := map[record.ID][]Change{}
	for id := range was {
		history[id], err = s.History(t.Context(), id)
		must(t, err)
	}
	verify(t, s)
	must(t, s.truncateWAL(t.Context()))

	t.Run("all readable", func(t *testing.T) {
		dir := copyFiles(t, dir)
		if n := salvageTest(t, dir, was); n != 0 {
			t.Errorf("%d lost", n)
		}
		s := openTest(t, dir, Options{Now: clock.now})
		verify(t, s)
		for id := range was {
			got, err := s.History(t.Context(), id)
			must(t, err)
			if !reflect.DeepEqual(got, history[id]) {
				t.Errorf("history of %s:\n%+v\nwant\n%+v", was[id].Kind, got, history[id])
			}
		}
		rollBack(t, s, before, RollbackOptions{Release: true})
		if r, err := s.Get(t.Context(), ids[0]); err != nil || lineOf(r, "FN") != first {
			t.Errorf("not rolled back to %s: %+v, %v", first, r, err)
		}
		if r, err := s.Get(t.Context(), ids[1]); err != nil || r.Deleted {
			t.Errorf("not undeleted: %+v, %v", r, err)
		}
		verify(t, s)
	})
	t.Run("imported and problems", func(t *testing.T) {
		dir := copyFiles(t, dir)
		salvageTest(t, dir, was)
		s := openTest(t, dir, Options{Now: clock.now})
		_, err := s.Import(t.Context(), objects(t, "x.vcf", card("imp", "Imported", "Person")))
		must(t, err)
		if r, err := s.Get(t.Context(), imported); err != nil || lineOf(r, "FN") != "FN:Edited" {
			t.Errorf("importing again undid an edit: %+v, %v", r, err)
		}
		st, err := s.Status(t.Context())
		must(t, err)
		found := false
		for _, p := range st.Problems {
			found = found || p.Code == "encoding" && p.Text == "about one" && p.ID != nil && *p.ID == ids[0]
		}
		if !found {
			t.Errorf("problems: %+v", st.Problems)
		}
	})
	t.Run("a page lost", func(t *testing.T) {
		dir := copyFiles(t, dir)
		path := filepath.Join(dir, FileName)
		b, err := os.ReadFile(path)
		must(t, err)
		clear(b[len(b)-pageBytes:])
		b[len(b)-pageBytes] = 0x77
		must(t, os.WriteFile(path, b, 0o600))
		report, err := Salvage(t.Context(), dir, Options{Hasher: testHasher{}, Now: clock.now}, nil)
		must(t, err)
		if report.Damage.Bad+report.Damage.Missing == 0 {
			t.Fatal("the page was read")
		}
		s := openTest(t, dir, Options{})
		var early *HistoryError
		if _, err := s.MomentAt(t.Context(), time.Now().Add(-time.Minute)); !errors.As(err, &early) {
			t.Errorf("a moment before the damage: %v", err)
		}
		if list, err := s.History(t.Context(), ids[0]); err != nil || len(list) > 1 {
			t.Errorf("history of a record: %+v, %v", list, err)
		}
	})
}
