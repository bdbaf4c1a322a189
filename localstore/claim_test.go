package localstore

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"sidekeep/localstore/record"
)

func TestClaims(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	a, err := s.BeginClaim(t.Context())
	must(t, err)
	b, err := s.BeginClaim(t.Context())
	must(t, err)
	if a.Replica == b.Replica || len(b.Pending) != 1 || b.Last != nil || b.Counter != 0 {
		t.Errorf("before the first acceptance: %+v %+v", a, b)
	}
	if err := s.ClaimAccepted(t.Context(), a.Pending[0]); err == nil {
		t.Error("a token of another replica id was accepted")
	}
	must(t, s.ClaimAccepted(t.Context(), b.Pending[0]))
	for range TokensMax + 3 {
		if a, err = s.BeginClaim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a.Replica != b.Replica || a.Last == nil || *a.Last != b.Pending[0] || len(a.Pending) != TokensMax {
		t.Errorf("later: %+v", a)
	}
	must(t, s.ClaimAccepted(t.Context(), a.Pending[TokensMax-1]))
	for range staleForksMax {
		must(t, s.Fork(t.Context(), ForkStale))
	}
	if err := s.Fork(t.Context(), ForkStale); !errors.Is(err, ErrForkLimit) {
		t.Errorf("a fourth stale fork: %v", err)
	}
	c := claim(t, s)
	if c.Replica == b.Replica || c.Last != nil {
		t.Errorf("after a fork: %+v", c)
	}
}

// C5: what was acknowledged keeps its dots, everything else moves.
func TestForkMovesUnacknowledgedDots(t *testing.T) {
	c, a, b := openPair(t)
	id := record.ID{1}
	field := func(line string) []record.Field { return []record.Field{{Key: "A", Line: []byte(line)}} }
	must(t, a.Put(t.Context(), record.Notes, id, field("A:1")))
	c.sync(t, a)
	old := claim(t, a).Replica
	setLine(t, a, id, "B", "B:1")
	must(t, a.Put(t.Context(), record.Notes, record.ID{2}, field("A:2")))
	_, err := a.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil) // minted, never acknowledged
	must(t, err)
	setLine(t, a, id, "C", "C:1") // and an edit on top
	must(t, a.Fork(t.Context(), ForkUnknown))
	if _, err := a.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil); !errors.Is(err, ErrNotClaimed) {
		t.Errorf("minting with a fork pending: %v", err)
	}
	fresh := claim(t, a).Replica
	verify(t, a)
	v, err := a.Version(t.Context(), id)
	must(t, err)
	if v.Version.Vector[old] != 1 || v.Version.Vector[fresh] == 0 || v.Version.Fields["A"][0].Dot.Replica != old || v.Version.Fields["B"][0].Dot.Replica != fresh {
		t.Errorf("after the fork: %+v", v.Version)
	}
	v, err = a.Version(t.Context(), record.ID{2})
	must(t, err)
	if v.Version.Vector[old] != 0 {
		t.Errorf("unacknowledged record keeps the old id: %+v", v.Version)
	}
	c.sync(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	if r, _ := b.Get(t.Context(), id); lineOf(r, "C") != "C:1" || len(r.Conflicts) != 0 {
		t.Errorf("elsewhere: %+v", r)
	}
}

// middling is a source of ids in the middle of all, so that half of all others are above them.
type middling struct{ n byte }

func (m *middling) Read(p []byte) (int, error) {
	m.n++
	clear(p)
	p[0], p[len(p)-1] = 0x80, m.n
	return len(p), nil
}

// A fork can change which of two siblings is shown: lists, callers and search go
// with it.
func TestForkIsListedAndFound(t *testing.T) {
	c, a := &testCloud{}, openTest(t, t.TempDir(), Options{})
	b := openTest(t, t.TempDir(), Options{Rand: new(middling)})
	id := record.ID{1}
	name := func(s *Store, id record.ID, to string) {
		must(t, s.Put(t.Context(), record.Contacts, id, []record.Field{{Key: "FN", Line: []byte("FN:" + to)}, {Key: "TEL.1", Line: []byte("TEL:1234567")}}))
	}
	name(a, id, "nobody")
	name(a, record.ID{3}, "someone")
	c.sync(t, a)
	c.sync(t, b)
	four := []record.Field{{Key: "A", Line: []byte("A:1")}, {Key: "B", Line: []byte("B:1")}, {Key: "C", Line: []byte("C:1")}, {Key: "D", Line: []byte("D:1")}}
	must(t, b.Put(t.Context(), record.Notes, record.ID{2}, four)) // so that both write the name with one counter
	c.sync(t, b)
	name(b, id, "theirs")
	c.sync(t, b)
	name(a, id, "ours")
	claim(t, a)
	c.pull(t, a, record.Contacts, 3)
	show := func() (shown, other string) {
		r, err := a.Get(t.Context(), id)
		must(t, err)
		if len(r.Conflicts) != 1 {
			t.Fatalf("no conflict: %+v", r)
		}
		if lineOf(r, "FN") == "FN:ours" {
			return "ours", "theirs"
		}
		return "theirs", "ours"
	}
	for range 1000 { // each fresh id is above the other's, or below
		must(t, a.flush(t.Context()))
		was, _ := show()
		must(t, a.Fork(t.Context(), ForkUnknown))
		claim(t, a)
		shown, other := show()
		if shown == was {
			continue
		}
		at := 0 // someone stands between ours and theirs
		if shown == "theirs" {
			at = 1
		}
		if got := list(t, a, record.Contacts, ListOptions{}); len(got) != 2 || got[at].Title != shown {
			t.Errorf("listed after a fork: %+v, shown is %s", got, shown)
		}
		for text, want := range map[string]int{shown: 1, other: 0} {
			if found, err := a.Search(t.Context(), text, 10); err != nil || len(found) != want {
				t.Errorf("a search for %s after a fork: %d found (%v), want %d", text, len(found), err, want)
			}
		}
		return
	}
	t.Error("no fork changed what is shown")
}

// What an app made and emptied again before the first session is a record all the same.
func TestEmptiedBeforeTheFirstSession(t *testing.T) {
	c, a, b := openPair(t)
	err := a.write(t.Context(), false, func(x *tx) error {
		return errors.Join(x.exec("INSERT INTO notes (title) VALUES ('x')"), x.exec("UPDATE notes SET title = NULL"))
	})
	must(t, err)
	c.sync(t, a)
	verify(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	if got := list(t, b, record.Notes, ListOptions{}); len(got) != 1 || len(got[0].Fields) != 0 {
		t.Errorf("elsewhere: %+v", got)
	}
}

// A clone, or a file restored from an old copy, forks instead of reusing dots.
func TestCopiedFileForks(t *testing.T) {
	dir := t.TempDir()
	c := &testCloud{}
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	must(t, s.Put(t.Context(), record.Notes, record.ID{1}, []record.Field{{Key: "A", Line: []byte("A:1")}}))
	c.sync(t, s)
	was := claim(t, s).Replica
	must(t, s.Close())
	clone := t.TempDir()
	from, err := os.Open(filepath.Join(dir, FileName)) // closed: no locks to lose
	must(t, err)
	to, err := os.Create(filepath.Join(clone, FileName))
	must(t, err)
	_, err = io.Copy(to, from)
	must(t, errors.Join(err, from.Close(), to.Close()))
	s, k := openTest(t, dir, Options{}), openTest(t, clone, Options{})
	if claim(t, s).Replica != was {
		t.Error("the original forked")
	}
	if claim(t, k).Replica == was {
		t.Error("the copy did not fork")
	}
	setLine(t, s, record.ID{1}, "A", "A:original")
	setLine(t, k, record.ID{1}, "A", "A:copy")
	c.sync(t, s)
	c.sync(t, k)
	c.sync(t, s)
	c.equal(t, s, k)
	if r, _ := s.Get(t.Context(), record.ID{1}); len(r.Conflicts) != 1 {
		t.Errorf("both writes should stand: %+v", r)
	}
}

// A clone that the store can not notice is noticed by its dots.
func TestUnknownOwnDotForks(t *testing.T) {
	c, a, b := openPair(t)
	must(t, a.Put(t.Context(), record.Notes, record.ID{1}, []record.Field{{Key: "A", Line: []byte("A:1")}}))
	c.sync(t, a)
	c.sync(t, b)
	own := claim(t, a).Replica
	v := record.New()
	v.Vector[own] = 7
	v.Fields["A"] = []record.Entry{{Dot: record.Dot{Replica: own, Counter: 7}, Line: []byte("A:clone")}}
	enc, err := record.Encode(v)
	must(t, err)
	in := []Incoming{{ID: record.ID{9}, VersionID: testHasher{}.VersionID(record.Notes, record.ID{9}, enc), Version: v}}
	setLine(t, a, record.ID{1}, "A", "A:2")
	applied, err := a.Apply(t.Context(), record.Notes, in, &Cursor{Seq: 99})
	must(t, err)
	if !applied.Fork {
		t.Fatalf("%+v", applied)
	}
	if cur, _ := a.Cursor(t.Context(), record.Notes); cur.Seq == 99 {
		t.Error("the cursor moved")
	}
	if claim(t, a).Replica == own {
		t.Error("no fork")
	}
	applied, err = a.Apply(t.Context(), record.Notes, in, nil)
	must(t, err)
	if applied.Fork || applied.Changed != 1 {
		t.Errorf("after the fork: %+v", applied)
	}
	// The same of a record that is here.
	own = claim(t, a).Replica
	have, err := a.Version(t.Context(), record.ID{9})
	must(t, err)
	v = have.Version.Clone()
	v.Vector[own] = 9
	v.Fields["B"] = []record.Entry{{Dot: record.Dot{Replica: own, Counter: 9}, Line: []byte("B:clone")}}
	enc, err = record.Encode(v)
	must(t, err)
	applied, err = a.Apply(t.Context(), record.Notes, []Incoming{{ID: record.ID{9}, VersionID: testHasher{}.VersionID(record.Notes, record.ID{9}, enc), Version: v}}, nil)
	must(t, err)
	if !applied.Fork || claim(t, a).Replica == own {
		t.Errorf("of a record that is here: %+v", applied)
	}
}

func TestMachineChangeForks(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}, Machine: "one"})
	must(t, err)
	was := claim(t, s).Replica
	must(t, s.Close())
	s, err = Open(t.Context(), dir, Options{Hasher: testHasher{}}) // unknown is no change
	must(t, err)
	if claim(t, s).Replica != was {
		t.Error("forked without a machine")
	}
	must(t, s.Close())
	s = openTest(t, dir, Options{Machine: "two"})
	if claim(t, s).Replica == was {
		t.Error("another machine did not fork")
	}
}
