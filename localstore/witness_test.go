package localstore

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// settle runs a session of a store as an agent does: everything, then what the
// device states, then the comparison.
func (c *testCloud) settle(t testing.TB, s *Store, name string) (stated bool, lacking int) {
	t.Helper()
	c.sync(t, s)
	claim(t, s)
	defer s.EndSession()
	c.pull(t, s, record.Witness, 3)
	for _, k := range record.Kinds {
		if d, err := s.Digest(t.Context(), k); err != nil || !d.Equal(c.digest(k)) {
			t.Fatalf("%s: %s differs from the cloud's: %v", name, k, err)
		}
	}
	stated, err := s.Testify(t.Context(), Witness{Device: name, Name: name, Program: "1"})
	must(t, err)
	c.push(t, s, record.Witness)
	lacking, err = s.CompareWitnesses(t.Context(), true)
	must(t, err)
	return stated, lacking
}

func addContact(t testing.TB, s *Store, name string) record.ID {
	t.Helper()
	id := testHasher{}.RecordID(record.Contacts, name)
	must(t, s.Put(t.Context(), record.Contacts, id, []record.Field{{Key: "FN", Line: []byte("FN:" + name)}}))
	return id
}

func TestWitnessIsWrittenWhenSomethingChanged(t *testing.T) {
	c, a, b := openPair(t)
	addContact(t, a, "one")
	if stated, lacking := c.settle(t, a, "a"); !stated || lacking != 0 {
		t.Errorf("first: %v, %d", stated, lacking)
	}
	if stated, _ := c.settle(t, a, "a"); stated {
		t.Error("stated again though nothing changed")
	}
	for i, want := range []bool{true, false, false} { // b reads what a stated, and states the same
		if stated, lacking := c.settle(t, b, "b"); stated != want || lacking != 0 {
			t.Errorf("b, %d: %v, %d", i, stated, lacking)
		}
		if stated, _ := c.settle(t, a, "a"); stated {
			t.Errorf("a stated again because b did, %d", i)
		}
	}
	all, err := b.Witnesses(t.Context())
	must(t, err)
	if len(all) != 2 || !slices.ContainsFunc(all, func(w Witness) bool { return w.Name == "a" }) || !all[0].Seen.Equal(all[1].Seen) || !all[0].Kinds[record.Contacts].Equal(c.digest(record.Contacts)) {
		t.Errorf("%+v", all)
	}
	own, err := a.Digest(t.Context(), record.Witness)
	must(t, err)
	if !own.Equal(c.digest(record.Witness)) || own.Count != 2 {
		t.Errorf("statements of a: %+v, cloud %+v", own, c.digest(record.Witness))
	}
	st, err := a.Status(t.Context())
	must(t, err)
	if _, shown := st.Kinds[record.Witness]; shown || len(st.Withheld) != 0 {
		t.Errorf("%+v", st)
	}
	for _, s := range []*Store{a, b} {
		verify(t, s)
	}
}

// Two clouds that show two devices different states; then statements cross.
func TestCompareWitnesses(t *testing.T) {
	left, a, b := openPair(t)
	addContact(t, a, "shared")
	left.settle(t, a, "a")
	left.settle(t, b, "b")
	left.settle(t, a, "a")
	right := &testCloud{log: slices.Clone(left.log), seq: left.seq}
	addContact(t, a, "only left")
	hidden := addContact(t, b, "only right")
	if _, n := left.settle(t, a, "a"); n != 0 {
		t.Errorf("a, before: %d", n)
	}
	if _, n := right.settle(t, b, "b"); n != 0 {
		t.Errorf("b, before: %d", n)
	}
	cross := func(from, to *testCloud) {
		for _, l := range slices.Clone(from.log) {
			if l.kind == record.Witness {
				to.put(l.kind, l.in)
			}
		}
	}
	cross(left, right)
	cross(right, left)
	for _, d := range []struct {
		c      *testCloud
		s      *Store
		accuse string
	}{{left, a, "b"}, {right, b, "a"}} {
		if _, n := d.c.settle(t, d.s, "x"); n != 1 {
			t.Errorf("after: %d", n)
		}
		st, err := d.s.Status(t.Context())
		must(t, err)
		if len(st.Withheld) != 1 || st.Withheld[0].Name != d.accuse || st.Withheld[0].Replicas != 1 {
			t.Errorf("%+v", st.Withheld)
		}
	}
	// b's write comes to a after all.
	for _, l := range right.log {
		if l.in.ID == hidden {
			left.put(l.kind, l.in)
		}
	}
	if _, n := left.settle(t, a, "x"); n != 0 {
		t.Errorf("after it came: %d", n)
	}
	st, err := a.Status(t.Context())
	must(t, err)
	if len(st.Withheld) != 0 {
		t.Errorf("%+v", st.Withheld)
	}
	// b's owner gives up what only the left cloud had.
	if n, err := b.ExcuseWithheld(t.Context()); n != 1 || err != nil {
		t.Errorf("called lost: %d %v", n, err)
	}
	if _, n := right.settle(t, b, "x"); n != 0 {
		t.Errorf("after that: %d", n)
	}
}

// A device that is given up under its replica id, or loses a version, no longer
// claims what the cloud may never have had.
func TestWitnessAfterForkAndDamage(t *testing.T) {
	c, a, b := openPair(t)
	addContact(t, a, "one")
	id := addContact(t, a, "two")
	c.settle(t, a, "a")
	setLine(t, a, id, "FN", "FN:minted and never sent")
	claim(t, a)
	if out, err := a.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil); err != nil || len(out) != 1 {
		t.Fatalf("%d minted: %v", len(out), err)
	}
	must(t, a.Fork(t.Context(), ForkStale))
	c.settle(t, a, "a")
	if _, n := c.settle(t, b, "b"); n != 0 {
		t.Errorf("after a fork: %d statements claim more", n)
	}
	setLine(t, a, id, "FN", "FN:minted, then damaged")
	claim(t, a)
	if out, err := a.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil); err != nil || len(out) != 1 {
		t.Fatalf("%d minted: %v", len(out), err)
	}
	must(t, a.write(t.Context(), false, func(t *tx) error {
		r, err := t.rowByID(id)
		if err != nil {
			return err
		}
		return t.demote(r)
	}))
	c.settle(t, a, "a")
	if _, n := c.settle(t, b, "b"); n != 0 {
		t.Errorf("after damage: %d statements claim more", n)
	}
	all, err := b.Witnesses(t.Context())
	must(t, err)
	if len(all) != 4 { // the damaged record made it meet its own dot, and fork
		t.Errorf("%d statements, want those of a's three replica ids and b's", len(all))
	}
}

func TestWitnessSetAndOutbox(t *testing.T) {
	c, a, b := openPair(t)
	addContact(t, a, "one")
	c.settle(t, a, "a")
	c.settle(t, b, "b")
	c.settle(t, a, "a")
	// A cloud that lost the statements gets them from whoever has them.
	var refs []Ref
	must(t, a.ReadSet(t.Context(), record.Witness, func(set rangeset.Set) error {
		return set.Scan(nil, nil, func(it rangeset.Item) bool { refs = append(refs, Ref{it.ID, it.Version}); return true })
	}))
	want := c.digest(record.Witness)
	c.log = slices.DeleteFunc(c.log, func(l logged) bool { return l.kind == record.Witness })
	_, err := a.MarkUnsent(t.Context(), refs)
	must(t, err)
	claim(t, a)
	if n := c.push(t, a, record.Witness); n != 2 || !c.digest(record.Witness).Equal(want) {
		t.Errorf("%d given back: %+v, want %+v", n, c.digest(record.Witness), want)
	}
	if n := c.push(t, a, record.Witness); n != 0 {
		t.Errorf("%d given twice", n)
	}
	// The sample names versions and none of the statements.
	p, err := a.PickSample(t.Context())
	must(t, err)
	if len(p.Versions[record.Contacts]) != 1 || len(p.Versions) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestSampleState(t *testing.T) {
	clock := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := openTest(t, t.TempDir(), Options{Now: func() time.Time { return clock }})
	c := &testCloud{}
	for i := range 100 {
		addContact(t, s, fmt.Sprint("c", i))
	}
	due := func(want bool, when string) {
		t.Helper()
		if got, err := s.SampleDue(t.Context()); err != nil || got != want {
			t.Errorf("%s: due %v, %v", when, got, err)
		}
	}
	if p, err := s.PickSample(t.Context()); err != nil || !p.Empty() {
		t.Errorf("chosen before anything was acknowledged: %+v %v", p, err)
	}
	c.sync(t, s)
	due(true, "at first")
	p, err := s.PickSample(t.Context())
	must(t, err)
	other, err := s.PickSample(t.Context())
	must(t, err)
	if n := len(p.Versions[record.Contacts]); n < 16 || n > sampleVersions || slices.Equal(p.Versions[record.Contacts], other.Versions[record.Contacts]) {
		t.Errorf("%d chosen, twice the same: %v", n, n == len(other.Versions[record.Contacts]))
	}
	must(t, s.Sampled(t.Context(), p, Sample{}))
	due(false, "after a good one")
	clock = clock.Add(25 * time.Hour)
	due(true, "a day later")
	clock = clock.Add(-50 * time.Hour)
	due(true, "when the clock ran back")
	clock = clock.Add(25 * time.Hour)
	due(false, "at the time of the last")
	must(t, s.Ran(t.Context(), 25*time.Hour))
	due(true, "a day of running later")
	must(t, s.Sampled(t.Context(), p, Sample{}))
	must(t, s.ResetEpoch(t.Context(), Epoch{7}))
	due(true, "with another epoch")

	lost := Sample{Versions: map[record.Kind][]Ref{record.Contacts: p.Versions[record.Contacts][:2]}}
	must(t, s.Sampled(t.Context(), p, lost))
	st, err := s.Status(t.Context())
	must(t, err)
	if !st.Sample.Failed() || st.Sample.Missing != 2 || st.Kinds[record.Contacts].Unsynced != 2 {
		t.Errorf("%+v, %d unsynced", st.Sample, st.Kinds[record.Contacts].Unsynced)
	}
	due(true, "after a bad one")
	c.sync(t, s) // the two go out again
	if p, err = s.PickSample(t.Context()); err != nil || !slices.Contains(p.Versions[record.Contacts], lost.Versions[record.Contacts][0]) || !slices.Contains(p.Versions[record.Contacts], lost.Versions[record.Contacts][1]) {
		t.Errorf("what was missing is not asked for again: %+v %v", p, err)
	}
	must(t, s.Sampled(t.Context(), p, Sample{}))
	if st, err = s.Status(t.Context()); err != nil || st.Sample.Failed() || st.Sample.Versions < 16 || !st.Sample.At.Equal(clock) {
		t.Errorf("%+v %v", st.Sample, err)
	}
}

// testdata/format4.db.gz is a store of format 4: six contacts, of which one is
// deleted and one edited since the last sync, and a record of kind witness that
// came from elsewhere.
func TestMigrateFormat4(t *testing.T) {
	dir := t.TempDir()
	in, err := os.Open("testdata/format4.db.gz")
	must(t, err)
	defer in.Close()
	z, err := gzip.NewReader(in)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, FileName), b, 0o600))
	mustShell(t, dir, "CREATE TABLE witness (mine); INSERT INTO witness VALUES ('kept')")
	wantShell(t, dir, "SELECT count(*) FROM record WHERE kind = 'witness'", "1")
	s := openTest(t, dir, Options{})
	verify(t, s)
	wantShell(t, dir, "SELECT value FROM meta WHERE key = 'format'", fmt.Sprint(formatVersion))
	wantShell(t, dir, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'foreign_witness_*'", "1")
	wantShell(t, dir, "SELECT count(*) FROM record WHERE kind = 'witness'", "0")
	if st, err := s.Status(t.Context()); err != nil || st.Kinds[record.Contacts].Live != 5 || st.Kinds[record.Contacts].Unsynced != 1 {
		t.Errorf("%+v %v", st, err)
	}
	if stated, lacking := new(testCloud).settleAll(t, s); !stated || lacking != 0 {
		t.Errorf("%v %d", stated, lacking)
	}
}

// settleAll gives a new cloud everything first.
func (c *testCloud) settleAll(t testing.TB, s *Store) (bool, int) {
	t.Helper()
	must(t, s.ResetEpoch(t.Context(), Epoch{1}))
	reconcile(t, c, s)
	return c.settle(t, s, "s")
}
