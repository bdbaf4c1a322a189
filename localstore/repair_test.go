package localstore

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sidekeep/localstore/record"
)

func problems(t testing.TB, s *Store) string {
	t.Helper()
	st, err := s.Status(t.Context())
	must(t, err)
	var b strings.Builder
	for _, p := range st.Problems {
		b.WriteString(p.Code + ": " + p.Text + "\n")
	}
	return b.String()
}

// A program adds a deleting trigger, drops views, indexes and triggers.
func TestCase21EvilTrigger(t *testing.T) {
	dir := t.TempDir()
	c, s := filled(t, dir, 30, Options{})
	mustShell(t, dir, `CREATE TRIGGER evil AFTER UPDATE ON record BEGIN UPDATE record SET deleted = 1; END;
 CREATE TRIGGER "od""d" INSTEAD OF UPDATE ON tasks BEGIN SELECT 1; END;
 CREATE UNIQUE INDEX evil_index ON record (kind, deleted, n);
 DROP VIEW contacts; CREATE VIEW contacts AS SELECT 1 AS id; DROP INDEX record_list; DROP TRIGGER record_guard_delete;
 DROP VIEW notes; CREATE TABLE notes (title); INSERT INTO notes VALUES ('kept'); CREATE TABLE my_own (a); CREATE VIEW my_view AS SELECT 1; PRAGMA application_id = 7; PRAGMA user_version = 9;`)
	must(t, s.write(t.Context(), false, func(tx *tx) error { // the shell lacks the options of our FTS5 table
		_, err := tx.conn.ExecContext(t.Context(), "DROP TABLE fulltext")
		return err
	}))
	must(t, s.checkSchema(t.Context()))
	verify(t, s)
	got := problems(t, s)
	for _, want := range []string{"foreign trigger evil", `foreign trigger od"d`, "foreign index evil_index", "view contacts again", "index record_list again", "trigger record_guard_delete again", "table fulltext again", "trigger contacts_insert again"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not reported in\n%s", want, got)
		}
	}
	if n := len(list(t, s, record.Contacts, ListOptions{})); n != 30 {
		t.Errorf("%d records live", n)
	}
	must(t, s.Maintain(t.Context()))
	if titles(t, s, "name 7") != "Name 7" {
		t.Error("search after repair")
	}
	wantShell(t, dir, "SELECT count(*) FROM notes", "0")
	wantShell(t, dir, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'foreign_notes_*'", "1")
	wantShell(t, dir, "SELECT count(*) FROM my_own, my_view", "0")
	c.sync(t, s)
	c.equal(t, s)
}

func TestSchemaIsRepairedWhenWatched(t *testing.T) {
	dir := t.TempDir()
	_, s := filled(t, dir, 3, Options{})
	wake := s.Wake()
	<-wake
	mustShell(t, dir, "CREATE TRIGGER evil AFTER UPDATE ON record BEGIN DELETE FROM dirty; END;")
	for range 50 {
		<-wake
		if strings.Contains(problems(t, s), "foreign trigger evil") {
			return
		}
	}
	t.Error("not repaired")
}

// Missing rows and tables are damage, never deletion: the cloud gives them back.
func TestDroppedTables(t *testing.T) {
	dir := t.TempDir()
	c, s := filled(t, dir, 30, Options{})
	want := c.digest(record.Contacts)
	mustShell(t, dir, "DROP TABLE record; DROP TABLE digest; DROP TABLE outbox; DROP TABLE chunk; DROP TABLE peer; DROP TABLE meta;")
	must(t, s.checkSchema(t.Context()))
	verify(t, s)
	c.sync(t, s)
	c.equal(t, s)
	if !want.Equal(c.digest(record.Contacts)) || len(list(t, s, record.Contacts, ListOptions{})) != 30 {
		t.Error("records are missing")
	}
}

// A write past the triggers is found by verify; its content is kept and goes out.
func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	c, s := filled(t, dir, 3, Options{})
	other := openTest(t, t.TempDir(), Options{})
	c.sync(t, other)
	mustShell(t, dir, `DROP TRIGGER record_before_image; UPDATE record SET doc = json_set(doc, '$.FN', 'Unseen') WHERE id = '`+testHasher{}.RecordID(record.Contacts, "h1").String()+`'`)
	r, err := s.Verify(t.Context(), nil)
	must(t, err)
	if all := strings.Join(r.Damage, "\n"); !strings.Contains(all, "its content is not that of its version") || !strings.Contains(all, "schema") {
		t.Errorf("verify: %s", all)
	}
	must(t, s.checkSchema(t.Context()))
	c.sync(t, s)
	c.sync(t, other)
	c.sync(t, s)
	c.equal(t, s, other)
	rec, err := other.Get(t.Context(), testHasher{}.RecordID(record.Contacts, "h1"))
	must(t, err)
	found := false
	for _, k := range rec.Conflicts {
		for _, sib := range k.Siblings {
			found = found || string(sib.Field.Line) == "FN:Unseen"
		}
	}
	if !found && lineOf(rec, "FN") != "FN:Unseen" {
		t.Errorf("the unseen write is lost: %+v", rec)
	}
}

func TestDigestRecount(t *testing.T) {
	dir := t.TempDir()
	_, s := filled(t, dir, 3, Options{})
	mustShell(t, dir, "UPDATE digest SET count = 17")
	if r, _ := s.Verify(t.Context(), nil); len(r.Damage) != 1 {
		t.Errorf("verify: %v", r.Damage)
	}
	if differed, err := s.Recount(t.Context(), record.Contacts); err != nil || !differed {
		t.Errorf("recount: %v %v", differed, err)
	}
	if differed, err := s.Recount(t.Context(), record.Contacts); err != nil || differed {
		t.Errorf("second recount: %v %v", differed, err)
	}
}

func TestOtherFormats(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	must(t, s.Close())
	mustShell(t, dir, fmt.Sprintf("INSERT INTO erase VALUES (-1); UPDATE meta SET value = %d WHERE key = 'format'; DELETE FROM erase", formatVersion+1))
	_, err = Open(t.Context(), dir, Options{Hasher: testHasher{}})
	var newer *NewerFormatError
	if !errors.As(err, &newer) || newer.Have != formatVersion+1 || newer.Know != formatVersion {
		t.Errorf("newer format: %v", err)
	}
	wantShell(t, dir, "SELECT count(*) FROM record", "0") // untouched

	alien := t.TempDir()
	mustShell(t, alien, "CREATE TABLE a (b)")
	if _, err = Open(t.Context(), alien, Options{Hasher: testHasher{}}); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("another program's file: %v", err)
	}
	wantShell(t, alien, "SELECT count(*) FROM sqlite_schema", "1")
}

func TestPragmas(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	for pragma, want := range map[string]int{"page_size": 2048, "synchronous": 2, "busy_timeout": 10000, "trusted_schema": 0, "application_id": applicationID} {
		must(t, s.read(t.Context(), func(c *session) error {
			n, err := c.count("PRAGMA " + pragma)
			if n != want {
				t.Errorf("reader: %s is %d", pragma, n)
			}
			return err
		}))
		must(t, s.write(t.Context(), false, func(tx *tx) error {
			n, err := tx.count("PRAGMA " + pragma)
			if n != want {
				t.Errorf("writer: %s is %d", pragma, n)
			}
			return err
		}))
	}
	if err := s.read(t.Context(), func(c *session) error { return c.exec("DELETE FROM meta") }); err == nil {
		t.Error("a reader can write")
	}
	// A lazy commit leaves the connection as it was.
	must(t, s.write(t.Context(), true, func(*tx) error { return nil }))
	must(t, s.write(t.Context(), false, func(tx *tx) error {
		if n, _ := tx.count("PRAGMA synchronous"); n != synchronousFull {
			t.Errorf("synchronous is %d after a lazy commit", n)
		}
		return nil
	}))
}

// A full disk gives a clean error, and nothing that was there is lost.
func TestFull(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	must(t, s.Put(t.Context(), record.Notes, record.ID{1}, []record.Field{{Key: "A", Line: []byte("A:1")}}))
	claim(t, s)
	limit := func(pages int) {
		must(t, s.lock(t.Context()))
		defer s.unlock()
		_, err := s.writer.conn.ExecContext(t.Context(), "PRAGMA max_page_count = "+fmt.Sprint(pages))
		must(t, err)
	}
	limit(100)
	var err error
	n := 0
	for ; err == nil && n < 500; n++ {
		err = s.Put(t.Context(), record.Notes, record.ID{2, byte(n), byte(n >> 8)}, []record.Field{{Key: "A", Line: []byte("A:" + strings.Repeat("x", 1000))}})
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d: %v", n, err)
	}
	_, err = s.Mint(t.Context(), record.Notes, 0, 500, 1<<20, nil)
	if err != nil && !errors.Is(err, ErrFull) {
		t.Errorf("mint: %v", err)
	}
	verify(t, s)
	limit(100000)
	out, err := s.Mint(t.Context(), record.Notes, 0, 500, 1<<20, nil)
	must(t, err)
	if len(out) != n {
		t.Errorf("%d records went out, %d were stored", len(out), n)
	}
}

func TestPathWithOddCharacters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20'ø")
	s := openTest(t, dir, Options{})
	must(t, s.Put(t.Context(), record.Notes, record.ID{1}, nil))
	wantShell(t, dir, "SELECT count(*) FROM notes", "1")
}

// TestSchemaSum has the sum that a schema is known by follow the schema files.
func TestSchemaSum(t *testing.T) {
	want, err := wantedObjects()
	if err != nil {
		t.Fatal(err)
	}
	if got := sumOf(want); got != schemaSum {
		t.Errorf("the objects of the schema files have the sum %s, schemaSum is %s", got, schemaSum)
	}
	slices.Reverse(want)
	if sumOf(want) != schemaSum {
		t.Error("the sum depends on the order of the objects")
	}
	for i := range want {
		o := want[i]
		want[i].sql += " "
		if sumOf(want) == schemaSum {
			t.Errorf("a change of the %s %s is not seen", o.kind, o.name)
		}
		want[i] = o
	}
	if sumOf(append(want, object{"table", "of_an_app", "of_an_app", "CREATE TABLE of_an_app (x)"})) == schemaSum {
		t.Error("an added table is not seen")
	}
}
