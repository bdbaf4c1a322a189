package localstore

import (
	"fmt"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

func importOne(t testing.TB, s *Store, name, text string) ImportResult {
	t.Helper()
	res, err := s.Import(t.Context(), objects(t, name, text))
	must(t, err)
	if len(res) != 1 {
		t.Fatalf("%d objects", len(res))
	}
	return res[0]
}

func wantResult(t testing.TB, got ImportResult, outcome Outcome, deleted, undeleted bool) {
	t.Helper()
	if got.Outcome != outcome || got.Deleted != deleted || got.Undeleted != undeleted {
		t.Errorf("%+v, want %s, deleted %v, undeleted %v", got, outcome, deleted, undeleted)
	}
}

// What was imported before changes nothing: not what a person edited since, and
// not what was deleted.
func TestImportAgainKeepsEdits(t *testing.T) {
	for _, c := range []struct{ name, file, text, key, line string }{
		{"by UID", "x.vcf", card("a", "Ann", "1"), "FN", "FN:Annie"},
		{"by content", "x.txt", "Title\n\nbody\n", "SUMMARY", "SUMMARY:Other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openTest(t, t.TempDir(), Options{})
			r := importOne(t, s, c.file, c.text)
			setLine(t, s, r.ID, c.key, c.line)
			wantResult(t, importOne(t, s, c.file, c.text), Unchanged, false, false)
			rec, err := s.Get(t.Context(), r.ID)
			must(t, err)
			wantLine(t, rec, c.key, c.line)
			must(t, s.Delete(t.Context(), r.ID))
			wantResult(t, importOne(t, s, c.file, c.text), Unchanged, true, false)
			if rec, err = s.Get(t.Context(), r.ID); err != nil || !rec.Deleted {
				t.Errorf("the same file brought it back: %v", err)
			}
		})
	}
	s := openTest(t, t.TempDir(), Options{})
	r := importOne(t, s, "x.vcf", card("a", "Ann", "1"))
	wantResult(t, importOne(t, s, "x.vcf", card("a", "Ann", "2")), Changed, false, false)
	must(t, s.Delete(t.Context(), r.ID))
	wantResult(t, importOne(t, s, "x.vcf", card("a", "Ann", "1")), Unchanged, true, false)
	wantResult(t, importOne(t, s, "x.vcf", card("a", "Ann", "3")), Changed, false, true)
}

// A record from another device, edited there, is not replaced by the file that
// it began as; a newer revision replaces it.
func TestImportOnAnotherDevice(t *testing.T) {
	c, a, b := openPair(t)
	text := func(rev, name string) string {
		return strings.Replace(card("a", name, "1"), "END:", "REV:"+rev+"\r\nEND:", 1)
	}
	r := importOne(t, a, "x.vcf", text("20260101T000000Z", "Ann"))
	setLine(t, a, r.ID, "FN", "FN:Annie")
	c.sync(t, a)
	c.sync(t, b)
	wantResult(t, importOne(t, b, "x.vcf", text("20260101T000000Z", "Ann")), Unchanged, false, false)
	wantResult(t, importOne(t, b, "x.vcf", text("2025-01-01T00:00:00Z", "Old")), Unchanged, false, false)
	rec, err := b.Get(t.Context(), r.ID)
	must(t, err)
	wantLine(t, rec, "FN", "FN:Annie")
	wantResult(t, importOne(t, b, "x.vcf", text("20260201T000000Z", "New")), Changed, false, false)
}

// Overrides and the event that they belong to can come in any order.
func TestImportCompletesEvents(t *testing.T) {
	event := func(lines string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:u\r\n" + lines + "END:VEVENT\r\nEND:VCALENDAR\r\n"
	}
	files := []string{
		event("DTSTART:20260101T100000Z\r\nRRULE:FREQ=DAILY\r\nSUMMARY:main\r\n"),
		event("RECURRENCE-ID:20260102T100000Z\r\nDTSTART:20260102T110000Z\r\nSUMMARY:one\r\n"),
		event("RECURRENCE-ID:20260103T100000Z\r\nDTSTART:20260103T110000Z\r\nSUMMARY:two\r\n"),
	}
	for _, order := range [][]int{{0, 1, 2}, {1, 2, 0}, {1, 0, 2}} {
		s := openTest(t, t.TempDir(), Options{})
		for range 2 {
			var run pim.Run
			for _, i := range order {
				o := objects(t, "x.ics", files[i])
				if why := run.Take(fmt.Sprint(i), &o[0]); why != "" {
					t.Errorf("%v: %s", order, why)
				}
				_, err := s.Import(t.Context(), o)
				must(t, err)
			}
			all := list(t, s, record.Events, ListOptions{})
			if len(all) != 1 {
				t.Fatalf("%v: %d records", order, len(all))
			}
			text := ""
			for _, f := range getText(t, s, all[0].ID.String()).Fields {
				text += string(f.Line) + "\n"
			}
			for _, want := range []string{"SUMMARY:main", "SUMMARY:one", "SUMMARY:two"} {
				if strings.Count(text, want) != 1 {
					t.Errorf("%v: %s in\n%s", order, want, text)
				}
			}
		}
	}
}

// One UID in several files of one import: revisions are one record, the newest;
// other things are records of their own. Doing it again, in another order too,
// changes nothing.
func TestImportOneUIDInSeveralFiles(t *testing.T) {
	rev := func(rev, name string) string {
		return strings.Replace(card("r", name, "1"), "END:", "REV:"+rev+"\r\nEND:", 1)
	}
	files := []string{card("a", "Ann", "1"), card("a", "Bob", "2"), card("a", "Bob", "2"),
		rev("20260102T000000Z", "Newer"), rev("20260101T000000Z", "Older"), rev("20260103T000000Z", "Newest")}
	reasons := []string{"", "its UID stands in 0 too", "its UID stands in 0 too", "", "an older revision", "a newer revision"}
	s := openTest(t, t.TempDir(), Options{})
	for round, order := range [][]int{{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}} {
		var run pim.Run
		for _, i := range order {
			o := objects(t, "x.vcf", files[i])
			why := run.Take(fmt.Sprint(i), &o[0])
			if round == 0 && (!strings.HasPrefix(why, reasons[i]) || (why == "") != (reasons[i] == "")) {
				t.Errorf("file %d: %q", i, why)
			}
			res, err := s.Import(t.Context(), o)
			must(t, err)
			if round > 0 && res[0].Outcome != Unchanged {
				t.Errorf("round %d, file %d: %s", round, i, res[0].Outcome)
			}
		}
		names := ""
		for _, r := range list(t, s, record.Contacts, ListOptions{}) {
			names += r.Title + " "
		}
		if names != "Ann Bob Newest " {
			t.Errorf("round %d: %s", round, names)
		}
	}
}

// A text too large for a column is not replaced by what a program makes of the
// empty column; other columns stay writable.
func TestShellLargeText(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	big := strings.Repeat("0123456789\n", 14000)
	r := importOne(t, s, "x.md", "# Big\n\n"+big)
	before := getText(t, s, r.ID.String())
	for _, set := range []string{"body = body || 'x'", "body = replace(body, 'a', 'b')", "body = NULL", "title = 't', body = 'x'"} {
		if out, err := shell(t, dir, "UPDATE notes SET "+set); err == nil || !strings.Contains(out, "too large for the column body: use sidekeep set") {
			t.Errorf("%s: %v %s", set, err, out)
		}
	}
	mustShell(t, dir, "UPDATE notes SET title = 'Other'")
	after := getText(t, s, r.ID.String())
	wantLine(t, after, "SUMMARY", "SUMMARY:Other")
	i, j := fieldAt(before, "DESCRIPTION"), fieldAt(after, "DESCRIPTION")
	if i < 0 || j < 0 || before.Fields[i].Blob == nil || !before.Fields[i].Blob.Equal(after.Fields[j].Blob) {
		t.Error("the large text was lost")
	}
	data, err := readBlob(s, *after.Fields[j].Blob)
	must(t, err)
	if !strings.Contains(string(data), "0123456789") {
		t.Error("the large text differs")
	}
	// What is written through the view stays readable, up to the limit of a record.
	mustShell(t, dir, `INSERT INTO notes (id, title, body) VALUES ('`+id1+`', 'long', printf('%.*c', 200000, 'y'));
 INSERT INTO notes (id, title, body) VALUES ('`+id2+`', 'empty', '');`)
	claim(t, s)
	_, err = s.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil)
	must(t, err)
	wantShell(t, dir, "SELECT length(body) FROM notes WHERE id = '"+id1+"'", "200000")
	mustShell(t, dir, "UPDATE notes SET body = body || 'x' WHERE id IN ('"+id1+"', '"+id2+"')")
	wantShell(t, dir, "SELECT length(body) FROM notes WHERE title <> 'Other' ORDER BY title", "1\n200001")

	// Empty components, and cards with other large values, are not taken for large texts.
	r = importOne(t, s, "x.vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:n\r\nFN:\r\nN:;;;;\r\nNOTE;CHARSET=X:"+strings.Repeat("z", 120000)+"\r\nEND:VCARD\r\n")
	mustShell(t, dir, "UPDATE contacts SET name = 'a', family_name = 'b' WHERE id = '"+r.ID.String()+"'")
	if out, err := shell(t, dir, "UPDATE contacts SET note = note || 'x'"); err == nil {
		t.Errorf("note: %s", out)
	}
}

func fieldAt(r Record, key string) int {
	for i := range r.Fields {
		if r.Fields[i].Key == key {
			return i
		}
	}
	return -1
}

func TestShellRefusesMore(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	mustShell(t, dir, `INSERT INTO events (id, title, start, "end") VALUES ('`+id1+`', 'e', '2026-01-01T10:00', '2026-01-01T11:00');
 INSERT INTO tasks (id, title, done) VALUES ('`+id2+`', 't', '0');
 INSERT INTO contacts (name, birthday) VALUES ('leap', '--02-29'), ('day', '1980-02-29');`)
	for sql, want := range map[string]string{
		"INSERT INTO contacts (name, birthday) VALUES ('x', '1980-02-30')":                    "birthday",
		"INSERT INTO contacts (name, birthday) VALUES ('x', '--02-31')":                       "birthday",
		"INSERT INTO contacts (name, sort) VALUES ('x', 'y')":                                 "sort is filled",
		"INSERT INTO tasks (title, due_utc) VALUES ('x', '2026-01-01')":                       "due_utc is filled",
		"INSERT INTO events (title, start) VALUES ('x', '2026-02-30')":                        "start is not a day",
		"UPDATE events SET \"end\" = '2026-02-30T10:00'":                                      "end is not a day",
		"INSERT INTO tasks (title, due) VALUES ('x', '2026-04-31')":                           "due is not a day",
		"INSERT INTO events (title, start, \"end\") VALUES ('x', '2026-01-02', '2026-01-01')": "end is before start",
		"UPDATE events SET start = '2026-01-01T12:00'":                                        "end is before start",
		"INSERT INTO events (title, start, all_day) VALUES ('x', '2026-01-02T10:00', 1)":      "has no time",
		"UPDATE events SET all_day = 1":                                                       "has no time",
		"INSERT INTO tasks (title, done) VALUES ('x', '2')":                                   "done must be",
		"UPDATE meta SET value = 9 WHERE key = 'format'":                                      "changed by sidekeep alone",
		"INSERT OR REPLACE INTO meta VALUES ('format', 9)":                                    "changed by sidekeep alone",
		"DELETE FROM meta": "changed by sidekeep alone",
	} {
		if out, err := shell(t, dir, sql); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v %s", sql, err, out)
		}
	}
	mustShell(t, dir, `UPDATE tasks SET done = '1'; UPDATE events SET start = '2026-01-01', "end" = '2026-01-03', all_day = 1;`)
	wantShell(t, dir, "SELECT done FROM tasks", "1")
	wantLine(t, getText(t, s, id2), "STATUS", "STATUS:COMPLETED")
	wantShell(t, dir, `SELECT start, "end", all_day FROM events`, "2026-01-01|2026-01-03|1")
}

// FN and N are two lines: an UPDATE of one leaves the other as it is.
func TestShellNamesAreTwoLines(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	mustShell(t, dir, "INSERT INTO contacts (id, given_name, family_name) VALUES ('"+id1+"', 'Ann', 'Bee')")
	wantLine(t, getText(t, s, id1), "FN", "FN:Ann Bee")
	mustShell(t, dir, "UPDATE contacts SET given_name = 'Eva'")
	wantLine(t, getText(t, s, id1), "FN", "FN:Ann Bee")
	wantLine(t, getText(t, s, id1), "N", "N:Bee;Eva;;;")
	mustShell(t, dir, "UPDATE contacts SET name = 'X'")
	wantLine(t, getText(t, s, id1), "N", "N:Bee;Eva;;;")
	r := importOne(t, s, "x.vcf", "BEGIN:VCARD\r\nVERSION:2.1\r\nN:B;A\r\nEND:VCARD\r\n")
	mustShell(t, dir, "UPDATE contacts SET given_name = 'C' WHERE id = '"+r.ID.String()+"'")
	wantLine(t, getText(t, s, r.ID.String()), "FN", "")
}
