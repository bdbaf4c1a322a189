package localstore

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// testClock is a clock that a test sets; it goes on by a second at each look.
type testClock struct{ at time.Time }

func (c *testClock) now() time.Time {
	c.at = c.at.Add(time.Second)
	return c.at
}

func newClock() *testClock { return &testClock{time.Date(2031, 11, 22, 12, 0, 0, 0, time.UTC)} }

// content gives all records, deleted or not, as text.
func content(t testing.TB, s *Store) map[record.ID]string {
	t.Helper()
	all := map[record.ID]string{}
	for _, kind := range record.Kinds {
		for _, deleted := range []bool{false, true} {
			for _, r := range list(t, s, kind, ListOptions{Deleted: deleted}) {
				var lines []string
				for _, f := range r.Fields {
					lines = append(lines, string(f.Line))
				}
				slices.Sort(lines)
				all[r.ID] = fmt.Sprint(kind, r.Deleted, lines)
			}
		}
	}
	return all
}

// living leaves out what is deleted.
func living(all map[record.ID]string) map[record.ID]string {
	all = maps.Clone(all)
	maps.DeleteFunc(all, func(_ record.ID, text string) bool { return strings.Contains(text, "true [") })
	return all
}

func rollBack(t testing.TB, s *Store, to time.Time, o RollbackOptions) RollbackReport {
	t.Helper()
	var err error
	o.To, err = s.MomentAt(t.Context(), to)
	must(t, err)
	dry := o
	dry.DryRun = true
	var would, did []string
	note := func(list *[]string) func(RollbackChange) error {
		return func(c RollbackChange) error {
			*list = append(*list, fmt.Sprint(c.ID, c.What, c.Keys))
			return nil
		}
	}
	plan, err := s.Rollback(t.Context(), dry, note(&would))
	must(t, err)
	report, err := s.Rollback(t.Context(), o, note(&did))
	must(t, err)
	if plan != report || !slices.Equal(would, did) {
		t.Errorf("dry run %+v, %d changes; run %+v, %d changes", plan, len(would), report, len(did))
	}
	again, err := s.Rollback(t.Context(), o, nil)
	must(t, err)
	if again.Edited+again.Undeleted+again.Deleted > 0 || again.Unknown != report.Unknown {
		t.Errorf("again: %+v after %+v", again, report)
	}
	return report
}

func TestHistoryOfARecord(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	res, err := s.Import(t.Context(), objects(t, "x.vcf", card("a", "Ann", "1")))
	must(t, err)
	id := res[0].ID
	time.Sleep(3 * time.Millisecond)
	setLine(t, s, id, "FN", "FN:Anna")
	time.Sleep(3 * time.Millisecond)
	mustShell(t, dir, "UPDATE contacts SET note = 'n', given_name = 'Other', name = 'Anne'") // one statement: one change
	time.Sleep(3 * time.Millisecond)
	must(t, s.Delete(t.Context(), id))
	time.Sleep(3 * time.Millisecond)
	must(t, s.Undelete(t.Context(), id))
	claim(t, s)
	_, err = s.Mint(t.Context(), record.Contacts, 0, 10, 1<<20, nil) // no change
	must(t, err)
	changes, err := s.History(t.Context(), id)
	must(t, err)
	var got []string
	for _, c := range changes {
		text := c.What
		for _, k := range c.Keys {
			text += fmt.Sprintf(" %s:%v>%v", k.Key, k.Before, k.After)
		}
		got = append(got, text)
	}
	want := []string{"undeleted", "deleted",
		"edited FN:Anna>Anne N:[Ann    ]>[Ann Other   ] NOTE:<nil>>n",
		"edited FN:Ann>Anna", "added "}
	if len(got) != 5 || !slices.Equal(got[:4], want[:4]) || !strings.HasPrefix(got[4], want[4]) {
		t.Errorf("history:\n%s", strings.Join(got, "\n"))
	}
	if _, err := s.History(t.Context(), record.ID{9}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown record: %v", err)
	}
}

// Edits, deletions, additions by commands, apps and other devices are all undone.
func TestRollback(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	c, s := filled(t, dir, 60, Options{Now: clock.now})
	other := openTest(t, t.TempDir(), Options{})
	c.sync(t, other)
	gone := testHasher{}.RecordID(record.Contacts, "h59")
	must(t, s.Delete(t.Context(), gone))
	c.sync(t, s)
	c.sync(t, other)
	must(t, s.SetCloudState(t.Context(), record.Contacts, CloudState{ProvenAt: clock.at}))
	must(t, s.SetCloudState(t.Context(), record.Notes, CloudState{ProvenAt: clock.at}))
	before := content(t, s)
	clock.at = clock.at.Add(time.Hour)
	moment := clock.at
	clock.at = clock.at.Add(time.Hour)

	id := func(i int) record.ID { return testHasher{}.RecordID(record.Contacts, fmt.Sprint("h", i)) }
	must(t, s.Undelete(t.Context(), gone))
	setLine(t, s, gone, "FN", "FN:Back")
	must(t, s.Delete(t.Context(), id(0), id(1)))
	setLine(t, s, id(1), "NOTE", "NOTE:back and edited")
	for i := range 3 {
		setLine(t, s, id(2), "FN", fmt.Sprint("FN:", i))
	}
	must(t, s.Put(t.Context(), record.Notes, record.ID{7}, []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:new")}}))
	setLine(t, other, id(3), "FN", "FN:Elsewhere")
	must(t, other.Delete(t.Context(), id(4)))
	must(t, other.Put(t.Context(), record.Notes, record.ID{8}, []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:elsewhere")}}))
	c.sync(t, other)
	c.sync(t, s)
	c.sync(t, other)
	c.equal(t, s, other)

	clock.at = clock.at.Add(time.Hour)
	undo := clock.at
	clock.at = clock.at.Add(time.Hour)
	report := rollBack(t, s, moment, RollbackOptions{Kind: record.Notes})
	if report != (RollbackReport{Deleted: 2}) {
		t.Errorf("rolled back notes: %+v", report)
	}
	report = rollBack(t, s, moment, RollbackOptions{})
	if report != (RollbackReport{Edited: 3, Undeleted: 2, Deleted: 1}) {
		t.Errorf("rolled back: %+v", report)
	}
	if got := living(content(t, s)); !maps.Equal(got, living(before)) {
		t.Error("not as before")
	}
	c.sync(t, s)
	c.sync(t, other)
	c.equal(t, s, other)
	if got := living(content(t, other)); !maps.Equal(got, living(before)) {
		t.Error("the other device is not rolled back")
	}
	// A rollback can be rolled back.
	clock.at = clock.at.Add(time.Hour)
	if report = rollBack(t, s, undo, RollbackOptions{}); report.Edited+report.Undeleted+report.Deleted != 8 {
		t.Errorf("undone: %+v", report)
	}
}

// All that came after, many records, in several transactions, cut between them.
func TestRollbackOfEverything(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	_, s := filled(t, dir, 700, Options{Now: clock.now})
	before := content(t, s)
	clock.at = clock.at.Add(time.Hour)
	moment, err := s.MomentAt(t.Context(), clock.at)
	must(t, err)
	mustShell(t, dir, "UPDATE contacts SET note = 'gone mad'; DELETE FROM contact_phones; DELETE FROM contacts WHERE name LIKE '%7%'; INSERT INTO notes (title) VALUES ('x')")
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.Rollback(ctx, RollbackOptions{To: moment}, func(RollbackChange) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	part := content(t, s)
	if maps.Equal(part, before) {
		t.Error("the first transaction did everything")
	}
	s = openTest(t, dir, Options{Now: clock.now}) // another process
	report, err := s.Rollback(t.Context(), RollbackOptions{To: moment}, nil)
	must(t, err)
	if n := report.Edited + report.Undeleted + report.Deleted; n != 701-rollbackRecords {
		t.Errorf("the second run: %+v", report)
	}
	if got := living(content(t, s)); !maps.Equal(got, before) {
		t.Error("not as before")
	}
}

// A rollback that deletes many is held, unless a person agreed.
func TestRollbackAndTheBrake(t *testing.T) {
	for _, release := range []bool{false, true} {
		clock := newClock()
		c, s := filled(t, t.TempDir(), 5, Options{Now: clock.now})
		clock.at = clock.at.Add(time.Hour)
		moment := clock.at
		var cards strings.Builder
		for i := range 40 {
			cards.WriteString(card(fmt.Sprint("new", i), "New", fmt.Sprint(i)))
		}
		_, err := s.Import(t.Context(), objects(t, "x.vcf", cards.String()))
		must(t, err)
		c.sync(t, s)
		if r := rollBack(t, s, moment, RollbackOptions{Release: release}); r.Deleted != 40 {
			t.Errorf("rolled back: %+v", r)
		}
		c.sync(t, s)
		want := 40
		if release {
			want = 0
		}
		if n := held(t, s); n != want {
			t.Errorf("%d held, want %d", n, want)
		}
	}
}

// What came with the first sync, or is not kept, is named and left alone.
func TestRollbackNeverGuesses(t *testing.T) {
	clock := newClock()
	c, _ := filled(t, t.TempDir(), 5, Options{})
	s := openTest(t, t.TempDir(), Options{Now: clock.now, HistoryBytes: 4000})
	start := clock.at
	clock.at = clock.at.Add(time.Hour)
	c.sync(t, s)
	must(t, s.SetCloudState(t.Context(), record.Contacts, CloudState{ProvenAt: clock.at}))
	if r := rollBack(t, s, start.Add(time.Minute), RollbackOptions{}); r != (RollbackReport{Unknown: 5}) {
		t.Errorf("before the first sync: %+v", r)
	}
	var begins *HistoryError
	if _, err := s.MomentAt(t.Context(), time.Now().Add(-time.Hour)); !errors.As(err, &begins) {
		t.Errorf("before the history: %v", err)
	}
	// One record is written over and over; another once.
	once, often := testHasher{}.RecordID(record.Contacts, "h1"), testHasher{}.RecordID(record.Contacts, "h2")
	clock.at = clock.at.Add(time.Hour)
	first := clock.at
	setLine(t, s, once, "FN", "FN:Once")
	must(t, s.Delete(t.Context(), often))
	must(t, s.Undelete(t.Context(), often))
	var times []time.Time
	for i := range 100 {
		clock.at = clock.at.Add(time.Minute)
		times = append(times, clock.at)
		setLine(t, s, often, "NOTE", "NOTE:"+strings.Repeat("x", 100+i))
		if i%10 == 0 {
			must(t, s.Maintain(t.Context()))
		}
	}
	must(t, s.Maintain(t.Context()))
	must(t, s.read(t.Context(), func(c *session) error {
		n, err := c.count("SELECT sum(" + historyBytes + ") FROM history")
		if n > 4000 {
			t.Errorf("%d bytes of history", n)
		}
		return err
	}))
	for _, o := range []struct {
		to   time.Time
		want RollbackReport
	}{
		{times[99], RollbackReport{Edited: 1}},
		{times[20], RollbackReport{Unknown: 1}},
		{first, RollbackReport{Edited: 2}},
	} {
		m, err := s.MomentAt(t.Context(), o.to)
		must(t, err)
		if r, err := s.Rollback(t.Context(), RollbackOptions{To: m, DryRun: true}, nil); err != nil || r != o.want {
			t.Errorf("at %s: %+v %v, want %+v", o.to, r, err, o.want)
		}
	}
	rollBack(t, s, first, RollbackOptions{})
	if r, _ := s.Get(t.Context(), often); lineOf(r, "FN") != "FN:Name 2" || lineOf(r, "NOTE") != "" {
		t.Errorf("the oldest state of the window: %+v", r.Fields)
	}
}

// Only running time empties the history; purged records leave nothing in it.
func TestHistoryExpires(t *testing.T) {
	clock := newClock()
	dir := t.TempDir()
	c, s := filled(t, dir, 3, Options{Now: clock.now})
	id := testHasher{}.RecordID(record.Contacts, "h1")
	setLine(t, s, id, "FN", "FN:Secret")
	setLine(t, s, id, "FN", "FN:Other")
	must(t, s.Delete(t.Context(), id))
	clock.at = clock.at.AddDate(60, 0, 0)
	must(t, s.Ran(t.Context(), 29*day))
	must(t, s.Maintain(t.Context()))
	if list, err := s.History(t.Context(), id); err != nil || len(list) != 4 {
		t.Errorf("after 29 days: %+v %v", list, err)
	}
	must(t, s.Ran(t.Context(), 2*day))
	must(t, s.Maintain(t.Context()))
	if list, err := s.History(t.Context(), id); err != nil || len(list) != 0 {
		t.Errorf("after 31 days: %+v %v", list, err)
	}
	c.sync(t, s)
	claim(t, s)
	n, err := s.Expire(t.Context(), 10)
	must(t, err)
	list, err := s.History(t.Context(), id)
	if must(t, err); n != 1 || len(list) != 1 || list[0].What != ChangePurged {
		t.Errorf("purged %d: %+v", n, list)
	}
	wantShell(t, dir, "SELECT count(*) FROM history WHERE doc LIKE '%Other%'", "0")
}

// A purge that comes from elsewhere leaves what the record was while it lived.
func TestHistoryOutlivesAPurgeElsewhere(t *testing.T) {
	clock := newClock()
	c, a := filled(t, t.TempDir(), 3, Options{})
	b := openTest(t, t.TempDir(), Options{Now: clock.now})
	c.sync(t, b)
	before := content(t, b)
	clock.at = clock.at.Add(time.Hour)
	moment := clock.at
	id := testHasher{}.RecordID(record.Contacts, "h1")
	must(t, a.Delete(t.Context(), id))
	c.sync(t, a)
	c.sync(t, b)
	must(t, a.Ran(t.Context(), 31*day))
	claim(t, a)
	_, err := a.Expire(t.Context(), 10)
	must(t, err)
	c.sync(t, a)
	c.sync(t, b)
	if r := rollBack(t, b, moment, RollbackOptions{}); r.Undeleted != 1 {
		t.Errorf("rolled back: %+v", r)
	}
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	if !maps.Equal(living(content(t, a)), before) {
		t.Error("not back everywhere")
	}
}

func TestPictureOutlivesItsReplacement(t *testing.T) {
	clock := newClock()
	s := openTest(t, t.TempDir(), Options{Now: clock.now})
	old := noise(2*ChunkBytes, 2)
	res, err := s.Import(t.Context(), []pim.Object{picture("p", old)})
	must(t, err)
	claim(t, s)
	mintAll(t, s)
	clock.at = clock.at.Add(time.Hour)
	moment := clock.at
	_, err = s.Import(t.Context(), []pim.Object{picture("p", noise(2*ChunkBytes, 3))})
	must(t, err)
	mintAll(t, s)
	must(t, s.Maintain(t.Context()))
	rollBack(t, s, moment, RollbackOptions{})
	r, err := s.Get(t.Context(), res[0].ID)
	must(t, err)
	for _, f := range r.Fields {
		if f.Blob == nil {
			continue
		}
		if data, err := readBlob(s, *f.Blob); err != nil || string(data) != string(old) {
			t.Errorf("picture after the rollback: %v", err)
		}
		return
	}
	t.Error("no picture")
}

// A clock that was wrong for a while moves nothing but its own changes.
func TestMomentsWithAWrongClock(t *testing.T) {
	at := func(list ...int64) []int64 { return list }
	for _, o := range []struct {
		times, want []int64
		now         int64
	}{
		{at(10, 20, 30), at(10, 20, 30), 30},
		{at(10, 20, 1, 2, 30, 40), at(10, 20, 30, 40), 50},
		{at(1, 2, 3, 10, 20), at(10, 20), 50},
		{at(10, 99, 20, 30), at(10, 20, 30), 50},
		{at(10, 70, 80, 90), at(10), 50},
		{at(90), nil, 50},
	} {
		var got []int64
		for _, i := range believed(o.times, 10, o.now) {
			got = append(got, o.times[i])
		}
		if !slices.Equal(got, o.want) {
			t.Errorf("%v: %v, want %v", o.times, got, o.want)
		}
	}

	clock := newClock()
	s := openTest(t, t.TempDir(), Options{Now: clock.now})
	id := record.ID{1}
	var right []time.Time
	for i := range 20 {
		now := clock.at
		switch i {
		case 5:
			clock.at = time.Unix(0, 0)
		case 12:
			clock.at = time.Date(2038, 1, 19, 3, 14, 0, 0, time.UTC)
		}
		must(t, s.Put(t.Context(), record.Notes, id, []record.Field{{Key: "SUMMARY", Line: fmt.Append(nil, "SUMMARY:", i)}}))
		clock.at = now.Add(time.Minute)
		right = append(right, clock.at.Add(-time.Second))
	}
	for i, to := range right {
		m, err := s.MomentAt(t.Context(), to)
		must(t, err)
		unclear, want := 0, i
		switch i {
		case 4, 11: // the change after it has a wrong time
			unclear = 1
		case 5, 12: // its own time is wrong
			unclear, want = 1, i-1
		}
		_, err = s.Rollback(t.Context(), RollbackOptions{To: m}, nil)
		must(t, err)
		r, err := s.Get(t.Context(), id)
		must(t, err)
		if got := lineOf(r, "SUMMARY"); got != fmt.Sprint("SUMMARY:", want) || m.Unclear != unclear {
			t.Errorf("back to %d: %s, unclear %d", i, got, m.Unclear)
		}
	}
	m, err := s.MomentBefore(t.Context(), 6) // the sixth change wrote 5
	must(t, err)
	_, err = s.Rollback(t.Context(), RollbackOptions{To: m}, nil)
	must(t, err)
	if r, _ := s.Get(t.Context(), id); lineOf(r, "SUMMARY") != "SUMMARY:4" {
		t.Errorf("before change 6: %s", lineOf(r, "SUMMARY"))
	}
	if _, err := s.MomentBefore(t.Context(), 1000); !errors.Is(err, ErrNoChange) {
		t.Errorf("change 1000: %v", err)
	}
}

// A program that takes the triggers away makes what it did unknown, not wrong.
func TestHistoryWithoutItsTriggers(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	_, s := filled(t, dir, 3, Options{Now: clock.now})
	id := testHasher{}.RecordID(record.Contacts, "h1")
	clock.at = clock.at.Add(time.Hour)
	moment := clock.at
	setLine(t, s, id, "FN", "FN:Seen")
	mustShell(t, dir, "DROP TRIGGER record_history; UPDATE contacts SET note = 'unseen'")
	must(t, s.checkSchema(t.Context()))
	if r := rollBack(t, s, moment, RollbackOptions{}); r != (RollbackReport{Edited: 1, Unknown: 2}) {
		t.Errorf("rolled back: %+v", r)
	}
	mustShell(t, dir, "DROP TABLE history")
	must(t, s.checkSchema(t.Context()))
	var begins *HistoryError
	if _, err := s.MomentAt(t.Context(), moment); !errors.As(err, &begins) {
		t.Errorf("without the table: %v", err)
	}
}

// testdata/format2.db.gz is a store of format 2: 30 contacts, of which one is
// deleted and one edited since the last sync, and a note. Its history begins
// when it is opened.
func TestHistoryOfOlderFormat(t *testing.T) {
	f, err := os.Open("testdata/format2.db.gz")
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, FileName))
	must(t, err)
	_, err = io.Copy(out, z)
	must(t, err)
	must(t, out.Close())
	s := openTest(t, dir, Options{})
	before := content(t, s)
	if n := len(living(before)); n != 30 {
		t.Fatalf("%d living records", n)
	}
	moment, err := s.MomentAt(t.Context(), time.Now())
	must(t, err)
	time.Sleep(2 * time.Millisecond)
	mustShell(t, dir, "UPDATE contacts SET note = 'new'; DELETE FROM notes")
	if maps.Equal(content(t, s), before) {
		t.Error("nothing changed")
	}
	_, err = s.Rollback(t.Context(), RollbackOptions{To: moment}, nil)
	must(t, err)
	if !maps.Equal(living(content(t, s)), living(before)) {
		t.Error("the rollback to before the first change does not give the records of format 2")
	}
	if _, err := s.MomentAt(t.Context(), time.Now().Add(-time.Hour)); err == nil {
		t.Error("a moment before the migration")
	}
}
