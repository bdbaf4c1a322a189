package localstore

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

// shell runs SQL in the stock sqlite3 shell, another process with another SQLite.
func shell(t testing.TB, dir, sql string) (string, error) {
	t.Helper()
	exe, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3 shell on this machine")
	}
	cmd := exec.Command(exe, "-bail", "-cmd", ".timeout 5000", filepath.Join(dir, FileName))
	cmd.Stdin = strings.NewReader("PRAGMA synchronous=FULL;\n" + sql)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustShell(t testing.TB, dir, sql string) string {
	t.Helper()
	out, err := shell(t, dir, sql)
	if err != nil {
		t.Fatalf("sqlite3: %v: %s\n%s", err, out, sql)
	}
	return out
}

const (
	id1 = "00000000000000000000000000000001"
	id2 = "00000000000000000000000000000002"
)

func getText(t testing.TB, s *Store, id string) Record {
	t.Helper()
	parsed, err := record.ParseID(id)
	must(t, err)
	r, err := s.Get(context.Background(), parsed)
	must(t, err)
	return r
}

func wantLine(t testing.TB, r Record, key, want string) {
	t.Helper()
	if got := lineOf(r, key); got != want {
		t.Errorf("%s of %s: %q, want %q", key, r.Kind, got, want)
	}
}

func wantShell(t testing.TB, dir, sql, want string) {
	t.Helper()
	if got := mustShell(t, dir, sql); got != want {
		t.Errorf("%s\n got %q\nwant %q", sql, got, want)
	}
}

func TestShellContacts(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	mustShell(t, dir, `INSERT INTO contacts (id, given_name, family_name, organisation, birthday, note)
 VALUES ('`+id1+`', 'Ann', 'Bee', 'Acme; Sales, North', '1970-02-03', 'two
lines');
 INSERT INTO contact_phones (contact_id, number, type) VALUES ('`+id1+`', '+45 1234 5678', 'cell,pref');
 INSERT INTO contact_phones (contact_id, number) VALUES ('`+id1+`', '555');
 INSERT INTO contact_emails (contact_id, address, type) VALUES ('`+id1+`', 'a@example.org', 'home');
 INSERT INTO contact_addresses (contact_id, street, city, postal_code) VALUES ('`+id1+`', 'Road 1', 'Town', '9000');`)
	r := getText(t, s, id1)
	wantLine(t, r, "FN", "FN:Ann Bee")
	wantLine(t, r, "N", "N:Bee;Ann;;;")
	wantLine(t, r, "ORG", `ORG:Acme;Sales\, North`)
	wantLine(t, r, "BDAY", "BDAY:1970-02-03")
	wantLine(t, r, "NOTE", `NOTE:two\nlines`)
	wantShell(t, dir, "SELECT name, given_name, family_name, organisation, birthday FROM contacts", "Ann Bee|Ann|Bee|Acme; Sales, North|1970-02-03")
	wantShell(t, dir, "SELECT number, type FROM contact_phones ORDER BY number", "+45 1234 5678|cell,pref\n555|")
	wantShell(t, dir, "SELECT address, type FROM contact_emails", "a@example.org|home")
	wantShell(t, dir, "SELECT street, city, postal_code, country FROM contact_addresses", "Road 1|Town|9000|")

	mustShell(t, dir, `UPDATE contacts SET family_name = 'Cee', note = NULL WHERE id = '`+id1+`';
 UPDATE contact_phones SET number = '556' WHERE number = '555';
 UPDATE contact_phones SET type = 'work' WHERE number LIKE '+45%';
 UPDATE contact_emails SET address = 'b@example.org';
 UPDATE contact_addresses SET country = 'DK', street = 'Road 2';`)
	r = getText(t, s, id1)
	wantLine(t, r, "FN", "FN:Ann Bee") // N is another line
	wantLine(t, r, "N", "N:Cee;Ann;;;")
	wantLine(t, r, "NOTE", "")
	var lines []string
	for _, f := range r.Fields {
		lines = append(lines, string(f.Line))
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{"TEL;TYPE=work:+45 1234 5678", "TEL:556", "EMAIL;TYPE=home:b@example.org", "ADR:;;Road 2;Town;;9000;DK"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among\n%s", want, all)
		}
	}
	mustShell(t, dir, "DELETE FROM contact_phones WHERE number = '556'; DELETE FROM contact_emails; DELETE FROM contact_addresses; DELETE FROM contacts;")
	if r = getText(t, s, id1); !r.Deleted || len(r.Fields) != 6 {
		t.Errorf("after DELETE: %+v", r)
	}
}

func TestShellKeepsWhatWasNotEdited(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	in := "BEGIN:VCARD\r\nVERSION:2.1\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=85se\r\nN:x;y\r\nUID:q\r\nitem1.TEL;HOME;X-ODD=\"a;b\":1\r\nBDAY:19800102\r\nEND:VCARD\r\n"
	res, err := s.Import(t.Context(), objects(t, "x.vcf", in))
	must(t, err)
	id := res[0].ID.String()
	before := getText(t, s, id)
	wantShell(t, dir, "SELECT name, birthday FROM contacts", "Åse|1980-01-02")
	mustShell(t, dir, "UPDATE contacts SET note = 'n'")
	after := getText(t, s, id)
	for _, f := range before.Fields {
		wantLine(t, after, f.Key, string(f.Line))
	}
	mustShell(t, dir, "UPDATE contacts SET name = 'Øre'; UPDATE contact_phones SET number = '2'")
	after = getText(t, s, id)
	wantLine(t, after, "FN", "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=98re")
	if !strings.HasPrefix(lineOf(after, "TEL."+tagOf(after, "TEL.")), "item1.TEL;HOME;X-ODD=\"a;b\":2") {
		t.Errorf("phone: %q", lineOf(after, "TEL."+tagOf(after, "TEL.")))
	}
}

func tagOf(r Record, prefix string) string {
	for _, f := range r.Fields {
		if tag, ok := strings.CutPrefix(f.Key, prefix); ok {
			return tag
		}
	}
	return ""
}

func TestShellCalendar(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	mustShell(t, dir, `INSERT INTO events (id, title, start, "end", place, rule, time_zone) VALUES ('`+id1+`', 'Meet', '2026-11-22T09:30', '2026-11-22 10:00:30', 'Room', 'FREQ=WEEKLY', 'Europe/Berlin');
 INSERT INTO events (id, title, start, all_day) VALUES ('`+id2+`', 'Day', '2026-12-01', 1);`)
	r := getText(t, s, id1)
	wantLine(t, r, "DTSTART", "DTSTART;TZID=Europe/Berlin:20261122T093000")
	wantLine(t, r, "DTEND", "DTEND;TZID=Europe/Berlin:20261122T100030")
	wantLine(t, r, "RRULE", "RRULE:FREQ=WEEKLY")
	wantLine(t, getText(t, s, id2), "DTSTART", "DTSTART;VALUE=DATE:20261201")
	wantShell(t, dir, `SELECT title, start, "end", all_day, time_zone, place, rule FROM events ORDER BY start`,
		"Meet|2026-11-22T09:30|2026-11-22T10:00:30|0|Europe/Berlin|Room|FREQ=WEEKLY\nDay|2026-12-01||1|||")
	mustShell(t, dir, `UPDATE events SET start = '2026-11-22T08:00', "end" = '2026-11-22T11:00Z', rule = NULL WHERE id = '`+id1+`';
 UPDATE events SET start = '2026-12-02T10:00:00Z', all_day = 0 WHERE id = '`+id2+`'`)
	r = getText(t, s, id1)
	wantLine(t, r, "DTSTART", "DTSTART;TZID=Europe/Berlin:20261122T080000")
	wantLine(t, r, "DTEND", "DTEND:20261122T110000Z")
	wantLine(t, r, "RRULE", "")
	wantLine(t, getText(t, s, id2), "DTSTART", "DTSTART:20261202T100000Z")
	mustShell(t, dir, `DELETE FROM events WHERE id = '`+id1+`'`)

	mustShell(t, dir, `INSERT INTO tasks (title, due, priority) VALUES ('Buy', '2026-11-30', 1)`)
	wantShell(t, dir, "SELECT title, due, done, priority FROM tasks", "Buy|2026-11-30|0|1")
	mustShell(t, dir, "UPDATE tasks SET done = 1, priority = NULL")
	wantShell(t, dir, "SELECT done, priority FROM tasks", "1|")
	mustShell(t, dir, "UPDATE tasks SET done = 0, note = 'n', due = '2026-12-01T08:00'")
	tasks := list(t, s, record.Tasks, ListOptions{})
	wantLine(t, tasks[0], "DUE", "DUE:20261201T080000")
	wantLine(t, tasks[0], "STATUS", "STATUS:NEEDS-ACTION")
	wantLine(t, tasks[0], "COMPLETED", "")
	mustShell(t, dir, "DELETE FROM tasks")
	wantShell(t, dir, "SELECT count(*) FROM tasks", "0")
}

func TestShellNotesAndPictures(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	mustShell(t, dir, "INSERT INTO notes (title, body) VALUES ('T', 'B'); UPDATE notes SET body = 'C; D'")
	notes := list(t, s, record.Notes, ListOptions{})
	wantLine(t, notes[0], "DESCRIPTION", `DESCRIPTION:C\; D`)
	mustShell(t, dir, "DELETE FROM notes")

	id, err := s.NewID()
	must(t, err)
	must(t, s.Put(t.Context(), record.Pictures, id, []record.Field{
		{Key: "SUMMARY", Line: []byte("SUMMARY:Sea")}, {Key: "DTSTART", Line: []byte("DTSTART:20200102T030405")},
		{Key: "X-WIDTH", Line: []byte("X-WIDTH:640")}, {Key: "ATTACH", Line: []byte("ATTACH;FMTTYPE=image/png;SIZE=3;FILENAME=a.png:"), Blob: &record.Blob{Size: 3, Chunks: []record.ChunkID{testHasher{}.ChunkID([]byte("abc"))}}},
	}))
	wantShell(t, dir, "SELECT name, type, taken, size, width, height FROM pictures", "Sea|image/png|2020-01-02T03:04:05|3|640|")
	mustShell(t, dir, "UPDATE pictures SET name = 'Lake', taken = '2020-01-03T00:00', place = '57.05;9.92'")
	r, err := s.Get(t.Context(), id)
	must(t, err)
	wantLine(t, r, "SUMMARY", "SUMMARY:Lake")
	wantLine(t, r, "DTSTART", "DTSTART:20200103T000000")
	if r.Fields[3].Blob == nil {
		t.Error("the picture lost its bytes")
	}
	must(t, s.PutChunks(t.Context(), []Chunk{{r.Fields[3].Blob.Chunks[0], []byte("abc")}}))
	mustShell(t, dir, "DELETE FROM pictures")
}

func TestShellRefusals(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	mustShell(t, dir, `INSERT INTO contacts (id, name) VALUES ('`+id1+`', 'A'); INSERT INTO events (title, start) VALUES ('E', '2026-01-01'); INSERT INTO tasks (title) VALUES ('T');
 INSERT INTO notes (title) SELECT 'N'`)
	for sql, want := range map[string]string{
		`INSERT INTO contacts (note) VALUES ('x')`:                                                  "a contact needs a name",
		`INSERT INTO contacts (id, name) VALUES ('17', 'x')`:                                        "32 hexadecimal digits",
		`INSERT INTO contacts (id, name) VALUES ('` + id1 + `', 'x')`:                               "exists already",
		`INSERT OR REPLACE INTO contacts (id, name) VALUES ('` + id1 + `', 'x')`:                    "exists already",
		`UPDATE contacts SET id = '` + id2 + `'`:                                                    "can not be changed",
		`UPDATE contacts SET birthday = 'soon'`:                                                     "YYYY-MM-DD",
		`INSERT INTO contact_phones (contact_id, number) VALUES ('` + id2 + `', '1')`:               "there is no contact",
		`INSERT INTO contact_phones (contact_id) VALUES ('` + id1 + `')`:                            "the number is missing",
		`INSERT INTO contact_emails (contact_id, address, type) VALUES ('` + id1 + `', 'a', 'x:y')`: "type must be words",
		`INSERT INTO events (title) VALUES ('x')`:                                                   "needs a start",
		`INSERT INTO events (start) VALUES ('tomorrow')`:                                            "YYYY-MM-DDTHH:MM",
		`UPDATE events SET start = NULL`:                                                            "needs a start",
		`UPDATE events SET rule = 'weekly'`:                                                         "recurrence rule",
		`UPDATE tasks SET priority = 11`:                                                            "from 0 to 9",
		`INSERT INTO pictures (name) VALUES ('x')`:                                                  "sidekeep import",
		`INSERT INTO notes (title) VALUES (NULL)`:                                                   "needs a title or a body",
		`UPDATE notes SET body = printf('%.300000c', 'x')`:                                          "too large",
		`DELETE FROM record`:                                                                        "through the views",
		`UPDATE record SET kind = 'x'`:                                                              "can not be changed",
		`UPDATE record SET doc = 'no json'`:                                                         "CHECK constraint",
	} {
		out, err := shell(t, dir, sql)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v %q, want %q", sql, err, out, want)
		}
	}
	verify(t, s)
}

// A change by another process is noticed, and travels.
func TestShellWakesAndSyncs(t *testing.T) {
	c := &testCloud{}
	dir := t.TempDir()
	a, b := openTest(t, dir, Options{}), openTest(t, t.TempDir(), Options{})
	wake := a.Wake()
	drain := func() {
		for {
			select {
			case <-wake:
			case <-time.After(100 * time.Millisecond):
				return
			}
		}
	}
	drain()
	start := time.Now()
	mustShell(t, dir, `INSERT INTO contacts (id, name) VALUES ('`+id1+`', 'Shell')`)
	select {
	case <-wake:
		t.Logf("noticed after %v", time.Since(start))
	case <-time.After(5 * time.Second):
		t.Fatal("a commit of another process was not noticed")
	}
	c.sync(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	wantLine(t, getText(t, b, id1), "FN", "FN:Shell")
	drain()
	select {
	case <-wake:
		t.Error("woken at rest")
	case <-time.After(200 * time.Millisecond):
	}
	mustShell(t, dir, "UPDATE contacts SET name = CAST(x'41ff42' AS TEXT)")
	c.sync(t, a)
	c.sync(t, b)
	wantLine(t, getText(t, b, id1), "FN", "FN:A\uFFFDB")
}
