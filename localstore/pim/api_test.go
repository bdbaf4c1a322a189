package pim_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// importText imports a file given as text with LF line ends.
func importText(t *testing.T, name, text string) ([]pim.Object, pim.Report) {
	t.Helper()
	var objs []pim.Object
	report, err := pim.Import(name, strings.NewReader(text), func(o pim.Object) error {
		objs = append(objs, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return objs, report
}

func line(fields []record.Field, key string) string {
	for _, f := range fields {
		if f.Key == key {
			return string(f.Line)
		}
	}
	return "<none>"
}

func keysOf(fields []record.Field) (keys []string) {
	for _, f := range fields {
		keys = append(keys, f.Key)
	}
	return keys
}

// id is the tests' stand-in for the account's keyed hash of a UID.
func id(kind record.Kind, uid string) (id record.ID) {
	copy(id[:], fmt.Sprintf("%x", []byte(string(kind)+uid)))
	h := 0
	for i := range len(uid) {
		h = h*31 + int(uid[i])
	}
	copy(id[8:], fmt.Sprintf("%08x", uint32(h)))
	return id
}

func named(kind record.Kind, uid string, of record.ID) bool { return id(kind, uid) == of }

func TestIdentity(t *testing.T) {
	a := "BEGIN:VCARD\nVERSION:3.0\nFN:Jo\nREV:1\nEND:VCARD\n"
	b := "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:J\r\n o\r\nREV:2\r\nEND:VCARD\r\n"
	c := "BEGIN:VCARD\nVERSION:3.0\nFN:Jo\nTEL:1\nEND:VCARD\n"
	uid := func(text string) string {
		objs, _ := importText(t, "x.vcf", text)
		if !objs[0].ByContent {
			t.Errorf("%q: identity not by content", text)
		}
		return objs[0].UID
	}
	if uid(a) != uid(b) {
		t.Error("line ends, folding and REV change the identity of a card without UID")
	}
	if uid(a) == uid(c) {
		t.Error("different cards without UID have one identity")
	}
	twice, report := importText(t, "x.vcf", a+a)
	if len(twice) != 2 || twice[0].UID == twice[1].UID || twice[0].UID != uid(a) || report.Repaired != 0 {
		t.Errorf("a card that stands twice: %+v", twice)
	}
	var buf bytes.Buffer
	err := pim.Export(&buf, record.Contacts, func(yield func(pim.Item, error) bool) {
		_ = yield(pim.Item{ID: id(record.Contacts, twice[0].UID), Fields: twice[0].Fields}, nil) &&
			yield(pim.Item{ID: id(record.Contacts, twice[1].UID), Fields: twice[1].Fields}, nil)
	}, pim.ExportOptions{Named: named})
	if out := strings.ReplaceAll(buf.String(), "\r\n", "\n"); err != nil || out != a+a {
		t.Errorf("a card that stands twice is exported as %q: %v", out, err)
	}
	own, ok := pim.OwnID("sidekeep-000102030405060708090a0b0c0d0e0f")
	if !ok || own.String() != "000102030405060708090a0b0c0d0e0f" {
		t.Errorf("own UID: %v %v", own, ok)
	}
	for _, s := range []string{"", "sidekeep-", "sidekeep-000102030405060708090A0B0C0D0E0F", "sidekeep-00", "x-000102030405060708090a0b0c0d0e0f"} {
		if _, ok := pim.OwnID(s); ok {
			t.Errorf("%q is taken for our own UID", s)
		}
	}
}

// TestExportUID: an untouched record goes out as it came, an edited or new one
// without UID gets the one that leads back to it.
func TestExportUID(t *testing.T) {
	objs, _ := importText(t, "x.ics", "BEGIN:VEVENT\nDTSTART:20260101T100000Z\nSUMMARY:No UID\nEND:VEVENT\n")
	o := objs[0]
	rid := id(o.Kind, o.UID)
	export := func(fields []record.Field, rid record.ID) string {
		var buf bytes.Buffer
		err := pim.Export(&buf, o.Kind, func(yield func(pim.Item, error) bool) { yield(pim.Item{ID: rid, Fields: fields}, nil) },
			pim.ExportOptions{Named: named, Stamp: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		return buf.String()
	}
	if out := export(o.Fields, rid); strings.Contains(out, "UID:") || strings.Contains(out, "DTSTAMP") {
		t.Errorf("untouched record was added to:\n%s", out)
	}
	edited, err := pim.Apply(o.Kind, o.Fields, "title", "Edited")
	if err != nil {
		t.Fatal(err)
	}
	out := export(edited, rid)
	again, _ := importText(t, "x.ics", out)
	if back, ok := pim.OwnID(again[0].UID); !ok || back != rid {
		t.Errorf("edited record comes back as %q:\n%s", again[0].UID, out)
	}
	made, err := pim.NewFields(record.Events, map[string]string{"title": "Made here", "start": "2026-11-22T09:30"})
	if err != nil {
		t.Fatal(err)
	}
	want := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//sidekeep//sidekeep//EN\r\nBEGIN:VEVENT\r\nUID:sidekeep-" + rid.String() +
		"\r\nDTSTAMP:20261122T093000Z\r\nSUMMARY:Made here\r\nDTSTART:20261122T093000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	if out := export(made, rid); out != want {
		t.Errorf("made here:\n%s", out)
	}
}

// TestExportTogether: one calendar head, each time zone once, another calendar
// for other heads and for another zone of the same name.
func TestExportTogether(t *testing.T) {
	zone := func(offset string) string {
		return "BEGIN:VTIMEZONE\nTZID:Z\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:" + offset + "\nTZOFFSETTO:" + offset + "\nEND:STANDARD\nEND:VTIMEZONE\n"
	}
	event := func(uid string) string {
		return "BEGIN:VEVENT\nUID:" + uid + "\nDTSTAMP:20260101T000000Z\nDTSTART;TZID=Z:20260101T100000\nEND:VEVENT\n"
	}
	var all []pim.Object
	for _, text := range []string{
		"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:a\n" + zone("+0100") + event("1") + event("2") + "END:VCALENDAR\n",
		"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:a\n" + zone("+0200") + event("3") + "END:VCALENDAR\n",
		"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:b\n" + zone("+0100") + event("4") + "END:VCALENDAR\n",
		event("5"),
	} {
		objs, _ := importText(t, "x.ics", text)
		all = append(all, objs...)
	}
	out := string(exportAll(t, blobStore{}, record.Events, all))
	for what, n := range map[string]int{"BEGIN:VCALENDAR": 4, "BEGIN:VTIMEZONE": 3, "BEGIN:VEVENT": 5, "PRODID:a": 2} {
		if got := strings.Count(out, what); got != n {
			t.Errorf("%s stands %d times, want %d:\n%s", what, got, n, out)
		}
	}
	starts := map[string]string{}
	again, _ := importText(t, "x.ics", out)
	for _, o := range again {
		starts[o.UID] = pim.ColumnsOf(o.Kind, o.Fields).Start
	}
	want := map[string]string{"1": "2026-01-01T09:00:00Z", "2": "2026-01-01T09:00:00Z", "3": "2026-01-01T08:00:00Z", "4": "2026-01-01T09:00:00Z", "5": "2026-01-01T10:00:00Z"}
	if fmt.Sprint(starts) != fmt.Sprint(want) {
		t.Errorf("times are %v, want %v", starts, want)
	}
}

// TestMergeOverrides: an event that another file has only an override of keeps
// its main component.
func TestMergeOverrides(t *testing.T) {
	import1 := func(path string) pim.Object {
		var first pim.Object
		_, err := pim.ImportFile(path, func(o pim.Object) error {
			if o.Kind == record.Events && o.UID == "weekly" {
				first = o
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	stored, more := import1("testdata/calendar.ics"), import1("testdata/override-only.ics")
	if stored.UID != more.UID {
		t.Fatal("not the same event")
	}
	merged := pim.Merge(record.Events, stored.Fields, more.Fields)
	for _, f := range stored.Fields {
		if line(merged, f.Key) != string(f.Line) {
			t.Errorf("%s was %q, is %q", f.Key, f.Line, line(merged, f.Key))
		}
	}
	if line(merged, "@20260803T070000Z/SUMMARY") != "SUMMARY:Weekly (one more)" || len(merged) != len(stored.Fields)+5 {
		t.Errorf("merged: %q", keysOf(merged))
	}
	// The same override again, changed, replaces just itself.
	changed := slices.Clone(more.Fields)
	changed[len(changed)-1].Line = []byte("SUMMARY:Weekly (changed)")
	again := pim.Merge(record.Events, merged, changed)
	if line(again, "@20260803T070000Z/SUMMARY") != "SUMMARY:Weekly (changed)" || len(again) != len(merged) {
		t.Errorf("merged again: %q", keysOf(again))
	}
	// And the whole event replaces everything.
	if whole := pim.Merge(record.Events, again, stored.Fields); len(whole) != len(stored.Fields) {
		t.Errorf("whole event: %q", keysOf(whole))
	}
}

func TestPair(t *testing.T) {
	f := func(key, line string) record.Field { return record.Field{Key: key, Line: []byte(line)} }
	old := []record.Field{
		f("FN", "FN:Jo"), f("TEL.aaaaa", "TEL;TYPE=HOME:1"), f("TEL.bbbbb", "TEL;TYPE=CELL:2"), f("TEL.ccccc", "TEL;TYPE=WORK:3"),
		f("NOTE", "NOTE:first"), f("NOTE.ddddd", "NOTE:second"), f("VALARM.eeeee/TRIGGER", "TRIGGER:-PT5M"), f("VALARM.fffff/TRIGGER", "TRIGGER:-PT10M"),
	}
	fresh := []record.Field{
		f("FN", "FN:Jo Doe"),
		f("TEL.x1", "TEL;TYPE=WORK:3"), // moved up, exact
		f("TEL.x2", "TEL;TYPE=cell:2"), // other spelling, same value
		f("TEL.x3", "TEL;TYPE=HOME:9"), // other value, same type
		f("TEL.x4", "TEL;TYPE=FAX:4"),  // new
		f("NOTE", "NOTE:second"),       // the first note is gone
		f("VALARM.x5/TRIGGER", "TRIGGER:-PT10M"),
		f("VALARM.x6/TRIGGER", "TRIGGER:-PT1H"),
	}
	got := keysOf(pim.Pair(record.Contacts, old, fresh))
	want := []string{"FN", "TEL.ccccc", "TEL.bbbbb", "TEL.aaaaa", "TEL.x4", "NOTE.ddddd", "VALARM.fffff/TRIGGER", "VALARM.eeeee/TRIGGER"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if fresh[1].Key != "TEL.x1" {
		t.Error("pairing changed its argument")
	}
}

func TestUnits(t *testing.T) {
	for key, want := range map[string]string{
		"DTSTART": "DTSTART", "DTEND": "DTSTART", "DURATION": "DTSTART", "DUE": "DTSTART", "RRULE": "DTSTART", "EXDATE.abcde": "DTSTART",
		"@20260101T000000/DTEND": "@20260101T000000/DTSTART", "VALARM.aaaaa/DURATION": "VALARM.aaaaa/DTSTART", "SUMMARY": "SUMMARY",
	} {
		if got := pim.Unit(record.Events, key); got != want {
			t.Errorf("unit of %s is %s, want %s", key, got, want)
		}
	}
	if pim.Unit(record.Contacts, "DUE") != "DUE" {
		t.Error("contacts have no times")
	}
	for _, key := range []string{"REV", "DTSTAMP", "@x/SEQUENCE", "VCALENDAR/PRODID", "LAST-MODIFIED"} {
		if !pim.NeverConflicts(key) {
			t.Errorf("%s can conflict", key)
		}
	}
	if pim.NeverConflicts("SUMMARY") || pim.NeverConflicts("TEL.rev") {
		t.Error("a person's field never conflicts")
	}
}

func TestApply(t *testing.T) {
	fields, err := pim.NewFields(record.Contacts, map[string]string{
		"name": "Ann Mary Doe", "phone": "+45 1", "phone+2": "+45 2", "email": "a@example.com", "org": "Example\\; Inc;Research",
		"birthday": "--0229", "address": "Main St 1;Town;;1234;Country", "note": "one\ntwo, three", "X-ABLABEL": "label", "mobile": "3",
	})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range fields {
		lines = append(lines, string(f.Line))
	}
	want := []string{"VERSION:3.0", "FN:Ann Mary Doe", "N:Doe;Ann Mary;;;", "TEL:+45 1", "TEL:+45 2", "TEL;TYPE=CELL:3", "EMAIL:a@example.com",
		"ADR:;;Main St 1;Town;;1234;Country", "ORG:Example\\; Inc;Research", "BDAY:--0229", "NOTE:one\\ntwo\\, three", "X-ABLABEL:label"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q\nwant %q", lines, want)
	}
	cell, err := pim.Apply(record.Contacts, fields, "mobile", "33")
	if err != nil || len(cell) != len(fields) || line(cell, fields[5].Key) != "TEL;TYPE=CELL:33" {
		t.Errorf("mobile: %v %q", err, keysOf(cell))
	}
	if gone, err := pim.Apply(record.Contacts, fields, "note", ""); err != nil || line(gone, "NOTE") != "<none>" {
		t.Errorf("remove: %v", err)
	}
	for _, c := range []struct {
		kind       record.Kind
		key, value string
		err        error
	}{
		{record.Contacts, "shoe-size", "43", pim.ErrKey},
		{record.Contacts, "!deleted", "1", pim.ErrKey},
		{record.Contacts, "", "1", pim.ErrKey},
		{record.Contacts, "A B", "1", pim.ErrKey},
		{record.Contacts, "birthday", "yesterday", pim.ErrValue},
		{record.Events, "start", "2026-13-01", pim.ErrValue},
		{record.Events, "start", "2026-11-22T09:30 Nowhere/Land", pim.ErrValue},
		{record.Tasks, "priority", "10", pim.ErrValue},
		{record.Pictures, "place", "91,0", pim.ErrValue},
		{record.Events, "RRULE", "FREQ=DAILY\nATTENDEE:x", pim.ErrValue},
	} {
		if _, err := pim.Apply(c.kind, nil, c.key, c.value); !errors.Is(err, c.err) || c.value != "" && c.value != "1" && strings.Contains(err.Error(), c.value) {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
		}
	}
}

func TestApplyTimes(t *testing.T) {
	for value, want := range map[string]string{
		"2026-11-22":                     "DTSTART;VALUE=DATE:20261122",
		"2026-11-22T09:30":               "DTSTART:20261122T093000",
		"2026-11-22 09:30":               "DTSTART:20261122T093000",
		"2026-11-22T09:30:15":            "DTSTART:20261122T093015",
		"2026-11-22T09:30Z":              "DTSTART:20261122T093000Z",
		"2026-11-22T09:30+01:00":         "DTSTART:20261122T083000Z",
		"2026-11-22T09:30 Europe/Berlin": "DTSTART;TZID=Europe/Berlin:20261122T093000",
		"2026-11-22 09:30 Europe/Berlin": "DTSTART;TZID=Europe/Berlin:20261122T093000",
		"20261122T093000":                "DTSTART:20261122T093000",
	} {
		fields, err := pim.NewFields(record.Events, map[string]string{"start": value})
		if err != nil || line(fields, "DTSTART") != want {
			t.Errorf("%s: %q %v", value, line(fields, "DTSTART"), err)
		}
	}
	zoned := []record.Field{{Key: "DTSTART", Line: []byte("DTSTART;TZID=Europe/Berlin:20261122T093000")}}
	moved, err := pim.Apply(record.Events, zoned, "start", "2026-11-23T10:00")
	if err != nil || line(moved, "DTSTART") != "DTSTART;TZID=Europe/Berlin:20261123T100000" {
		t.Errorf("a wall time lost its zone: %q %v", line(moved, "DTSTART"), err)
	}
	done, err := pim.NewFields(record.Tasks, map[string]string{"title": "x", "done": "2026-11-22T09:30Z"})
	if err != nil || line(done, "STATUS") != "STATUS:COMPLETED" || line(done, "COMPLETED") != "COMPLETED:20261122T093000Z" {
		t.Errorf("done: %q %v", keysOf(done), err)
	}
	undone, err := pim.Apply(record.Tasks, done, "done", "no")
	if err != nil || line(undone, "STATUS") != "STATUS:NEEDS-ACTION" || line(undone, "COMPLETED") != "<none>" {
		t.Errorf("undone: %q %v", keysOf(undone), err)
	}
}

// TestApplyOldCard: on a vCard 2.1 what needs an escape is quoted-printable.
func TestApplyOldCard(t *testing.T) {
	var card pim.Object
	if _, err := pim.ImportFile("testdata/phone21.vcf", func(o pim.Object) error { card = o; return nil }); err != nil {
		t.Fatal(err)
	}
	fields, err := pim.Apply(record.Contacts, card.Fields, "title", "Chef, Køkken")
	if err != nil || line(fields, "TITLE") != "TITLE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Chef, K=C3=B8kken" {
		t.Errorf("%q %v", line(fields, "TITLE"), err)
	}
	fields, err = pim.Apply(record.Contacts, card.Fields, "name", "Ægir 김")
	if err != nil || line(fields, "FN") != "FN;CHARSET=UTF-8:Ægir 김" && line(fields, "FN") != "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=86gir =EA=B9=80" {
		t.Errorf("%q %v", line(fields, "FN"), err)
	}
	value, _ := pim.Decode(record.Contacts, "FN", []byte(line(fields, "FN")))
	if value != "Ægir 김" {
		t.Errorf("the name reads %q", value)
	}
}

func TestFolder(t *testing.T) {
	for _, name := range []string{"list.md", "letter.txt"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		objs, _ := importText(t, name, string(raw))
		item := pim.Item{ID: record.ID{1}, Fields: objs[0].Fields}
		var out bytes.Buffer
		if err := pim.ExportFile(&out, record.Notes, item, pim.ExportOptions{Named: named}); err != nil || out.String() != string(raw) {
			t.Errorf("%s became %q: %v", name, out.String(), err)
		}
		if got := pim.FileName(record.Notes, item); got != "01"+strings.Repeat("0", 30)+filepath.Ext(name) {
			t.Errorf("%s: file name %s", name, got)
		}
	}
}

func TestImportErrors(t *testing.T) {
	none := func(pim.Object) error { return nil }
	if _, err := pim.Import("x.exe", strings.NewReader("MZ"), none); !errors.Is(err, pim.ErrUnknownFormat) {
		t.Errorf("unknown format: %v", err)
	}
	if _, err := pim.ImportFile("testdata/absent.vcf", none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	stop := errors.New("full")
	n := 0
	_, err := pim.ImportFile("testdata/broken.vcf", func(pim.Object) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("emit's error: %v after %d", err, n)
	}
	for text, want := range map[string]int{"": 1, "a\x00b": 1, "   \n": 1} {
		if objs, report := importText(t, "x.txt", text); len(objs) != 0 || report.Refused != want {
			t.Errorf("%q: %+v", text, report)
		}
	}
	if err := pim.Export(io.Discard, record.Contacts, func(yield func(pim.Item, error) bool) {
		yield(pim.Item{Fields: []record.Field{{Key: "PHOTO", Line: []byte("PHOTO:"), Blob: &record.Blob{Size: 3}}}}, nil)
	}, pim.ExportOptions{}); err == nil {
		t.Error("a blob was exported without being opened")
	}
}
