package localstore

import (
	"errors"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

const day = 24 * time.Hour

// Only time that the agent ran empties the trash.
func TestTrash(t *testing.T) {
	now := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	c, a := filled(t, t.TempDir(), 5, Options{Now: func() time.Time { return now }})
	b := openTest(t, t.TempDir(), Options{})
	c.sync(t, b)
	id := testHasher{}.RecordID(record.Contacts, "h1")
	must(t, a.Delete(t.Context(), id))
	must(t, a.Put(t.Context(), record.Notes, record.ID{1}, []record.Field{{Key: "A", Line: []byte("A:1")}}))
	must(t, a.Delete(t.Context(), record.ID{1})) // never left the device
	c.sync(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	now = now.Add(1000 * day)
	must(t, a.Ran(t.Context(), 29*day))
	claim(t, a)
	if n, err := a.Expire(t.Context(), 10); err != nil || n != 0 {
		t.Errorf("expired %d %v after 29 days", n, err)
	}
	must(t, a.Ran(t.Context(), -5*day))
	must(t, a.Ran(t.Context(), day))
	claim(t, a)
	n, err := a.Expire(t.Context(), 10)
	must(t, err)
	if n != 2 {
		t.Errorf("expired %d after 30 days", n)
	}
	if n, err := a.Expire(t.Context(), 10); err != nil || n != 0 {
		t.Errorf("expired again: %d %v", n, err)
	}
	if _, err := a.Get(t.Context(), record.ID{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("erased: %v", err)
	}
	c.sync(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	for _, s := range []*Store{a, b} {
		r, err := s.Get(t.Context(), id)
		must(t, err)
		if !r.Deleted || len(r.Fields) != 0 {
			t.Errorf("purged: %+v", r)
		}
		if err := s.Undelete(t.Context(), id); !errors.Is(err, ErrPurged) {
			t.Errorf("undelete of a purged record: %v", err)
		}
		if n := len(list(t, s, record.Contacts, ListOptions{Deleted: true})); n != 0 {
			t.Errorf("%d in the trash", n)
		}
	}
	// It can be written again, whole.
	_, err = b.Import(t.Context(), objects(t, "x.vcf", card("h1", "Again", "1")))
	must(t, err)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	if r, _ := a.Get(t.Context(), id); r.Deleted || lineOf(r, "FN") != "FN:Again" {
		t.Errorf("written again: %+v", r)
	}
}

// The times of an event are one unit: they come from one device, whole.
func TestMergeUnit(t *testing.T) {
	c, a, b := openPair(t)
	ics := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:u\r\nSUMMARY:s\r\nDTSTART:20260101T100000Z\r\nDTEND:20260101T110000Z\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	res, err := a.Import(t.Context(), objects(t, "x.ics", ics))
	must(t, err)
	id := res[0].ID
	c.sync(t, a)
	c.sync(t, b)
	setLine(t, a, id, "DTSTART", "DTSTART:20260102T100000Z")
	must(t, b.Edit(t.Context(), id, func(_ record.Kind, fields []record.Field) ([]record.Field, error) {
		for i := range fields {
			if fields[i].Key == "DTEND" {
				fields[i] = record.Field{Key: "DURATION", Line: []byte("DURATION:PT3H")}
			}
		}
		return fields, nil
	}))
	c.sync(t, a)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	ra, err := a.Get(t.Context(), id)
	must(t, err)
	rb, err := b.Get(t.Context(), id)
	must(t, err)
	for _, r := range []Record{ra, rb} {
		times := lineOf(r, "DTSTART") + " " + lineOf(r, "DTEND") + " " + lineOf(r, "DURATION") + " " + lineOf(r, "RRULE")
		if times != "DTSTART:20260102T100000Z DTEND:20260101T110000Z  RRULE:FREQ=DAILY" && times != "DTSTART:20260101T100000Z  DURATION:PT3H RRULE:FREQ=DAILY" {
			t.Errorf("mixed times: %s", times)
		}
		if len(r.Conflicts) == 0 {
			t.Error("no conflict is shown")
		}
	}
	if !sameFields(ra.Fields, rb.Fields) {
		t.Error("the devices show different times")
	}
	// An edit settles the whole unit.
	setLine(t, a, id, "DTSTART", "DTSTART:20260301T100000Z")
	c.sync(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	if rb, err = b.Get(t.Context(), id); err != nil || len(rb.Conflicts) != 0 || lineOf(rb, "DTSTART") != "DTSTART:20260301T100000Z" {
		t.Errorf("after an edit: %+v %v", rb.Conflicts, err)
	}
}

// A deletion that the cloud has not acknowledged is not purged: the purge would
// count the record's writes as acknowledged.
func TestTrashWaitsForTheAcknowledgement(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	claim(t, s)
	id := record.ID{1}
	mint := func() []Ref {
		out, err := s.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil)
		must(t, err)
		return []Ref{{id, out[0].VersionID}}
	}
	must(t, s.Put(t.Context(), record.Notes, id, []record.Field{{Key: "A", Line: []byte("A:1")}}))
	must(t, s.Acked(t.Context(), mint()))
	must(t, s.Delete(t.Context(), id))
	deleted := mint()
	must(t, s.Ran(t.Context(), 31*24*time.Hour))
	if n, err := s.Expire(t.Context(), 10); err != nil || n != 0 {
		t.Errorf("%d purged before the cloud has the deletion: %v", n, err)
	}
	must(t, s.Acked(t.Context(), deleted))
	if n, err := s.Expire(t.Context(), 10); err != nil || n != 1 {
		t.Errorf("%d purged, want 1: %v", n, err)
	}
}
