package localstore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

// filled gives a synced store with n contacts, and its cloud.
func filled(t *testing.T, dir string, n int, o Options) (*testCloud, *Store) {
	t.Helper()
	s := openTest(t, dir, o)
	var b strings.Builder
	for i := range n {
		b.WriteString(card(fmt.Sprint("h", i), fmt.Sprint("Name ", i), fmt.Sprint("+45 ", i)))
	}
	_, err := s.Import(t.Context(), objects(t, "x.vcf", b.String()))
	must(t, err)
	c := &testCloud{}
	c.sync(t, s)
	return c, s
}

func held(t testing.TB, s *Store) int {
	t.Helper()
	n := 0
	for r, err := range s.Held(t.Context()) {
		must(t, err)
		if !r.Held.Any() {
			t.Errorf("record %s is listed as held and is not", r.ID)
		}
		n++
	}
	st, err := s.Status(t.Context())
	must(t, err)
	if k := st.Kinds[record.Contacts]; k.Held != n {
		t.Errorf("status says %d held, list %d", k.Held, n)
	}
	return n
}

func TestMassDeletionIsHeld(t *testing.T) {
	dir := t.TempDir()
	c, s := filled(t, dir, 100, Options{})
	before := c.digest(record.Contacts)
	mustShell(t, dir, "DELETE FROM contacts")
	c.sync(t, s)
	if n := held(t, s); n != 100 {
		t.Fatalf("%d held", n)
	}
	if !before.Equal(c.digest(record.Contacts)) {
		t.Error("deletions left the device")
	}
	// Other changes go out meanwhile.
	mustShell(t, dir, "INSERT INTO contacts (name) VALUES ('New')")
	c.sync(t, s)
	if d := c.digest(record.Contacts); d.Count != 101 {
		t.Errorf("%d at the cloud", d.Count)
	}
	n, err := s.RejectHeld(t.Context(), record.Contacts)
	must(t, err)
	if n != 100 || held(t, s) != 0 || len(list(t, s, record.Contacts, ListOptions{})) != 101 {
		t.Errorf("rejected %d", n)
	}
	c.sync(t, s)
	c.equal(t, s)
	if st, _ := s.Status(t.Context()); st.Kinds[record.Contacts].Unsynced != 0 {
		t.Errorf("unsynced after reject: %+v", st.Kinds[record.Contacts])
	}

	mustShell(t, dir, "DELETE FROM contacts WHERE name LIKE 'Name%'")
	c.sync(t, s)
	n, err = s.AcceptHeld(t.Context(), "")
	must(t, err)
	c.sync(t, s)
	if n != 100 || held(t, s) != 0 {
		t.Errorf("accepted %d", n)
	}
	other := openTest(t, t.TempDir(), Options{})
	c.sync(t, other)
	c.equal(t, s, other)
	if n := len(list(t, other, record.Contacts, ListOptions{})); n != 1 {
		t.Errorf("%d live elsewhere", n)
	}
}

// Judging remembers that all that is dirty is new. What comes after it is judged,
// whoever wrote it: another program, or this store.
func TestMassDeletionAmongNewRecordsIsHeld(t *testing.T) {
	for name, deleted := range map[string]func(t *testing.T, dir string, s *Store){
		"by a program": func(t *testing.T, dir string, s *Store) {
			mustShell(t, dir, "DELETE FROM contacts WHERE name LIKE 'Name%'")
		},
		"by this one": func(t *testing.T, _ string, s *Store) {
			var ids []record.ID
			for r, err := range s.List(t.Context(), record.Contacts, ListOptions{}) {
				must(t, err)
				if strings.HasPrefix(r.Title, "Name") {
					ids = append(ids, r.ID)
				}
			}
			must(t, s.Delete(t.Context(), ids...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c, s := filled(t, dir, 100, Options{})
			mustShell(t, dir, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO contacts (name) SELECT 'New ' || i FROM n")
			claim(t, s)
			mint := func(n int) {
				t.Helper()
				out, err := s.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil)
				must(t, err)
				if len(out) != n {
					t.Fatalf("%d minted, want %d", len(out), n)
				}
				refs := make([]Ref, len(out))
				for i, o := range out {
					c.put(record.Contacts, Incoming{ID: o.ID, VersionID: o.VersionID, Version: o.Version})
					refs[i] = Ref{o.ID, o.VersionID}
				}
				must(t, s.Acked(t.Context(), refs))
			}
			mint(10)
			mint(10)
			if s.onlyNew.kinds == nil || !s.onlyNew.kinds[record.Contacts] {
				t.Fatal("it was not remembered: the test shows nothing")
			}
			deleted(t, dir, s)
			mint(10)
			if n := held(t, s); n != 100 {
				t.Fatalf("%d held", n)
			}
			c.sync(t, s)
			if d := c.digest(record.Contacts); d.Count != 150 {
				t.Errorf("%d at the cloud", d.Count)
			}
		})
	}
}

// 20 may always go; the drip counts for a day.
func TestBrakeBudget(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	c, s := filled(t, dir, 100, Options{Now: func() time.Time { return now }})
	del := func(n int) {
		t.Helper()
		mustShell(t, dir, fmt.Sprintf("DELETE FROM contacts WHERE id IN (SELECT id FROM contacts LIMIT %d)", n))
		c.sync(t, s)
	}
	del(15)
	if held(t, s) != 0 {
		t.Error("15 are held")
	}
	del(5)
	if held(t, s) != 0 {
		t.Error("20 are held")
	}
	del(1)
	if held(t, s) != 1 {
		t.Error("the 21st is not held")
	}
	now = now.Add(25 * time.Hour)
	del(20)
	if n := held(t, s); n != 21 {
		t.Errorf("%d are held, want 21: the one that waits counts", n)
	}
	_, err := s.RejectHeld(t.Context(), "")
	must(t, err)
	now = now.Add(25 * time.Hour)
	del(20)
	if held(t, s) != 0 {
		t.Error("20 a day later are held")
	}
}

func TestBlankingIsHeldAndRejected(t *testing.T) {
	dir := t.TempDir()
	c, s := filled(t, dir, 50, Options{})
	want := list(t, s, record.Contacts, ListOptions{})
	mustShell(t, dir, "DELETE FROM contact_phones; UPDATE contacts SET name = '', given_name = NULL, family_name = NULL")
	c.sync(t, s)
	if n := held(t, s); n != 50 {
		t.Fatalf("%d held", n)
	}
	_, err := s.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, s)
	c.equal(t, s)
	got := list(t, s, record.Contacts, ListOptions{})
	for i := range want {
		if got[i].ID != want[i].ID || !sameFields(got[i].Fields, want[i].Fields) || !got[i].Synced {
			t.Fatalf("after reject: %+v, want %+v", got[i], want[i])
		}
	}
	// An ordinary edit of one field each is no loss.
	mustShell(t, dir, "UPDATE contacts SET note = 'x'")
	c.sync(t, s)
	c.equal(t, s)
	if held(t, s) != 0 {
		t.Error("edits are held")
	}
}

// An edit from elsewhere ends the hold of that record.
func TestHoldEndsByEdit(t *testing.T) {
	dir := t.TempDir()
	c, s := filled(t, dir, 40, Options{})
	other := openTest(t, t.TempDir(), Options{})
	c.sync(t, other)
	id := testHasher{}.RecordID(record.Contacts, "h7")
	mustShell(t, dir, "DELETE FROM contacts")
	c.sync(t, s)
	setLine(t, other, id, "FN", "FN:Edited")
	c.sync(t, other)
	c.sync(t, s)
	c.equal(t, s, other)
	if n := held(t, s); n != 39 {
		t.Errorf("%d held", n)
	}
	r, err := s.Get(t.Context(), id)
	must(t, err)
	if r.Deleted || lineOf(r, "FN") != "FN:Edited" {
		t.Errorf("edited elsewhere: %+v", r)
	}
}

// What comes for some records of a mass deletion does not take the others out
// before they are judged.
func TestMassDeletionIsJudgedBeforeApply(t *testing.T) {
	for _, sql := range []string{
		"DELETE FROM contacts WHERE name < 'Name 36'",
		"DELETE FROM contact_phones WHERE contact_id IN (SELECT id FROM contacts WHERE name < 'Name 36'); UPDATE contacts SET name = '', given_name = NULL, family_name = NULL WHERE name < 'Name 36'",
	} {
		dir := t.TempDir()
		c, s := filled(t, dir, 40, Options{})
		other := openTest(t, t.TempDir(), Options{})
		c.sync(t, other)
		mustShell(t, dir, sql) // of 30: Name 0 to Name 35 but Name 4 to Name 9
		for i := 10; i < 22; i++ {
			setLine(t, other, testHasher{}.RecordID(record.Contacts, fmt.Sprint("h", i)), "NOTE", "NOTE:elsewhere")
		}
		c.sync(t, other)
		c.sync(t, s)
		if n := held(t, s); n != 18 {
			t.Errorf("%s: %d held", sql, n)
		}
	}
}
