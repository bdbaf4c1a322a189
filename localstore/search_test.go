package localstore

import (
	"fmt"
	"strings"
	"testing"

	"sidekeep/localstore/record"
)

func titles(t testing.TB, s *Store, text string) string {
	t.Helper()
	recs, err := s.Search(t.Context(), text, 10)
	must(t, err)
	var list []string
	for _, r := range recs {
		list = append(list, r.Title)
	}
	return strings.Join(list, ",")
}

func TestSearch(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	_, err := s.Import(t.Context(), objects(t, "x.vcf", card("a", "Åse Müller", "+45 1234 5678")+card("b", "Bob Mulder", "555")))
	must(t, err)
	check := func(when string) {
		t.Helper()
		for q, want := range map[string]string{"ase": "Åse Müller", "MÜLL": "Åse Müller", "mul bob": "Bob Mulder", "nobody": "", `"*)(`: "", "zed": ""} {
			if got := titles(t, s, q); got != want {
				t.Errorf("%s: search %q gives %q, want %q", when, q, got, want)
			}
		}
	}
	check("stale")
	must(t, s.Maintain(t.Context()))
	if st, err := s.Status(t.Context()); err != nil || st.Stale != 0 {
		t.Errorf("stale after Maintain: %d %v", st.Stale, err)
	}
	check("indexed")

	// A changed record is found by its new text only, before and after indexing.
	id := testHasher{}.RecordID(record.Contacts, "b")
	setLine(t, s, id, "FN", "FN:Zed")
	setLine(t, s, id, "N", "N:Zed;;;;")
	for range 2 {
		if got := titles(t, s, "zed"); got != "Zed" {
			t.Errorf("new text: %q", got)
		}
		if got := titles(t, s, "mulder"); got != "" {
			t.Errorf("old text: %q", got)
		}
		must(t, s.Maintain(t.Context()))
	}
	must(t, s.Delete(t.Context(), id))
	for range 2 {
		if got := titles(t, s, "zed"); got != "" {
			t.Errorf("deleted: %q", got)
		}
		must(t, s.Maintain(t.Context()))
	}

	// Many at once are indexed with their import.
	var b strings.Builder
	for i := range flushRecords {
		b.WriteString(card(fmt.Sprint("m", i), fmt.Sprint("Many ", i), "1"))
	}
	_, err = s.Import(t.Context(), objects(t, "x.vcf", b.String()))
	must(t, err)
	if st, _ := s.Status(t.Context()); st.Stale != 0 {
		t.Errorf("stale after a large import: %d", st.Stale)
	}
	if got := titles(t, s, "many 17"); got != "Many 17" {
		t.Errorf("after a large import: %q", got)
	}
}

func TestCallers(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	_, err := s.Import(t.Context(), objects(t, "x.vcf", card("a", "Ann", "+45 1234-5678")))
	must(t, err)
	query := "SELECT name, digits FROM callers WHERE tail = '2345678'"
	wantShell(t, dir, query, "Ann|+4512345678")
	mustShell(t, dir, "INSERT INTO contacts (id, name) VALUES ('"+id1+"', 'Eve'); INSERT INTO contact_phones (contact_id, number) VALUES ('"+id1+"', '0045 1234 5678')")
	must(t, s.Maintain(t.Context()))
	wantShell(t, dir, "SELECT count(*) FROM callers WHERE tail = '2345678'", "2")
	mustShell(t, dir, "DELETE FROM contacts WHERE name = 'Ann'")
	must(t, s.Maintain(t.Context()))
	wantShell(t, dir, "SELECT name FROM callers", "Eve")
}

func TestSortedAndTimed(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	mustShell(t, dir, `INSERT INTO contacts (given_name, family_name) VALUES ('Zoe', 'Åberg'), ('Ann', 'bee'), ('Al', 'Ček');
 INSERT INTO events (id, title, start, "end") VALUES ('`+id1+`', 'e', '2026-06-01T10:00Z', '2026-06-01T11:00Z')`)
	var got []string
	for _, r := range list(t, s, record.Contacts, ListOptions{}) {
		got = append(got, r.Title)
	}
	if s := strings.Join(got, ","); s != "Zoe Åberg,Ann bee,Al Ček" {
		t.Errorf("order: %s", s)
	}
	wantShell(t, dir, "SELECT name FROM contacts ORDER BY sort LIMIT 1", "Zoe Åberg")
	wantShell(t, dir, "SELECT start_utc, end_utc FROM events WHERE start_utc >= '2026-06-01' AND start_utc < '2026-06-02'", "2026-06-01T10:00:00Z|2026-06-01T11:00:00Z")
}
