package sqlitestore

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

func noPace(int) error { return nil }

func damage(t *testing.T, s *Store, q string, args ...any) {
	t.Helper()
	if err := s.do(ctx, 0, func(t *txn) error { _, err := t.exec(q, args...); return err }, nil); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *Store, q string) (n int) {
	t.Helper()
	if err := s.readers.QueryRow(q).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// flipBody changes the last byte of a body, whatever it is.
const flipBody = "SET body = CAST(substr(body, 1, length(body) - 1) || (CASE substr(body, -1) WHEN x'00' THEN x'01' ELSE x'00' END) AS BLOB)"

// TestRepairSetsDamageAside: every kind of damage of TestVerifyFindsDamage is
// found, kept, and leaves a store without problems.
func TestRepairSetsDamageAside(t *testing.T) {
	for _, c := range []struct {
		name, damage string
		versions     int
		chunks       int
		kept         int // in the quarantine
	}{
		{"lost row", "DELETE FROM version WHERE seq = 1", 2, 1, 0},
		{"moved row", "UPDATE version SET record = zeroblob(16) WHERE seq = 1", 2, 1, 1},
		{"bad header", "UPDATE version SET header = x'00' WHERE seq = 1", 2, 1, 1},
		{"flipped header", "UPDATE version SET header = CAST(header || x'00' AS BLOB) WHERE seq = 1", 2, 1, 1},
		{"flipped body", "UPDATE version " + flipBody + " WHERE seq = 1", 2, 1, 1},
		{"flag", "UPDATE version SET dead = 1", 3, 1, 0},
		{"head", "UPDATE account SET head = 0", 3, 1, 0},
		{"account", "DELETE FROM account", 3, 1, 0},
		{"digest", "UPDATE kind SET count = 7", 3, 1, 0},
		{"flipped list", "UPDATE known SET record = zeroblob(16) WHERE record = (SELECT min(record) FROM known)", 3, 1, 0},
		{"list of another kind", "UPDATE known SET kind = 'contactz'", 3, 1, 0},
		{"short chunk", "UPDATE chunk SET body = substr(body, 2)", 3, 0, 1},
		{"flipped chunk", "UPDATE chunk " + flipBody, 3, 0, 1},
		{"moved chunk", "UPDATE chunk SET chunk = zeroblob(16)", 3, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			a := author(t, s)
			for id := range byte(3) {
				push(t, s, a, id+1)
			}
			if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{a.Chunk([]byte("x"))}); err != nil {
				t.Fatal(err)
			}
			damage(t, s, c.damage)
			if len(problems(t, s)) == 0 {
				t.Error("not found")
			}
			found := 0
			name := func(p cloudstore.Problem) {
				if found++; p.Account == "" || p.Kind == "" && c.name != "account" {
					t.Errorf("without a name: %+v", p)
				}
			}
			if _, err := s.Repair(ctx, a.Account, noPace, name); err != nil || found == 0 {
				t.Errorf("repair: %d problems, %v", found, err)
			}
			if p := problems(t, s); len(p) > 0 {
				t.Errorf("after the repair: %q", p)
			}
			if v, ch, q := count(t, s, "SELECT count(*) FROM version"), count(t, s, "SELECT count(*) FROM chunk"), count(t, s, "SELECT count(*) FROM quarantine"); v != c.versions || ch != c.chunks || q != c.kept {
				t.Errorf("%d versions, %d chunks, %d kept for forensics; want %d, %d, %d", v, ch, q, c.versions, c.chunks, c.kept)
			}
			r, err := s.Report(ctx, &a.Account)
			if err != nil || len(r.Accounts[0].Kinds) != 1 || r.Accounts[0].Kinds[0].Coverage.Missing != uint64(3-c.versions) {
				t.Errorf("the report: %+v, %v", r, err)
			}
			// Writing goes on, also to the records that were hit.
			for id := range byte(3) {
				push(t, s, a, id+1)
			}
		})
	}
}

// TestDamageIsNeverGiven: a read finds what a disk changed, sets it aside and
// gives the rest.
func TestDamageIsNeverGiven(t *testing.T) {
	s := open(t, t.TempDir())
	a := author(t, s)
	var refs []syncproto.Ref
	for id := range byte(4) {
		refs = append(refs, push(t, s, a, id+1).Ref)
	}
	chunk := a.Chunk([]byte("x"))
	if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{chunk}); err != nil {
		t.Fatal(err)
	}
	damage(t, s, "UPDATE version "+flipBody+" WHERE seq = 2")
	damage(t, s, "UPDATE chunk "+flipBody)
	log, err := s.ReadLog(ctx, a.Account, record.Contacts, 0, syncproto.BatchBytesMax)
	if err != nil || len(log.Items) != 3 || log.State.Count != 3 || log.State.Head != 5 {
		t.Errorf("log: %d versions, state %+v, %v", len(log.Items), log.State, err)
	}
	damage(t, s, "UPDATE version SET header = CAST(header || x'00' AS BLOB) WHERE seq = 3")
	got, err := s.Fetch(ctx, a.Account, record.Contacts, refs)
	if err != nil || len(got.Items) != 2 || got.Done != 4 {
		t.Errorf("fetched %d of %d, %v", len(got.Items), got.Done, err)
	}
	if c, err := s.Chunks().Get(ctx, a.Account, chunk.ID); c != nil || err != nil {
		t.Errorf("a damaged chunk: %v, %v", c, err)
	}
	if missing, err := s.Chunks().Missing(ctx, a.Account, []record.ChunkID{chunk.ID}); err != nil || len(missing) != 1 {
		t.Errorf("missing: %v, %v", missing, err)
	}
	if p := problems(t, s); len(p) > 0 {
		t.Errorf("problems %q", p)
	}
	if n := count(t, s, "SELECT count(*) FROM quarantine"); n != 3 {
		t.Errorf("%d rows kept for forensics", n)
	}
}

// filled makes a store with many versions and chunks, closed.
func filled(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir)
	a := author(t, s)
	for n := range 20 {
		var vs []syncproto.CloudVersion
		for i := range 50 {
			v := a.Seal(record.Contacts, record.ID{byte(n), byte(i)}, a.Edit(record.New(), "FN:"+randomText(200)))
			v.Index = i
			vs = append(vs, v)
		}
		if _, err := s.Commit(ctx, a.Account, vs); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{a.Chunk([]byte(randomText(60000)))}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSalvage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(file []byte) []byte
		least  int // versions of 1,000 that come over
	}{
		{"truncated", func(b []byte) []byte { return b[:len(b)*2/3] }, 0},
		{"a page overwritten", func(b []byte) []byte {
			copy(b[40*4096:], bytes.Repeat([]byte{0xa5}, 8192))
			return b
		}, 950},
		{"the schema", func(b []byte) []byte {
			copy(b, bytes.Repeat([]byte{0xa5}, 4096))
			for at := 0; at < len(b); at += 4096 {
				if bytes.Contains(b[at:at+4096], []byte("CREATE TABLE")) {
					clear(b[at : at+4096])
				}
			}
			return b
		}, 1000},
		{"the text of the schema", func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("CREATE TABLE"), []byte("CREATE TABXE"))
		}, 1000},
		{"garbage", func(b []byte) []byte { rand.Read(b); return b }, 0},
		{"empty pages", func(b []byte) []byte { clear(b[len(b)/2:]); return b }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			filled(t, dir)
			path := filepath.Join(dir, FileName)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b = c.damage(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			var before syncproto.Epoch
			got, err := Salvage(ctx, dir, Options{Rand: rand.Reader})
			if err != nil {
				t.Fatal(err)
			}
			kept, err := os.ReadFile(filepath.Join(got.Aside, FileName))
			if err != nil || !bytes.Equal(kept, b) {
				t.Errorf("the damaged file was not kept as it was: %v", err)
			}
			s := open(t, dir)
			all, err := s.Accounts(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range all {
				if _, err := s.Repair(ctx, a, noPace, func(cloudstore.Problem) {}); err != nil {
					t.Fatal(err)
				}
			}
			if p := problems(t, s); len(p) > 0 {
				t.Errorf("problems %q", p)
			}
			n := count(t, s, "SELECT count(*) FROM version")
			t.Logf("%d of 1,000 versions, %v", n, got.Rows)
			// The list of known records lies elsewhere in the file.
			if got.Rows["known"] == 1000 {
				r, err := s.Report(ctx, nil)
				if err != nil || r.Accounts[0].Kinds[0].Coverage.Missing != uint64(1000-n) {
					t.Errorf("missing: %+v, %v", r, err)
				}
			}
			if n < c.least || s.Epoch() == before {
				t.Errorf("%d versions came over, want %d", n, c.least)
			}
		})
	}
}

// TestSalvageThatWasStopped: everything was carried over, the damaged file set
// aside, then the power failed.
func TestSalvageThatWasStopped(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	fresh := filepath.Join(dir, salvageReady)
	if err := os.Mkdir(fresh, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, FileName), filepath.Join(fresh, FileName)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if n := count(t, s, "SELECT count(*) FROM version"); n != 1000 {
		t.Errorf("%d versions", n)
	}
}

func TestDamagedFileIsNamedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	path := filepath.Join(dir, FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, dir, Options{Rand: rand.Reader}); !errors.Is(err, ErrDamaged) {
		t.Errorf("open: %v", err)
	}
}

// TestCutFileIsNeverServed: beside a log, SQLite would take a file that lost its end
// for a whole one. Whoever opens it is told, and nobody changes it.
func TestCutFileIsNeverServed(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	s := open(t, dir)
	push(t, s, author(t, s), 1)
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	file, log := read(s.path), read(s.path+"-wal")
	for _, percent := range []int{0, 30, 60, 85, 99, 100} {
		killed := t.TempDir()
		path := filepath.Join(killed, FileName)
		cut := file[:len(file)*percent/100]
		for name, b := range map[string][]byte{path: cut, path + "-wal": log} {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		whole := percent == 100
		r, err := Open(ctx, killed, Options{ReadOnly: true})
		if errors.Is(err, ErrDamaged) == whole {
			t.Errorf("%d%%: read: %v", percent, err)
		}
		if err == nil {
			r.Close()
		}
		if _, err := Backup(ctx, killed, filepath.Join(t.TempDir(), "to")); errors.Is(err, ErrDamaged) == whole {
			t.Errorf("%d%%: backup: %v", percent, err)
		}
		if whole {
			continue
		}
		if err := SetRestoring(ctx, killed, nil, record.Contacts, true); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d%%: restoring: %v", percent, err)
		}
		if _, err := Open(ctx, killed, Options{Rand: rand.Reader}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d%%: open: %v", percent, err)
		}
		if !bytes.Equal(read(path), cut) || !bytes.Equal(read(path+"-wal"), log) {
			t.Errorf("%d%%: the files were changed", percent)
		}
		if _, err := Salvage(ctx, killed, Options{Rand: rand.Reader}); err != nil {
			t.Errorf("%d%%: salvage: %v", percent, err)
		} else if n := count(t, open(t, killed), "SELECT count(*) FROM version"); n == 0 && percent > 0 || percent == 99 && n < 900 {
			t.Errorf("%d%%: %d versions came over", percent, n)
		}
	}
}

// TestDamageOfTheDisk: what the disk does not give back is damage.
func TestDamageOfTheDisk(t *testing.T) {
	for code, want := range map[int]bool{sqlite3.SQLITE_IOERR_SHORT_READ: true, sqlite3.SQLITE_IOERR_READ: true, sqlite3.SQLITE_CORRUPT_INDEX: true,
		sqlite3.SQLITE_NOTADB: true, sqlite3.SQLITE_IOERR_WRITE: false, sqlite3.SQLITE_FULL: false, sqlite3.SQLITE_BUSY: false} {
		if got := damages(code); got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
	if !fills(sqlite3.SQLITE_FULL) || !fills(sqlite3.SQLITE_IOERR_SHMSIZE) || fills(sqlite3.SQLITE_IOERR_WRITE) {
		t.Error("a full disk is not told from others")
	}
}

// TestLostLogIsAnotherLife: the file says that a server was killed, and the
// write-ahead log that it must have left is gone.
func TestLostLogIsAnotherLife(t *testing.T) {
	dir := t.TempDir()
	var epochs []syncproto.Epoch
	for _, running := range []string{"00", "01", "00"} {
		s := open(t, dir)
		epochs = append(epochs, s.Epoch())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", dsn(filepath.Join(dir, FileName)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE meta SET value = x'" + running + "' WHERE key = 'running'"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if epochs[0] != epochs[1] || epochs[1] == epochs[2] {
		t.Errorf("epochs %x", epochs)
	}
}

// TestReaderLeavesTheLog: a report after a kill must not take the log away.
func TestReaderLeavesTheLog(t *testing.T) {
	dir, killed := t.TempDir(), t.TempDir()
	s := open(t, dir)
	push(t, s, author(t, s), 1)
	for _, name := range []string{FileName, FileName + "-wal"} {
		if err := copyFile(filepath.Join(killed, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(ctx, killed, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, r, "SELECT count(*) FROM version"); n != 1 {
		t.Errorf("%d versions", n)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(killed, FileName+"-wal")); err != nil || info.Size() == 0 {
		t.Errorf("a reader took the log away: %v", err)
	}
}
