package localstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

func TestMost(t *testing.T) {
	for _, c := range []struct {
		tally
		want bool
	}{
		{tally{0, 0, 0}, false},
		{tally{1, 0, 1}, false}, // a title that is written anew
		{tally{1, 1, 1}, true},
		{tally{2, 0, 2}, false},
		{tally{2, 1, 1}, true},
		{tally{3, 1, 1}, false},
		{tally{3, 0, 2}, true},
		{tally{4, 0, 2}, false}, // both phone numbers of a contact
		{tally{4, 1, 2}, false},
		{tally{4, 2, 2}, true},
		{tally{5, 2, 2}, false},
		{tally{5, 1, 3}, true},
	} {
		if got := c.most(); got != c.want {
			t.Errorf("%+v: %v", c.tally, got)
		}
	}
}

// started opens a store that the test closes and opens again.
func started(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	o.Hasher = testHasher{}
	s, err := Open(t.Context(), dir, o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// persons gives a synced store with n contacts of five values, and its cloud.
func persons(t *testing.T, dir string, n int, o Options) (*testCloud, *Store) {
	t.Helper()
	s := started(t, dir, o)
	for i := range n {
		var fields []record.Field
		for _, l := range [][2]string{{"FN", "FN:Name %d"}, {"TEL", "TEL:+45 %d"}, {"EMAIL", "EMAIL:p%d@example.org"}, {"NOTE", "NOTE:note %d"}, {"TITLE", "TITLE:title %d"}} {
			fields = append(fields, record.Field{Key: l[0], Line: fmt.Appendf(nil, l[1], i)})
		}
		must(t, s.Put(t.Context(), record.Contacts, personID(i), fields))
	}
	c := &testCloud{}
	c.sync(t, s)
	return c, s
}

func personID(i int) record.ID {
	return testHasher{}.RecordID(record.Contacts, fmt.Sprint("person", i))
}

// columns take a contact of persons away value by value: with the third at
// least half of it is lost.
var columns = []string{
	"DELETE FROM contact_phones",
	"DELETE FROM contact_emails",
	"UPDATE contacts SET note = ''",
	"UPDATE contacts SET job_title = NULL",
	"UPDATE contacts SET name = 'x'",
}

// A program that goes column by column, with a sync and a start of the device
// after each, is held when half of the values are gone.
func TestBlankingByColumnsIsHeld(t *testing.T) {
	dir := t.TempDir()
	c, s := persons(t, dir, 60, Options{})
	for i, sql := range columns {
		must(t, s.Close())
		s = started(t, dir, Options{})
		mustShell(t, dir, sql)
		c.sync(t, s)
		if n, want := held(t, s), 60; i < 2 && n != 0 || i >= 2 && n != want {
			t.Errorf("%s: %d held", sql, n)
		}
	}
	other := others(t, c, 1, Options{})[0]
	for _, r := range list(t, other, record.Contacts, ListOptions{}) {
		if len(r.Fields) != 3 || lineOf(r, "NOTE") == "" || lineOf(r, "FN") == "FN:x" {
			t.Fatalf("went out: %+v", r)
		}
	}
	_, err := s.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, s)
	c.equal(t, s, other)

	mustShell(t, dir, "UPDATE contacts SET note = ''") // and the day is not over
	c.sync(t, s)
	_, err = s.AcceptHeld(t.Context(), "")
	must(t, err)
	c.sync(t, s)
	mustShell(t, dir, "UPDATE contacts SET nickname = 'y'") // counts no more once it is agreed to
	c.sync(t, s)
	if n := held(t, s); n != 0 {
		t.Errorf("%d held after the person agreed", n)
	}
	verify(t, s)
}

// The same in what comes from a device that lets all go.
func TestIncomingBlankingByColumnsIsHeld(t *testing.T) {
	dir, bdir := t.TempDir(), t.TempDir()
	c, a := persons(t, dir, 60, Options{BrakePercent: 100})
	var late time.Duration
	o := Options{Now: func() time.Time { return time.Now().Add(late) }}
	b := started(t, bdir, o)
	c.sync(t, b)
	for i, sql := range columns {
		letOut(t, c, a, dir, sql)
		must(t, b.Close())
		b = started(t, bdir, o)
		c.sync(t, b)
		c.equal(t, a, b)
		if i == 2 { // what waits for a person does not end with the day, nor because more comes
			late = 25 * time.Hour
			letOut(t, c, a, dir, "UPDATE contacts SET nickname = 'y'")
			setLine(t, b, personID(1), "ROLE", "ROLE:here")
			for _, s := range []*Store{b, a, b} {
				c.sync(t, s)
			}
		}
		if n, want := len(heldIn(t, b)), 60; i < 2 && n != 0 || i >= 2 && n != want {
			t.Errorf("%s: %d held", sql, n)
		}
	}
	whole := func(r Record) bool { return len(r.Fields) >= 3 && lineOf(r, "NOTE") != "" && lineOf(r, "FN") != "FN:x" }
	for _, r := range list(t, b, record.Contacts, ListOptions{}) {
		if !whole(r) {
			t.Fatalf("let in: %+v", r)
		}
	}
	_, err := b.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	for _, r := range list(t, a, record.Contacts, ListOptions{}) {
		if !whole(r) {
			t.Fatalf("after the reject: %+v", r)
		}
	}
	verify(t, a)
	verify(t, b)
}

// What people do in a day is not held: neither here nor elsewhere.
func TestOrdinaryEditsAreNotHeld(t *testing.T) {
	var late time.Duration
	o := Options{Now: func() time.Time { return time.Now().Add(late) }}
	dir := t.TempDir()
	c, s := persons(t, dir, 200, o)
	other := others(t, c, 1, o)[0]
	step := func(what, sql string) {
		t.Helper()
		mustShell(t, dir, sql)
		c.sync(t, s)
		c.sync(t, other)
		c.equal(t, s, other)
		if n, m := held(t, s), len(heldIn(t, other)); n+m != 0 {
			t.Fatalf("%s: %d held on the way out, %d on the way in", what, n, m)
		}
	}
	step("a prefix", "UPDATE contact_phones SET number = '+46' || substr(number, 4)")
	step("an addition", "INSERT INTO contact_emails (contact_id, address) SELECT id, 'new@example.org' FROM contacts")
	step("a value goes", "UPDATE contacts SET note = NULL")
	step("15 are cleaned up", "DELETE FROM contacts WHERE id IN (SELECT id FROM contacts LIMIT 15)")
	step("one record", fmt.Sprintf("UPDATE contact_phones SET number = '1' WHERE contact_id = '%s'", personID(199)))
	edits := 40
	if testing.Short() {
		edits = 4
	}
	for i := range edits { // it counts once, not with each edit
		step("one record again and again", fmt.Sprintf("UPDATE contacts SET name = 'N %d', job_title = 'T %d' WHERE id = '%s'", i, i, personID(199)))
	}
	late = 25 * time.Hour
	step("another value on another day", "DELETE FROM contact_phones")
	late = 50 * time.Hour
	step("and one more", "UPDATE contacts SET job_title = NULL")
}

// No more documents are looked at than pastStates, among them the first.
func TestFullestOfManyStates(t *testing.T) {
	_, s := persons(t, t.TempDir(), 2, Options{})
	edit := func() { // in turn: what happens to one record within a millisecond is one change
		setLine(t, s, personID(0), "FN", "FN:x")
		setLine(t, s, personID(1), "FN", "FN:x")
		setLine(t, s, personID(0), "FN", "FN:y")
		setLine(t, s, personID(1), "FN", "FN:y")
	}
	for range pastStates {
		edit()
	}
	must(t, s.write(t.Context(), false, func(x *tx) error {
		r, err := x.rowByID(personID(0))
		must(t, err)
		most, err := x.fullest(r)
		must(t, err)
		before, err := x.pastDocuments(r.n)
		must(t, err)
		if len(before) != pastStates || len(most) != 5 || string(most[0].Line) != "FN:Name 0" {
			t.Errorf("%d states, the fullest is %+v", len(before), most)
		}
		other, err := x.rowByID(personID(1))
		must(t, err)
		for _, r := range []*row{other, r} { // what this transaction adds is seen, too
			must(t, x.edited(r, nil, false))
		}
		after, err := x.pastDocuments(r.n)
		if last := pastStates - 1; err != nil || len(after) != pastStates || after[0] != before[0] || after[last] <= before[last] {
			t.Errorf("%v after %v: %v", after, before, err)
		}
		return nil
	}))
}

// What is remembered of the history is what the history says, after edits of this
// program and of others, a transaction that came to nothing, a history that was
// emptied, and a day.
func TestRecentHistoryIsRemembered(t *testing.T) {
	dir := t.TempDir()
	_, s := persons(t, dir, 3, Options{})
	check := func(what string, least int) {
		t.Helper()
		must(t, s.write(t.Context(), false, func(x *tx) error {
			all := func() (lists [][]int64) {
				for i := range 3 {
					r, err := x.rowByID(personID(i))
					must(t, err)
					list, err := x.pastDocuments(r.n)
					must(t, err)
					lists = append(lists, list)
				}
				return lists
			}
			remembered := all()
			s.recent = recent{}
			n := 0
			for i, list := range all() {
				if n += len(list); !slices.Equal(list, remembered[i]) {
					t.Errorf("%s: record %d: %v remembered, %v there", what, i, remembered[i], list)
				}
			}
			if n < least {
				t.Errorf("%s: %d documents", what, n)
			}
			return nil
		}))
	}
	check("nothing yet", 0)
	setLine(t, s, personID(0), "FN", "FN:x")
	setLine(t, s, personID(1), "FN", "FN:x")
	check("two edits", 2)
	wantShell(t, dir, "UPDATE contacts SET note = 'of a program'", "")
	check("those of a program", 5)
	stop := errors.New("stop")
	if err := s.write(t.Context(), false, func(x *tx) error {
		r, err := x.rowByID(personID(2))
		must(t, err)
		must(t, x.edited(r, nil, false))
		_, err = x.pastDocuments(r.n)
		must(t, err)
		return stop
	}); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	setLine(t, s, personID(1), "FN", "FN:y") // in its place
	check("one that was taken back, and another", 6)
	wantShell(t, dir, "DELETE FROM history", "")
	setLine(t, s, personID(0), "FN", "FN:z")
	check("emptied", 1)
	wantShell(t, dir, "DELETE FROM history", "")
	for i := range 3 {
		setLine(t, s, personID(i), "FN", "FN:"+fmt.Sprint(i))
	}
	check("emptied, and grown again", 3)
	must(t, s.Ran(t.Context(), 25*time.Hour))
	check("a day later", 0)
	for began := time.Now().UnixMilli(); time.Now().UnixMilli() == began; { // two changes of a record in one millisecond are one
	}
	setLine(t, s, personID(2), "FN", "FN:z")
	check("and an edit", 1)
}
