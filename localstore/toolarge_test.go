package localstore

import (
	"fmt"
	"testing"

	"sidekeep/localstore/record"
)

// A record that a program made too large to be sent does not stop what comes,
// whatever else is the matter with it.
func TestTooLargeRecordStopsNothing(t *testing.T) {
	const large = `UPDATE record SET doc = (SELECT json_group_object(key, value) FROM (SELECT key, value FROM json_each(record.doc)
 UNION ALL SELECT 'X-' || value, 'v' FROM (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < 5000) SELECT value FROM c))) WHERE id = '%s'`
	for _, then := range []string{"", "DELETE FROM contacts", "UPDATE contacts SET name = '', note = '', job_title = ''", "DELETE FROM contacts; UPDATE contacts_trash SET deleted = 0"} {
		t.Run(then, func(t *testing.T) {
			dir := t.TempDir()
			c, a := persons(t, dir, 40, Options{})
			b := openTest(t, t.TempDir(), Options{})
			c.sync(t, b)
			if out, err := shell(t, dir, fmt.Sprintf(large, personID(0))); err != nil {
				t.Fatal(out, err)
			}
			if then != "" {
				shell(t, dir, then)
			}
			claim(t, a)
			_, err := a.Mint(t.Context(), record.Contacts, 0, 500, 1<<20, nil)
			must(t, err)
			for i := range 3 {
				setLine(t, b, personID(0), "NOTE", fmt.Sprint("NOTE:newer ", i))
				setLine(t, b, personID(1), "NOTE", fmt.Sprint("NOTE:newer ", i))
				c.sync(t, b)
				c.sync(t, a)
			}
			verify(t, a)
		})
	}
}
