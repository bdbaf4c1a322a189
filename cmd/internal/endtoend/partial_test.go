package endtoend

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/record"
)

// cloudSQL runs statements on a cloud's file, as a fault or an operator does.
func cloudSQL(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "cloud.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func cloudCount(t *testing.T, dir, query string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "cloud.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const flipBody = "SET body = CAST(substr(body, 1, length(body) - 1) || (CASE substr(body, -1) WHEN x'00' THEN x'01' ELSE x'00' END) AS BLOB)"

// TestPartialLossIsFilled: part of what a cloud holds is gone or damaged, same
// file, same epoch; devices fill it.
func TestPartialLossIsFilled(t *testing.T) {
	for _, c := range []struct {
		name string
		sql  []string
	}{
		{"one kind", []string{"DELETE FROM version WHERE kind = 'contacts'"}},
		{"one kind without a trace", []string{"DELETE FROM version WHERE kind = 'contacts'", "DELETE FROM kind WHERE kind = 'contacts'"}},
		{"a tenth of the rows", []string{"DELETE FROM version WHERE seq % 10 = 3"}},
		{"half of the chunks", []string{"DELETE FROM chunk WHERE rowid % 2 = 0"}},
		{"all chunks", []string{"DELETE FROM chunk"}},
		{"flipped chunks", []string{"UPDATE chunk " + flipBody + " WHERE rowid % 3 = 0"}},
		{"flipped versions", []string{"UPDATE version " + flipBody + " WHERE seq % 5 = 0"}},
		{"flipped headers", []string{"UPDATE version SET header = CAST(substr(header, 1, length(header) - 3) || x'ffffff' AS BLOB) WHERE seq % 5 = 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
			for i := range 40 {
				a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
				b.add(record.Notes, fmt.Sprintf("note-%d", i), "SUMMARY", fmt.Sprintf("Note %d", i))
			}
			picture := a.picture("beach", 500_000)
			settle(a, b)
			a.remove("contact-7")
			settle(a, b)

			cloud.Stop()
			cloudSQL(t, cloud.Dir, c.sql...)
			if c.name[:7] == "flipped" {
				// The operator's tool finds it before the start.
				s, err := sqlitestore.Open(t.Context(), cloud.Dir, sqlitestore.Options{ReadOnly: true})
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				if _, err := s.Verify(t.Context(), func(cloudstore.Problem) { n++ }); err != nil || n == 0 {
					t.Errorf("verify found %d, %v", n, err)
				}
				s.Close()
			}
			cloud = cloud.Restart()
			if c.name[:7] == "flipped" {
				account := person.secret.Account()
				if _, err := cloud.Store.Repair(t.Context(), account, func(int) error { return nil }, func(cloudstore.Problem) {}); err != nil {
					t.Fatal(err)
				}
				if n := cloudCount(t, cloud.Dir, "SELECT count(*) FROM quarantine"); n == 0 {
					t.Error("nothing was kept for forensics")
				}
			}
			a.sync()
			b.sync()
			x := person.join(t, "x", cloud.URL)
			x.sync()
			same(t, a, b, x)
			sameBytes(t, "picture on x", x.pictureBytes("beach"), picture)
			if !x.get("contact-7").Deleted {
				t.Error("a deleted record came back")
			}
			if n := cloudCount(t, cloud.Dir, "SELECT count(*) FROM version WHERE kind = 'contacts'"); n != 40 {
				t.Errorf("the cloud holds %d contacts", n)
			}
		})
	}
}

// restoring waits until a device's status says so of a kind, or no longer.
func (d *device) restoring(kind record.Kind, want bool) {
	d.t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, err := d.agent.Status(d.t.Context())
		if err != nil {
			d.t.Fatal(err)
		}
		k := s.Kinds[kind]
		if k.Restoring == want && (want || k.InSync) {
			if want && k.InSync {
				d.t.Errorf("%s: in sync with what is being restored", d.name)
			}
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("%s: restoring is not %v: %+v", d.name, want, s)
		}
	}
}

// TestKindThatIsBeingRestored: a kind that the operator declares not to be
// complete is neither pulled as empty, nor reseeded, nor called in sync; edits go
// up; when it is whole again all goes on at once.
func TestKindThatIsBeingRestored(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	for i := range 20 {
		a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
	}
	a.add(record.Notes, "n", "SUMMARY", "note")
	settle(a, b)
	cloud.Stop()
	cloudSQL(t, cloud.Dir, "CREATE TABLE saved AS SELECT * FROM version WHERE kind = 'contacts'",
		"DELETE FROM version WHERE kind = 'contacts'", "DELETE FROM kind WHERE kind = 'contacts'")
	if err := sqlitestore.SetRestoring(t.Context(), cloud.Dir, nil, record.Contacts, true); err != nil {
		t.Fatal(err)
	}
	cloud = cloud.Restart()

	if err := a.trySync(20 * time.Second); !errors.Is(err, agent.ErrRestoring) || !errors.Is(err, agent.ErrNotInSync) {
		t.Errorf("sync while the cloud is being restored: %v", err)
	}
	if n := cloudCount(t, cloud.Dir, "SELECT count(*) FROM version WHERE kind = 'contacts'"); n != 0 {
		t.Errorf("%d contacts were given back", n)
	}
	a.run()
	b.run()
	a.restoring(record.Contacts, true)
	b.restoring(record.Contacts, true)
	fresh := person.join(t, "fresh", cloud.URL)
	fresh.run()
	fresh.restoring(record.Contacts, true)
	// An edit goes up meanwhile, and reaches the others.
	a.set("contact-3", "NOTE", "edited meanwhile")
	b.has("contact-3", "NOTE:edited", 10*time.Second)
	a.set("n", "SUMMARY", "another kind goes on")
	b.has("n", "SUMMARY:another", 10*time.Second)

	// The operator brings the rows back, and says so, to the running cloud.
	cloudSQL(t, cloud.Dir, "INSERT INTO version SELECT * FROM saved WHERE record NOT IN (SELECT record FROM version WHERE kind = 'contacts') AND seq NOT IN (SELECT seq FROM version)", "DROP TABLE saved")
	account := person.secret.Account()
	if _, err := cloud.Store.Repair(t.Context(), account, func(int) error { return nil }, func(cloudstore.Problem) {}); err != nil {
		t.Fatal(err)
	}
	if err := sqlitestore.SetRestoring(t.Context(), cloud.Dir, nil, record.Contacts, false); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*device{a, b, fresh} {
		d.restoring(record.Contacts, false)
	}
	same(t, a, b, fresh)
	if n := cloudCount(t, cloud.Dir, "SELECT count(*) FROM version WHERE kind = 'contacts'"); n != 20 {
		t.Errorf("the cloud holds %d contacts", n)
	}
}
