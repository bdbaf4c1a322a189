package sqlitestore

import (
	"strings"
	"testing"

	"sidekeep/syncproto/seal"
)

// TestOlderFormatLearnsStatements opens a file as format 2 left it.
func TestOlderFormatLearnsStatements(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a := author(t, s)
	push(t, s, a, 1)
	err := s.do(ctx, 0, func(t *txn) error {
		for _, q := range []string{"DROP TABLE statement", "DROP TABLE known", "ALTER TABLE proof DROP COLUMN agreed",
			"ALTER TABLE proof DROP COLUMN moved", "PRAGMA user_version = 2"} {
			if _, err := t.exec(q); err != nil {
				return err
			}
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir)
	cert := seal.SignCert(a.Root, a.Account, a.Device, 1)
	if err := s.AddStatements(ctx, a.Account, []seal.Statement{{Cert: &cert}}); err != nil {
		t.Fatal(err)
	}
	if all := problems(t, s); len(all) > 0 {
		t.Fatal(all)
	}
	// A statement that rots is not believed, and verify says so.
	err = s.do(ctx, 0, func(t *txn) error {
		_, err := t.exec("UPDATE statement SET body = CAST(substr(body, 1, 100) || CASE substr(body, 101, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(body, 102) AS BLOB)")
		return err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := s.Statements(ctx, a.Account); err != nil || len(list) != 0 {
		t.Errorf("%d statements, %v", len(list), err)
	}
	if all := problems(t, s); len(all) != 1 || !strings.Contains(all[0], "statements") {
		t.Errorf("verify: %q", all)
	}
}
