package sqlitestore

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sidekeep/syncproto"
)

// TestPutBackStorageIsAnotherLife: however a copy of the data is put back, the
// epoch is new and no claim of before holds.
func TestPutBackStorageIsAnotherLife(t *testing.T) {
	cases := []struct {
		name    string
		restore func(t *testing.T, dir, copy string)
		same    bool
	}{
		{"ordinary restart", func(*testing.T, string, string) {}, true},
		{"folder renamed and back", func(t *testing.T, dir, _ string) {
			run(t, "mv", dir, dir+".x")
			run(t, "mv", dir+".x", dir)
		}, true},
		{"older database over the newer", func(t *testing.T, dir, copy string) {
			run(t, "cp", filepath.Join(copy, FileName), filepath.Join(dir, FileName))
		}, false},
		{"older database in place of the newer", func(t *testing.T, dir, copy string) {
			run(t, "rm", filepath.Join(dir, FileName))
			run(t, "cp", "-a", filepath.Join(copy, FileName), filepath.Join(dir, FileName))
		}, false},
		{"whole older folder in place", func(t *testing.T, dir, copy string) {
			run(t, "rm", "-r", dir)
			run(t, "cp", "-a", copy, dir)
		}, false},
		{"whole older folder over the newer", func(t *testing.T, dir, copy string) {
			run(t, "cp", filepath.Join(copy, FileName), filepath.Join(dir, FileName))
			run(t, "cp", filepath.Join(copy, witnessName), filepath.Join(dir, witnessName))
		}, false},
		{"the same folder as a copy", func(t *testing.T, dir, _ string) {
			run(t, "cp", "-a", dir, dir+".x")
			run(t, "rm", "-r", dir)
			run(t, "mv", dir+".x", dir)
		}, false},
		{"witness lost", func(t *testing.T, dir, _ string) { run(t, "rm", filepath.Join(dir, witnessName)) }, false},
		{"witness of an older start", func(t *testing.T, dir, copy string) {
			run(t, "cp", filepath.Join(copy, witnessName), filepath.Join(dir, witnessName))
		}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cloud")
			copy := dir + ".copy"
			s := open(t, dir)
			a := author(t, s)
			push(t, s, a, 1)
			epoch := s.Epoch()
			s.Close()
			run(t, "cp", "-a", dir, copy)

			s = open(t, dir) // the copy is from one start before
			if s.Epoch() != epoch {
				t.Fatal("a new epoch after an ordinary restart")
			}
			push(t, s, a, 2)
			s.Close()
			c.restore(t, dir, copy)

			s = open(t, dir)
			if same := s.Epoch() == epoch; same != c.same {
				t.Errorf("same epoch: %v, want %v", same, c.same)
			}
			want := syncproto.ClaimUnknown
			if c.same {
				want = syncproto.ClaimAccepted
			}
			got, err := s.Claim(ctx, a.Claim(false))
			if err != nil || got.State != want {
				t.Errorf("claim %+v, %v, want %d", got, err, want)
			}
			epoch = s.Epoch()
			s.Close()
			if s = open(t, dir); s.Epoch() != epoch {
				t.Error("the new epoch did not last")
			}
			if p := problems(t, s); len(p) > 0 {
				t.Errorf("problems %q", p)
			}
		})
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// TestStopWhileWakingIsNoRestore: a start that is cut short at any step of
// renewing the witness is not taken for another life.
func TestStopWhileWakingIsNoRestore(t *testing.T) {
	for _, c := range []struct {
		name string
		step func(t *testing.T, s *Store, dir string)
	}{
		{"next generation noted", func(t *testing.T, s *Store, dir string) { note(t, s, "generation_next", 0xaa) }},
		{"witness half written", func(t *testing.T, s *Store, dir string) {
			note(t, s, "generation_next", 0xaa)
			if err := os.WriteFile(filepath.Join(dir, witnessName+".new"), []byte{0xaa}, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"witness replaced", func(t *testing.T, s *Store, dir string) {
			note(t, s, "generation_next", 0xaa)
			if err := replaceFile(dir, filepath.Join(dir, witnessName), generation(0xaa)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			epoch := s.Epoch()
			c.step(t, s, dir)
			s.Close()
			if s = open(t, dir); s.Epoch() != epoch {
				t.Error("a new epoch")
			}
		})
	}
}

func generation(b byte) []byte {
	g := make([]byte, generationBytes)
	for i := range g {
		g[i] = b
	}
	return g
}

func note(t *testing.T, s *Store, key string, b byte) {
	t.Helper()
	if err := s.do(ctx, 0, func(t *txn) error { return t.setMeta(key, generation(b)) }, nil); err != nil {
		t.Fatal(err)
	}
}

// TestEveryStatementLeadsWithTheAccount: no statement of a session scans what
// belongs to others.
func TestEveryStatementLeadsWithTheAccount(t *testing.T) {
	s := open(t, t.TempDir())
	a := author(t, s)
	push(t, s, a, 1)
	if _, err := s.SetAside(ctx, a.Account, "contacts", []syncproto.Ref{{1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prove(ctx, a.Account, a.Device, a.Replica, []syncproto.Held{{Kind: "contacts"}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{a.Chunk([]byte("x"))}); err != nil {
		t.Fatal(err)
	}
	queries := []string{
		"SELECT seq, header, body FROM version WHERE account = ? AND kind = ? AND seq > ? ORDER BY seq LIMIT ?",
		"SELECT record, version FROM version WHERE account = ? AND kind = ? AND record >= ? AND record <= ? ORDER BY record, version",
		"SELECT 1 FROM chunk WHERE account = ? AND chunk = ?",
	}
	for q := range s.writer.stmts {
		queries = append(queries, q)
	}
	for _, q := range queries {
		rows, err := s.writer.conn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+q, make([]any, countParams(q))...)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if len(detail) > 4 && detail[:4] == "SCAN" && detail != "SCAN CONSTANT ROW" && !isMeta(q) {
				t.Errorf("%s\n%s", q, detail)
			}
			if len(detail) > 4 && detail[:4] == "USE " {
				t.Errorf("%s\n%s", q, detail)
			}
		}
		rows.Close()
	}
}

func countParams(q string) (n int) {
	for _, r := range q {
		if r == '?' {
			n++
		}
	}
	return n
}

// isMeta reports whether q is of the start, not of a session.
func isMeta(q string) bool {
	for _, s := range []string{"PRAGMA", "SELECT a.application_id", "SELECT value FROM meta"} {
		if len(q) >= len(s) && q[:len(s)] == s {
			return true
		}
	}
	return false
}
