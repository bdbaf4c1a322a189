package sqlitestore

import (
	"bytes"
	"slices"
	"testing"
)

// TestCarvedTables: carving knows the columns of the tables as they are today, in
// their order.
func TestCarvedTables(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range carvedTables {
		var want, got []string
		rows, err := s.readers.Query("SELECT name FROM pragma_table_info('" + carvedTables[i].name + "')")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var n string
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
			want = append(want, n)
		}
		rows.Close()
		for _, c := range bytes.Fields([]byte(carvedTables[i].columns)) {
			name, _, _ := bytes.Cut(c, []byte(":"))
			got = append(got, string(name))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the columns %q, carving knows %q", carvedTables[i].name, want, got)
		}
	}
}
