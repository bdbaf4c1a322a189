package localstore

import (
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// What the cloud told is known again in the next session, until its epoch is
// another one.
func TestWhatTheCloudToldLastsAnEpoch(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	told := func() (e Epoch, c CloudState) {
		t.Helper()
		e, err := s.Epoch(t.Context())
		must(t, err)
		c, err = s.CloudState(t.Context(), record.Notes)
		must(t, err)
		return e, c
	}
	if e, c := told(); e != (Epoch{}) || c != (CloudState{}) {
		t.Errorf("before the first session: %x, %+v", e, c)
	}
	must(t, s.ResetEpoch(t.Context(), Epoch{1}))
	want := CloudState{Digest: rangeset.Digest{Count: 3, Sum: [16]byte{4}}, Epoch: Epoch{1}, Head: 9, ProvenAt: time.Unix(1_800_000_000, 0)}
	must(t, s.SetCloudState(t.Context(), record.Notes, want))
	if e, c := told(); e != want.Epoch || c != want {
		t.Errorf("%x, %+v, want %+v", e, c, want)
	}
	must(t, s.ResetEpoch(t.Context(), Epoch{1}))
	if _, c := told(); c != want {
		t.Errorf("the same epoch again: %+v", c)
	}
	must(t, s.ResetEpoch(t.Context(), Epoch{2}))
	if e, c := told(); e != (Epoch{2}) || c != (CloudState{}) {
		t.Errorf("another epoch: %x, %+v", e, c)
	}
}

// A cursor with a part is kept beside the one of table cloud, which other programs
// read, and is over with the next whole one, with another epoch, or when it makes
// no sense.
func TestCursorWithAPart(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	is := func(when string, seq uint64, part *Ref) {
		t.Helper()
		c, err := s.Cursor(t.Context(), record.Notes)
		must(t, err)
		if c.Seq != seq || (c.Part == nil) != (part == nil) || part != nil && (*c.Part != *part || c.Epoch != Epoch{1}) {
			t.Errorf("%s: %+v, want %d, %v", when, c, seq, part)
		}
	}
	must(t, s.ResetEpoch(t.Context(), Epoch{1}))
	claim(t, s)
	is("before", 0, nil)
	part := Ref{ID: record.ID{7, 15: 9}, VersionID: record.VersionID{8, 15: 3}}
	walk := Cursor{Epoch: Epoch{1}, Seq: 1<<40 + 5, Part: &part}
	if _, err := s.Apply(t.Context(), record.Notes, nil, &walk); err != nil {
		t.Fatal(err)
	}
	is("of a kind of which nothing is here", 0, nil)
	must(t, s.SetCursor(t.Context(), record.Notes, walk))
	is("on the way", 1<<40+5, &part)
	if got := mustShell(t, dir, "SELECT coalesce(max(seq), 0) FROM cloud WHERE kind = 'notes'"); strings.TrimSpace(got) != "0" {
		t.Errorf("to another program it was read up to %s", got)
	}
	s = openTest(t, dir, Options{}) // as another process does
	is("to another process", 1<<40+5, &part)
	part.ID[0]++
	must(t, s.SetCursor(t.Context(), record.Notes, walk))
	is("further on", 1<<40+5, &part)
	must(t, s.SetCursor(t.Context(), record.Notes, Cursor{Epoch: Epoch{1}, Seq: 6}))
	is("at its end", 6, nil)
	must(t, s.SetCursor(t.Context(), record.Contacts, walk))
	must(t, s.ResetEpoch(t.Context(), Epoch{2}))
	if c, err := s.Cursor(t.Context(), record.Contacts); err != nil || c.Part != nil || c.Seq != 0 {
		t.Errorf("in another epoch: %+v, %v", c, err)
	}
	mustShell(t, dir, "INSERT INTO meta VALUES ('walk/notes', x'0102'), ('walk/contacts', 'text'); UPDATE cloud SET seq = 0")
	is("what is none", 0, nil)
	if c, err := s.Cursor(t.Context(), record.Contacts); err != nil || c.Part != nil || c.Seq != 0 {
		t.Errorf("a text: %+v, %v", c, err)
	}
}
