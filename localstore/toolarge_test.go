package localstore

import (
	"fmt"
	"strings"
	"testing"
)

// tooLarge makes a contact of persons too large to be sent, as a program can.
const tooLarge = `UPDATE record SET doc = (SELECT json_group_object(key, value) FROM (SELECT key, value FROM json_each(record.doc)
 UNION ALL SELECT 'X-' || value, 'v' FROM (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < 5000) SELECT value FROM c))) WHERE id = '%s'`

// A record that a program made too large to be sent does not stop what comes,
// whatever else is the matter with it; and what came into it is there, on both
// devices, once it is small again.
func TestTooLargeRecordStopsNothing(t *testing.T) {
	for _, then := range []string{
		"", "DELETE FROM contacts", "UPDATE contacts SET name = '', note = '', job_title = ''",
		"DELETE FROM contacts; UPDATE record SET deleted = 0, trashed = NULL",
	} {
		t.Run(then, func(t *testing.T) {
			dir := t.TempDir()
			c, a := persons(t, dir, 40, Options{})
			b := openTest(t, t.TempDir(), Options{})
			c.sync(t, b)
			wantShell(t, dir, fmt.Sprintf(tooLarge, personID(0)), "")
			if then != "" {
				wantShell(t, dir, then, "")
			}
			c.sync(t, a)
			for i := range 3 {
				setLine(t, b, personID(0), "ROLE", fmt.Sprint("ROLE:newer ", i))
				setLine(t, b, personID(1), "ROLE", fmt.Sprint("ROLE:newer ", i))
				c.sync(t, b)
				c.sync(t, a)
			}
			_, err := a.RejectHeld(t.Context(), "")
			must(t, err)
			verify(t, a)
			wantShell(t, dir, fmt.Sprintf("UPDATE record SET doc = (SELECT json_group_object(key, value) FROM json_each(record.doc) WHERE key NOT GLOB 'X-*') WHERE id = '%s'", personID(0)), "")
			for range 2 {
				c.sync(t, a)
				c.sync(t, b)
			}
			for _, s := range []*Store{a, b} {
				r, err := s.Get(t.Context(), personID(0))
				must(t, err)
				var lines []string
				for _, f := range r.Fields {
					lines = append(lines, string(f.Line))
				}
				if text := strings.Join(lines, " "); !strings.Contains(text, "ROLE:newer 2") {
					t.Errorf("what came is lost: %s", text)
				}
			}
		})
	}
}

// Nearly too large to be sent is no reason not to bring a record back.
func TestRejectBringsLargeRecordsBack(t *testing.T) {
	dir := t.TempDir()
	c, a := persons(t, dir, 40, Options{})
	large := strings.NewReplacer("'v'", "'"+strings.Repeat("v", 34)+"'", "5000", "4000").Replace(tooLarge)
	wantShell(t, dir, fmt.Sprintf(large, personID(0)), "")
	c.sync(t, a)
	was, err := a.Version(t.Context(), personID(0))
	must(t, err)
	if len(was.Version.Fields) < 4000 {
		t.Fatalf("%d fields were sent", len(was.Version.Fields))
	}
	wantShell(t, dir, `UPDATE record SET doc = '{"FN":"x"}', par = NULL WHERE kind = 'contacts'`, "")
	c.sync(t, a)
	n, err := a.RejectHeld(t.Context(), "")
	must(t, err)
	c.sync(t, a)
	is, err := a.Version(t.Context(), personID(0))
	must(t, err)
	if n != 40 || len(is.Version.Fields) < 4000 {
		t.Errorf("%d came back, one with %d fields", n, len(is.Version.Fields))
	}
}
