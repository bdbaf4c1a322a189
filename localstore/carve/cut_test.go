package carve

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
)

// open gives a database in WAL mode that never checkpoints on its own.
func open(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=wal_autocheckpoint(0)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func do(t *testing.T, db *sql.DB, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

const randomBytes = "no database at all, whatever it is"

// TestCut: a power cut at any moment leaves a whole file, also in the middle of a
// checkpoint; one that lost its end is told from it.
func TestCut(t *testing.T) {
	const grow = "INSERT INTO a WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 60) SELECT zeroblob(400) FROM c"
	const change = "UPDATE a SET b = zeroblob(399) WHERE rowid = 1"
	at := filepath.Join(t.TempDir(), "db")
	live := open(t, at)
	do(t, live, "PRAGMA page_size = 512", "PRAGMA journal_mode = wal", "CREATE TABLE a (b)", grow, "PRAGMA wal_checkpoint(TRUNCATE)")
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	old := read(at)
	do(t, live, change)
	changed := read(at + "-wal")
	do(t, live, grow)
	grown := read(at + "-wal") // ends with frames of pages that the file does not have yet
	do(t, live, "PRAGMA wal_checkpoint(PASSIVE)")
	full := read(at)
	if len(full) <= len(old) || len(grown) <= len(changed) {
		t.Fatal("nothing was added")
	}
	flipped := append([]byte{}, grown...)
	flipped[len(changed)+frameHeaderBytes+5] ^= 1 // the frames from there on are not committed any more
	for _, c := range []struct {
		name    string
		db, wal []byte
		cut     bool
	}{
		{"whole", full, nil, false},
		{"whole, kept log", full, grown, false},
		{"not yet checkpointed", old, grown, false},
		{"in a checkpoint, page 1 of the new size", append(append([]byte{}, full[:512]...), old[512:]...), grown, false},
		{"in a checkpoint, half a page", full[:len(old)+700], grown, false},
		{"in a commit", old, grown[:len(grown)-100], false},
		{"empty", nil, nil, false},
		{"nothing left but the log", nil, grown, true},
		{"no database", []byte(randomBytes), grown, false},
		{"no log, one page", full[:len(full)-512], nil, true},
		{"no log, part of a page", full[:len(full)-1], nil, true},
		{"a log that lacks the page", old[:len(old)-512], changed, true},
		{"more than the log has", old[:len(old)*85/100], grown, true},
		{"the commit that had it is damaged", full[:len(old)+512], flipped, false}, // of what is committed, all is there
		{"log of nothing", full[:len(full)/2], grown[:walHeaderBytes], true},
	} {
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, c.db, 0o600); err != nil {
			t.Fatal(err)
		}
		if c.wal != nil {
			if err := os.WriteFile(path+"-wal", c.wal, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		missing, err := Cut(path)
		if err != nil || (missing != "") != c.cut {
			t.Errorf("%s: %q, %v", c.name, missing, err)
		}
	}
	if missing, err := Cut(filepath.Join(t.TempDir(), "none")); missing != "" || err != nil {
		t.Errorf("no file: %q, %v", missing, err)
	}
}
