package localstore

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// heldIn gives the records whose deletion came and waits, with what is told of each.
func heldIn(t testing.TB, s *Store) map[record.ID]Loss {
	t.Helper()
	m := map[record.ID]Loss{}
	for r, err := range s.Held(t.Context()) {
		must(t, err)
		if r.Held.In != "" {
			m[r.ID] = r.Held.In
		}
	}
	st, err := s.Status(t.Context())
	must(t, err)
	if n := st.Kinds[record.Contacts].HeldIn; n != len(m) {
		t.Errorf("status says %d held on the way in, list %d", n, len(m))
	}
	return m
}

// others gives n more devices that hold what the cloud has.
func others(t testing.TB, c *testCloud, n int, o Options) []*Store {
	t.Helper()
	list := make([]*Store, n)
	for i := range list {
		list[i] = openTest(t, t.TempDir(), o)
		c.sync(t, list[i])
	}
	return list
}

// letOut has a device without a brake do what sql says, and tell the cloud.
func letOut(t testing.TB, c *testCloud, s *Store, dir, sql string) {
	t.Helper()
	mustShell(t, dir, sql)
	c.sync(t, s)
	_, err := s.AcceptHeld(t.Context(), "")
	must(t, err)
	c.sync(t, s)
}

func live(t testing.TB, s *Store) int { return len(list(t, s, record.Contacts, ListOptions{})) }

func TestIncomingMassDeletionIsHeldAndRejected(t *testing.T) {
	dir := t.TempDir()
	c, a := filled(t, dir, 100, Options{})
	bc := others(t, c, 2, Options{})
	b, d := bc[0], bc[1]
	want := list(t, b, record.Contacts, ListOptions{})
	letOut(t, c, a, dir, "DELETE FROM contacts")
	c.sync(t, b)
	c.sync(t, d)
	c.equal(t, a, b, d) // held versions count
	if n := heldIn(t, b); len(n) != 100 || live(t, b) != 100 || live(t, a) != 0 {
		t.Fatalf("%d held, %d live here, %d there", len(n), live(t, b), live(t, a))
	}
	st, err := b.Status(t.Context())
	must(t, err)
	if k := st.Kinds[record.Contacts]; k.Unsynced != 0 || k.Live != 100 || k.Deleted != 0 || k.Held != 100 {
		t.Errorf("status: %+v", k)
	}
	verify(t, b)

	// A cloud that lost everything gets exactly the set back, from one that holds.
	empty := &testCloud{}
	reconcile(t, empty, b)
	empty.equal(t, a, b, d)
	verify(t, b)

	n, err := b.RejectHeld(t.Context(), record.Contacts)
	must(t, err)
	if n != 100 || len(heldIn(t, b)) != 0 {
		t.Errorf("rejected %d", n)
	}
	c.sync(t, b)
	c.sync(t, a)
	c.sync(t, d)
	c.equal(t, a, b, d)
	for _, s := range []*Store{a, b, d} {
		got := list(t, s, record.Contacts, ListOptions{})
		if len(got) != 100 || len(heldIn(t, s)) != 0 {
			t.Fatalf("%d live, %d held after the reject", len(got), len(heldIn(t, s)))
		}
		for i := range got {
			if got[i].ID != want[i].ID || !sameFields(got[i].Fields, want[i].Fields) || !got[i].Synced {
				t.Fatalf("after reject: %+v, want %+v", got[i], want[i])
			}
		}
	}
	c.sync(t, a)
	claim(t, b)
	if n := c.push(t, b, record.Contacts); n != 0 {
		t.Errorf("%d pushed at rest", n)
	}
}

// reconcile gives a cloud what it lacks of a store, by ranges as a session does.
func reconcile(t testing.TB, c *testCloud, s *Store) {
	t.Helper()
	claim(t, s)
	var refs []Ref
	must(t, s.ReadSet(t.Context(), record.Contacts, func(set rangeset.Set) error {
		return set.Scan(nil, nil, func(it rangeset.Item) bool {
			refs = append(refs, Ref{it.ID, it.Version})
			return true
		})
	}))
	_, err := s.MarkUnsent(t.Context(), refs)
	must(t, err)
	c.push(t, s, record.Contacts)
}

func TestIncomingAcceptedAndPartly(t *testing.T) {
	dir := t.TempDir()
	c, a := filled(t, dir, 50, Options{})
	b := others(t, c, 1, Options{})[0]
	letOut(t, c, a, dir, "DELETE FROM contacts")
	c.sync(t, b)
	id := testHasher{}.RecordID(record.Contacts, "h7")
	n, err := b.RejectHeld(t.Context(), "", id)
	must(t, err)
	m, err := b.AcceptHeld(t.Context(), "")
	must(t, err)
	if n != 1 || m != 49 || live(t, b) != 1 {
		t.Errorf("rejected %d, accepted %d, %d live", n, m, live(t, b))
	}
	if _, err := b.AcceptHeld(t.Context(), "", record.ID{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	if live(t, a) != 1 || live(t, b) != 1 {
		t.Errorf("%d and %d live", live(t, a), live(t, b))
	}
}

// A clean-up of 15 passes; a drip counts for a day; the limit is an option.
func TestIncomingBudget(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	dir, bdir := t.TempDir(), t.TempDir()
	c, a := filled(t, dir, 100, Options{BrakePercent: 100})
	b, err := Open(t.Context(), bdir, Options{Hasher: testHasher{}, Now: clock})
	must(t, err)
	c.sync(t, b)
	strict := others(t, c, 1, Options{BrakeMin: 3, BrakePercent: 1})[0]
	del := func(n int) {
		t.Helper()
		mustShell(t, dir, fmt.Sprintf("DELETE FROM contacts WHERE id IN (SELECT id FROM contacts LIMIT %d)", n))
		c.sync(t, a)
		c.sync(t, b)
	}
	del(15)
	if len(heldIn(t, b)) != 0 || live(t, b) != 85 {
		t.Errorf("15: %d held, %d live", len(heldIn(t, b)), live(t, b))
	}
	c.sync(t, strict)
	if len(heldIn(t, strict)) != 15 {
		t.Errorf("with a limit of 3: %d held", len(heldIn(t, strict)))
	}
	must(t, b.Close()) // the budget is durable
	b = openTest(t, bdir, Options{Now: clock})
	del(5)
	if len(heldIn(t, b)) != 0 || live(t, b) != 80 {
		t.Errorf("20: %d held, %d live", len(heldIn(t, b)), live(t, b))
	}
	del(1)
	if len(heldIn(t, b)) != 1 {
		t.Errorf("the 21st: %d held", len(heldIn(t, b)))
	}
	now = now.Add(25 * time.Hour)
	del(19)
	if len(heldIn(t, b)) != 1 || live(t, b) != 61 {
		t.Errorf("a day later: %d held, %d live", len(heldIn(t, b)), live(t, b))
	}
	del(1)
	if n := len(heldIn(t, b)); n != 2 {
		t.Errorf("%d are held, want 2: the one that waits counts", n)
	}
	c.sync(t, strict)
	c.equal(t, a, b, strict)
}

func TestIncomingBlankingIsHeldAndRejected(t *testing.T) {
	dir := t.TempDir()
	c, a := filled(t, dir, 50, Options{})
	b := others(t, c, 1, Options{})[0]
	want := list(t, b, record.Contacts, ListOptions{})
	letOut(t, c, a, dir, "DELETE FROM contact_phones; UPDATE contacts SET name = '', given_name = NULL, family_name = NULL")
	c.sync(t, b)
	c.equal(t, a, b)
	if h := heldIn(t, b); len(h) != 50 || h[want[0].ID] != LossEmptied {
		t.Fatalf("%d held: %v", len(h), h[want[0].ID])
	}
	_, err := b.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	for _, s := range []*Store{a, b} {
		got := list(t, s, record.Contacts, ListOptions{})
		for i := range want {
			if got[i].ID != want[i].ID || !sameFields(got[i].Fields, want[i].Fields) || len(got[i].Conflicts) != 0 {
				t.Fatalf("after reject: %+v, want %+v", got[i], want[i])
			}
		}
	}
	// An edit of one field of each is no loss.
	letOut(t, c, a, dir, "UPDATE contacts SET note = 'x'")
	c.sync(t, b)
	if len(heldIn(t, b)) != 0 {
		t.Error("edits are held")
	}
	c.equal(t, a, b)
}

// What ends a hold at once (H2): an edit here, an edit elsewhere, a deletion here.
func TestIncomingHoldEnds(t *testing.T) {
	dir := t.TempDir()
	c, a := filled(t, dir, 40, Options{})
	bd := others(t, c, 2, Options{})
	b, d := bd[0], bd[1]
	id := func(i int) record.ID { return testHasher{}.RecordID(record.Contacts, fmt.Sprint("h", i)) }
	letOut(t, c, a, dir, "DELETE FROM contacts")
	c.sync(t, b)
	setLine(t, d, id(1), "FN", "FN:Elsewhere") // has not seen the deletion
	setLine(t, b, id(2), "FN", "FN:Here")
	must(t, b.Delete(t.Context(), id(3)))
	claim(t, b)
	c.push(t, b, record.Contacts)
	if h := heldIn(t, b); len(h) != 38 || h[id(2)] != "" || h[id(3)] != "" {
		t.Errorf("%d held after an edit and a deletion here", len(h))
	}
	for range 2 {
		for _, s := range []*Store{d, b, a} {
			c.sync(t, s)
		}
	}
	c.equal(t, a, b, d)
	h := heldIn(t, b)
	if len(h) != 37 || h[id(1)] != "" || h[id(2)] != "" || h[id(3)] != "" {
		t.Errorf("%d held", len(h))
	}
	for _, s := range []*Store{a, b, d} {
		for i, want := range map[int]string{1: "FN:Elsewhere", 2: "FN:Here"} {
			if r, err := s.Get(t.Context(), id(i)); err != nil || r.Deleted || lineOf(r, "FN") != want {
				t.Errorf("record %d: %+v %v", i, r, err)
			}
		}
		if r, _ := s.Get(t.Context(), id(3)); s == b && !r.Deleted {
			t.Errorf("deleted on both: %+v", r)
		}
	}
}

// Two deletions of one record are held as their join, which goes to the cloud.
func TestHeldVersionsAreJoined(t *testing.T) {
	adir, ddir := t.TempDir(), t.TempDir()
	c, a := filled(t, adir, 30, Options{BrakePercent: 100})
	d := openTest(t, ddir, Options{BrakePercent: 100})
	c.sync(t, d)
	b := others(t, c, 1, Options{})[0]
	mustShell(t, adir, "DELETE FROM contacts")
	mustShell(t, ddir, "DELETE FROM contacts")
	c.sync(t, b)
	claim(t, a)
	c.push(t, a, record.Contacts)
	claim(t, d)
	c.push(t, d, record.Contacts)
	if n := c.digest(record.Contacts).Count; n != 60 {
		t.Fatalf("%d versions at the cloud", n)
	}
	c.sync(t, b)
	c.equal(t, b)
	if n := c.digest(record.Contacts).Count; n != 30 || len(heldIn(t, b)) != 30 {
		t.Errorf("%d versions at the cloud, %d held", n, len(heldIn(t, b)))
	}
	must(t, b.Fork(t.Context(), ForkUnknown)) // joins have no dots of ours
	c.sync(t, b)
	c.sync(t, a)
	c.sync(t, d)
	c.equal(t, a, b, d)
	_, err := b.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, b)
	c.sync(t, a)
	c.sync(t, d)
	c.equal(t, a, b, d)
	if live(t, a) != 30 || live(t, b) != 30 || live(t, d) != 30 {
		t.Errorf("%d %d %d live", live(t, a), live(t, b), live(t, d))
	}
}

// A held version can have writes of this device that the cloud lacks, as after a
// rescue: a fork moves them, like those of records (C5).
func TestForkMovesHeldDots(t *testing.T) {
	c, a, b := openPair(t)
	id := record.ID{1}
	must(t, a.Put(t.Context(), record.Contacts, id, []record.Field{{Key: "FN", Line: []byte("FN:Ada")}}))
	c.sync(t, a)
	c.sync(t, b)
	must(t, b.Delete(t.Context(), id))
	c.sync(t, b)
	old := claim(t, a).Replica
	c.pull(t, a, record.Contacts, 9) // set aside, and not judged before something is minted
	var dot record.Dot
	must(t, a.write(t.Context(), false, func(x *tx) error {
		r, err := x.rowByID(id)
		must(t, err)
		own, err := x.current(r)
		must(t, err)
		h, err := x.heldOf(r)
		must(t, err)
		m, err := x.mint()
		must(t, err)
		next := h.Clone()
		dot = m.Next()
		next.Vector.Add(dot)
		next.Fields["NOTE"] = []record.Entry{{Dot: dot, Line: []byte("NOTE:rescued"), Rescued: true}}
		return x.setAside(r, own, next, lossDeleted, &Incoming{ID: id, Version: h}, m.replica, new(Applied))
	}))
	must(t, a.Fork(t.Context(), ForkUnknown))
	fresh := claim(t, a).Replica
	verify(t, a)
	must(t, a.read(t.Context(), func(x *session) error {
		r, err := x.rowByID(id)
		must(t, err)
		h, err := a.heldVersion(r)
		must(t, err)
		if h.Vector[old] != 1 || h.Vector[fresh] != dot.Counter || h.Fields["NOTE"][0].Dot.Replica != fresh {
			t.Errorf("after the fork: %+v", h)
		}
		return nil
	}))
	c.sync(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
}

// A purge that comes for held records takes nothing, and what is held is not purged here.
func TestPurgeOfHeldRecords(t *testing.T) {
	dir := t.TempDir()
	c, a := filled(t, dir, 40, Options{})
	b := others(t, c, 1, Options{})[0]
	letOut(t, c, a, dir, "DELETE FROM contacts")
	c.sync(t, b)
	must(t, a.Ran(t.Context(), 31*day))
	claim(t, a)
	n, err := a.Expire(t.Context(), 1000)
	must(t, err)
	c.sync(t, a)
	must(t, b.Ran(t.Context(), 100*day))
	claim(t, b)
	if m, err := b.Expire(t.Context(), 1000); err != nil || m != 0 || n != 40 {
		t.Errorf("purged %d there, %d here: %v", n, m, err)
	}
	c.sync(t, b)
	c.equal(t, a, b)
	if len(heldIn(t, b)) != 40 || live(t, b) != 40 {
		t.Errorf("%d held, %d live", len(heldIn(t, b)), live(t, b))
	}
	_, err = b.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	for _, r := range list(t, a, record.Contacts, ListOptions{}) {
		if len(r.Fields) < 3 || !strings.HasPrefix(lineOf(r, "FN"), "FN:Name") {
			t.Fatalf("maimed: %+v", r)
		}
	}
	if live(t, a) != 40 {
		t.Errorf("%d live", live(t, a))
	}
}

// A damaged held version is found, dropped, and comes again.
func TestDamagedHeldVersion(t *testing.T) {
	dir, bdir := t.TempDir(), t.TempDir()
	c, a := filled(t, dir, 40, Options{})
	b := openTest(t, bdir, Options{})
	c.sync(t, b)
	letOut(t, c, a, dir, "DELETE FROM contacts")
	c.sync(t, b)
	mustShell(t, bdir, "UPDATE held SET version = x'00' WHERE n = (SELECT min(n) FROM held)")
	r, err := b.Verify(t.Context(), nil)
	must(t, err)
	if len(r.Damage) != 1 {
		t.Errorf("damage: %v", r.Damage)
	}
	_, err = b.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, b)
	verify(t, b)
	must(t, b.SetCursor(t.Context(), record.Contacts, Cursor{})) // as reconcile does
	c.sync(t, b)
	c.equal(t, b)
	if n := len(heldIn(t, b)); n != 0 || live(t, b) != 39 { // one alone is no mass deletion
		t.Errorf("%d held, %d live", n, live(t, b))
	}
	mustShell(t, bdir, "DROP TABLE held; DROP TABLE intake")
	must(t, b.checkSchema(t.Context()))
}

// Random deletions, edits, decisions and crashes of the set: at the end all are equal.
func TestRandomHolds(t *testing.T) {
	seed := rand.Uint64()
	for round := range 4 {
		t.Run(fmt.Sprintf("seed=%d", seed+uint64(round)), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed+uint64(round), 0))
			c := &testCloud{}
			stores := make([]*Store, 3)
			for i := range stores {
				stores[i] = openTest(t, t.TempDir(), Options{BrakeMin: 1, BrakePercent: 1})
			}
			id := func() record.ID { return record.ID{byte(rng.IntN(6))} }
			for step := range 120 {
				s := stores[rng.IntN(len(stores))]
				id := id()
				key := string(rune('A' + rng.IntN(4)))
				r, err := s.Get(t.Context(), id)
				switch p := rng.IntN(16); {
				case errors.Is(err, ErrNotFound) || r.Deleted && len(r.Fields) == 0:
					must(t, s.Put(t.Context(), record.Notes, id, []record.Field{{Key: key, Line: []byte(key + ":" + fmt.Sprint(step))}}))
				case p < 4:
					setLine(t, s, id, key, key+":"+fmt.Sprint(step))
				case p < 7:
					must(t, s.Delete(t.Context(), id))
				case p < 8:
					must(t, s.Undelete(t.Context(), id))
				case p == 8:
					_, err := s.AcceptHeld(t.Context(), "")
					must(t, err)
				case p == 9:
					_, err := s.RejectHeld(t.Context(), "")
					must(t, err)
				case p == 10:
					must(t, s.Fork(t.Context(), ForkUnknown))
				case p == 11:
					must(t, s.Ran(t.Context(), 31*day))
					c.sync(t, s)
					claim(t, s)
					_, err := s.Expire(t.Context(), 3)
					must(t, err)
				default:
					c.sync(t, s)
					d, err := s.Digest(t.Context(), record.Notes)
					must(t, err)
					if !d.Equal(c.digest(record.Notes)) {
						t.Fatalf("step %d: digest %d %v, cloud %d %v", step, d.Count, d, c.digest(record.Notes).Count, c.digest(record.Notes))
					}
					verify(t, s)
				}
			}
			for range 5 {
				for _, s := range stores {
					_, err := s.RejectHeld(t.Context(), "")
					must(t, err)
					c.sync(t, s)
				}
			}
			var all []string
			for _, s := range stores {
				d, err := s.Digest(t.Context(), record.Notes)
				must(t, err)
				if !d.Equal(c.digest(record.Notes)) {
					t.Errorf("digest %v, cloud %v", d, c.digest(record.Notes))
				}
				var b strings.Builder
				for i := range byte(6) {
					if r, err := s.Get(t.Context(), record.ID{i}); err == nil {
						fmt.Fprintf(&b, "%d %v %v\n", i, r.Deleted, r.Fields)
					}
				}
				all = append(all, b.String())
			}
			if all[0] != all[1] || all[0] != all[2] {
				t.Errorf("stores differ:\n%s\n---\n%s\n---\n%s", all[0], all[1], all[2])
			}
		})
	}
}

// testdata/format1.db.gz is a store of format 1: 40 contacts, of which one is
// deleted, 25 are held on their way out, and one is edited.
func TestMigrateFormat1(t *testing.T) {
	dir := t.TempDir()
	in, err := os.Open("testdata/format1.db.gz")
	must(t, err)
	defer in.Close()
	z, err := gzip.NewReader(in)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, FileName), b, 0o600))
	mustShell(t, dir, "CREATE TABLE held (mine); INSERT INTO held VALUES ('kept')")
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	verify(t, s)
	wantShell(t, dir, "SELECT value FROM meta WHERE key = 'format'", fmt.Sprint(formatVersion))
	wantShell(t, dir, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'foreign_held_*'", "1")
	if held(t, s) != 25 || live(t, s) != 14 {
		t.Errorf("%d held, %d live", held(t, s), live(t, s))
	}
	n, err := s.RejectHeld(t.Context(), record.Contacts)
	must(t, err)
	c := &testCloud{}
	c.sync(t, s)
	reconcile(t, c, s)
	c.equal(t, s)
	if r, err := s.Get(t.Context(), testHasher{}.RecordID(record.Contacts, "h2")); err != nil || lineOf(r, "FN") != "FN:Edited" || n != 25 || live(t, s) != 39 {
		t.Errorf("rejected %d: %+v %v", n, r, err)
	}
	must(t, s.Close())
	openTest(t, dir, Options{}) // a second time nothing is done
}
