package localstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// worn makes a database of every sort of record, closes it and returns its
// folder and what was in it.
func worn(t *testing.T) (string, map[record.ID]Record) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	claim(t, s)
	put := func(kind record.Kind, name string, lines ...string) {
		var fs []record.Field
		for _, l := range lines {
			key, _, _ := strings.Cut(l, ":")
			fs = append(fs, record.Field{Key: key, Line: []byte(l)})
		}
		must(t, s.Put(t.Context(), kind, sum([]byte(name)), fs))
	}
	mint := func() {
		for _, kind := range record.Kinds {
			out, err := s.Mint(t.Context(), kind, 0, 1000, 1<<30, nil)
			must(t, err)
			var refs []Ref
			for _, o := range out[:len(out)/2] {
				refs = append(refs, Ref{o.ID, o.VersionID})
			}
			must(t, s.Acked(t.Context(), refs))
		}
	}
	for i := range 300 {
		put(record.Contacts, fmt.Sprint("c", i), fmt.Sprintf("FN:Person %d", i), "NOTE:"+strings.Repeat("n", i*7%900))
		put(record.Events, fmt.Sprint("e", i), fmt.Sprintf("SUMMARY:Event %d", i), "DTSTART:20261122T093000Z")
	}
	_, err = s.Import(t.Context(), []pim.Object{picture("p1", noise(200_000, 1)), picture("p2", noise(70_000, 2))})
	must(t, err)
	put(record.Notes, "long", "SUMMARY:Long", "DESCRIPTION:"+strings.Repeat("words ", 12_000))
	mint()
	for i := range 40 { // edited, and deleted, since
		put(record.Contacts, fmt.Sprint("c", i*5), fmt.Sprintf("FN:Edited %d", i), "NOTE:edited", "TITLE:x")
	}
	must(t, s.Delete(t.Context(), sum([]byte("e1")), sum([]byte("e2"))))
	mint()
	for i := range 30 { // and not minted
		put(record.Contacts, fmt.Sprint("c", i*3), fmt.Sprintf("FN:Unsynced %d", i), "NOTE:unsynced", "ROLE:y")
		put(record.Tasks, fmt.Sprint("t", i), fmt.Sprintf("SUMMARY:Task %d", i))
	}
	must(t, s.Delete(t.Context(), sum([]byte("e3"))))
	all := everything(t, s)
	verify(t, s)
	must(t, s.Close())
	return dir, all
}

func everything(t testing.TB, s *Store) map[record.ID]Record {
	t.Helper()
	all := map[record.ID]Record{}
	kinds, err := s.Kinds(context.Background())
	must(t, err)
	for _, kind := range kinds {
		for _, deleted := range []bool{false, true} {
			for r, err := range s.List(context.Background(), kind, ListOptions{Deleted: deleted}) {
				must(t, err)
				all[r.ID] = r
			}
		}
	}
	return all
}

// sameRecord compares what a person sees.
func sameRecord(a, b Record) bool {
	return a.Deleted == b.Deleted && a.Kind == b.Kind && sameFields(a.Fields, b.Fields)
}

func copyFiles(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	must(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

// salvageTest salvages, checks that nothing false came of it and that whatever
// is not there is named, and returns how many were named.
func salvageTest(t *testing.T, dir string, was map[record.ID]Record) int {
	t.Helper()
	report, err := Salvage(t.Context(), dir, Options{Hasher: testHasher{}}, nil)
	must(t, err)
	if _, err := os.Stat(filepath.Join(report.Aside, FileName)); err != nil {
		t.Errorf("the damaged database was not kept: %v", err)
	}
	s := openTest(t, dir, Options{})
	v, err := s.Verify(t.Context(), nil)
	must(t, err)
	lost := map[record.ID]bool{}
	for _, l := range v.Lost {
		lost[l.ID] = !l.Back
	}
	now := everything(t, s)
	for id, r := range was {
		gone, named := lost[id]
		switch have, ok := now[id]; {
		case named && !gone: // it is here without its last edit
			if !ok {
				t.Errorf("%s %s is named as being here", r.Kind, id)
			}
		case !ok && !lost[id]:
			t.Errorf("%s %s is gone and not named", r.Kind, id)
		case ok && lost[id]:
			t.Errorf("%s %s is here and named as lost", r.Kind, id)
		case ok && !sameRecord(have, r):
			t.Errorf("%s %s is not what it was: %+v", r.Kind, id, have)
		}
	}
	for id := range now {
		if _, ok := was[id]; !ok {
			t.Errorf("%s was never there", id)
		}
	}
	return len(lost)
}

func TestSalvageOfASoundDatabaseLosesNothing(t *testing.T) {
	dir, was := worn(t)
	if n := salvageTest(t, dir, was); n != 0 {
		t.Errorf("%d records named as lost", n)
	}
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	defer s.Close()
	st, err := s.Status(t.Context())
	must(t, err)
	if st.Blobs.Missing != 0 || st.Blobs.Chunks != 6 {
		t.Errorf("pieces: %+v", st.Blobs)
	}
	if n := st.Kinds[record.Contacts].Unsynced; n != 30 {
		t.Errorf("%d contacts unsynced, want the 30 that were edited", n)
	}
	if st.Epoch == (Epoch{}) {
		t.Error("it forgot that it was in a session")
	}
	c, err := s.BeginClaim(t.Context())
	must(t, err)
	if c.Last != nil || c.Counter != 0 {
		t.Errorf("it goes on under the old identity: %+v", c)
	}
}

// TestSalvageAfterFlips damages whole pages and single bits at random places.
// Index and table pages of one record can both be hit, and then nothing names
// it; with a page in two hundred that is rare, and the seeds are fixed.
func TestSalvageAfterFlips(t *testing.T) {
	dir, was := worn(t)
	seeds := uint64(12)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := copyFiles(t, dir)
			rnd := rand.New(rand.NewPCG(seed, 1))
			path := filepath.Join(dir, FileName)
			b, err := os.ReadFile(path)
			must(t, err)
			pages := len(b) / pageBytes
			for range 1 + pages/400 {
				p := b[rnd.IntN(pages)*pageBytes:][:pageBytes]
				if seed%2 == 0 {
					for i := range p {
						p[i] = byte(rnd.Uint32())
					}
					continue
				}
				p[rnd.IntN(len(p))] ^= 1 << rnd.IntN(8)
			}
			must(t, os.WriteFile(path, b, 0o600))
			t.Logf("%d of %d named as lost", salvageTest(t, dir, was), len(was))
		})
	}
}

func TestSalvageOfATruncatedDatabase(t *testing.T) {
	dir, _ := worn(t)
	path := filepath.Join(dir, FileName)
	fi, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, fi.Size()/2+100))
	report, err := Salvage(t.Context(), dir, Options{Hasher: testHasher{}}, nil)
	must(t, err)
	s := openTest(t, dir, Options{})
	if st, err := s.Status(t.Context()); err != nil || len(st.Lost) == 0 || !AtLeast(st.Lost) {
		t.Errorf("%d lost, %v: it is not said that there may be more", len(st.Lost), err)
	}
	if n := len(everything(t, s)); n != report.Records || n < 100 {
		t.Errorf("%d records here, %d reported", n, report.Records)
	}
}

// TestSalvageReadsTheLog copies the files while they are open, as after a
// pulled battery: much stands in the log only.
func TestSalvageReadsTheLog(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	for i := range 50 {
		must(t, s.Put(t.Context(), record.Notes, sum(fmt.Append(nil, i)), []record.Field{{Key: "SUMMARY", Line: fmt.Append(nil, "SUMMARY:", i)}}))
	}
	was := everything(t, s)
	cut := copyFiles(t, dir)
	if n := salvageTest(t, cut, was); n != 0 {
		t.Errorf("%d lost", n)
	}
	// Without the file itself the log still has them.
	cut = copyFiles(t, dir)
	must(t, os.Truncate(filepath.Join(cut, FileName), 0))
	if n := salvageTest(t, cut, was); n != 0 {
		t.Errorf("%d lost without the file", n)
	}
}

func TestSalvageOfNothing(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, FileName), nil, 0o600))
	if n := salvageTest(t, dir, nil); n != 0 {
		t.Errorf("%d lost", n)
	}
}

// TestSalvageCutShort stops between any two renames and opens again.
func TestSalvageCutShort(t *testing.T) {
	dir, was := worn(t)
	_, err := Salvage(t.Context(), dir, Options{Hasher: testHasher{}}, nil)
	must(t, err)
	for moved := range 3 {
		dir := copyFiles(t, dir)
		from := filepath.Join(dir, salvagedDir)
		must(t, os.Mkdir(from, 0o700))
		must(t, os.WriteFile(filepath.Join(from, asideFile), []byte("damaged-x"), 0o600))
		must(t, os.Rename(filepath.Join(dir, FileName), filepath.Join(from, FileName)))
		switch moved { // what of the damaged one is still in its place
		case 0:
			must(t, os.WriteFile(filepath.Join(dir, FileName), []byte("damaged"), 0o600))
			must(t, os.WriteFile(filepath.Join(dir, FileName+"-wal"), []byte("damaged"), 0o600))
		case 1:
			must(t, os.WriteFile(filepath.Join(dir, FileName+"-wal"), []byte("damaged"), 0o600))
		}
		s := openTest(t, dir, Options{})
		if n := len(everything(t, s)); n != len(was) {
			t.Errorf("%d records, want %d", n, len(was))
		}
		if exists(from) {
			t.Error("the stage is still there")
		}
	}
}
