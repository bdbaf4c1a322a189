package sqlitestore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/storetest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) storetest.Open {
		dir := t.TempDir()
		return func() (cloudstore.Store, error) {
			return Open(context.Background(), dir, Options{Rand: rand.Reader, Now: clock.Now})
		}
	})
}

var ctx = context.Background()

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(ctx, dir, Options{Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// author returns a replica of s whose claim was accepted.
func author(t *testing.T, s *Store) *storetest.Author {
	t.Helper()
	a := storetest.NewAuthor(t)
	c := a.Claim(true)
	if _, err := s.Claim(ctx, c); err != nil {
		t.Fatal(err)
	}
	a.Last = c.Pending[0]
	return a
}

func push(t *testing.T, s *Store, a *storetest.Author, id byte) syncproto.CloudVersion {
	t.Helper()
	v := a.Seal(record.Contacts, record.ID{id}, a.Edit(record.New(), "FN:x"))
	if _, err := s.Commit(ctx, a.Account, []syncproto.CloudVersion{v}); err != nil {
		t.Fatal(err)
	}
	return v
}

func problems(t *testing.T, s *Store) []string {
	t.Helper()
	var all []string
	if _, err := s.Verify(ctx, func(p cloudstore.Problem) { all = append(all, p.What) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cloud")
	s := open(t, dir)
	push(t, s, author(t, s), 1)
	check := func(path string, want os.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s is %o, want %o", filepath.Base(path), got, want)
		}
	}
	check(dir, 0o700)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 4 { // database, -wal, -shm, witness
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		check(filepath.Join(dir, e.Name()), 0o600)
	}
}

func TestForeignAndNewerFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.do(ctx, 0, func(t *txn) error { _, err := t.exec("PRAGMA user_version = 99"); return err }, nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(ctx, dir, Options{Rand: rand.Reader}); !errors.Is(err, ErrFormat) {
		t.Errorf("newer format: %v", err)
	}
	if _, err := Open(ctx, dir, Options{ReadOnly: true}); !errors.Is(err, ErrFormat) {
		t.Errorf("newer format, read-only: %v", err)
	}
	if _, err := Open(ctx, t.TempDir(), Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read-only without a store: %v", err)
	}
}

func TestDigestIsCountedFromRowsAfterAStart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a := author(t, s)
	v := push(t, s, a, 1)
	damage := func(q string) {
		t.Helper()
		if err := s.do(ctx, 0, func(t *txn) error { _, err := t.exec(q); return err }, nil); err != nil {
			t.Fatal(err)
		}
	}
	damage("UPDATE kind SET count = 7, sum = zeroblob(16)")
	if p := problems(t, s); len(p) != 1 || !strings.Contains(p[0], "digest") {
		t.Errorf("problems %q", p)
	}
	s.Close()
	s = open(t, dir)
	got, err := s.Claim(ctx, a.Claim(false))
	if err != nil || got.Kinds[0].Count != 1 || got.Kinds[0].Sum != [16]byte(v.Ref.Version()) {
		t.Errorf("claim after a restart: %+v, %v", got, err)
	}
	// While running: a prove that asks for it.
	damage("UPDATE kind SET count = 7")
	st, err := s.Prove(ctx, a.Account, a.Device, a.Replica, nil, []record.Kind{record.Contacts})
	if err != nil || st.Kinds[0].Count != 1 {
		t.Errorf("recount: %+v, %v", st, err)
	}
	// The digest's row lost altogether, and a head behind its rows.
	damage("DELETE FROM kind")
	s.Close()
	s = open(t, dir)
	if got, err = s.Claim(ctx, a.Claim(false)); err != nil || len(got.Kinds) != 1 || got.Kinds[0].Count != 1 || got.Kinds[0].Head < 1 || got.Kinds[0].Head != got.Head {
		t.Errorf("claim after a lost digest: %+v, %v", got, err)
	}
	if p := problems(t, s); len(p) > 0 {
		t.Errorf("problems %q", p)
	}
}

// TestAnotherProgramsWritesAreCounted: an operator takes rows out with a shell
// while the server runs. No device may be told the old digest.
func TestAnotherProgramsWritesAreCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a := author(t, s)
	push(t, s, a, 1)
	push(t, s, a, 2)
	shell, err := sql.Open("sqlite", dsn(filepath.Join(dir, FileName)))
	if err != nil {
		t.Fatal(err)
	}
	defer shell.Close()
	remove := func(n int) {
		t.Helper()
		if _, err := shell.Exec("DELETE FROM version WHERE record = ?", append([]byte{byte(n)}, make([]byte, 15)...)); err != nil {
			t.Fatal(err)
		}
	}
	recount := func(want int) {
		t.Helper()
		changed, err := s.Recount(ctx, []seal.Account{a.Account})
		if err != nil || len(changed[a.Account]) != want {
			t.Errorf("recount: %v, %v; want %d kinds", changed, err, want)
		}
	}
	prove := func() syncproto.KindState {
		t.Helper()
		st, err := s.Prove(ctx, a.Account, a.Device, a.Replica, nil, nil)
		if err != nil || len(st.Kinds) != 1 {
			t.Fatalf("prove: %+v, %v", st, err)
		}
		return st.Kinds[0]
	}
	before := prove()
	recount(0)
	remove(1)
	if k := prove(); k.Count != 1 || k.Head <= before.Head {
		t.Errorf("a proof after rows went: %+v, before %+v", k, before)
	}
	recount(1) // sessions that did not ask are told, once
	recount(0)
	remove(2)
	recount(1) // nobody asked
	if got, err := s.Claim(ctx, a.Claim(false)); err != nil || got.Kinds[0].Count != 0 || got.Head < got.Kinds[0].Head {
		t.Errorf("claim: %+v, %v", got, err)
	}
	if p := problems(t, s); len(p) > 0 {
		t.Errorf("problems %q", p)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	for _, c := range []struct{ name, damage, want string }{
		{"lost row", "DELETE FROM version", "digest"},
		{"moved row", "UPDATE version SET record = zeroblob(16)", "names another"},
		{"bad header", "UPDATE version SET header = x'00'", "can not be read"},
		{"short body", "UPDATE version SET body = substr(body, 2)", "header says"},
		{"flag", "UPDATE version SET dead = 1", "tombstone"},
		{"head", "UPDATE account SET head = 0", "out of order"},
		{"orphans", "DELETE FROM account", "belong to no account"},
		{"short chunk", "UPDATE chunk SET body = substr(body, 2)", "chunk is"},
		{"moved chunk", "UPDATE chunk SET chunk = zeroblob(16)", "another chunk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			a := author(t, s)
			push(t, s, a, 1)
			if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{a.Chunk([]byte("x"))}); err != nil {
				t.Fatal(err)
			}
			if p := problems(t, s); len(p) > 0 {
				t.Fatalf("before: %q", p)
			}
			if err := s.do(ctx, 0, func(t *txn) error { _, err := t.exec(c.damage); return err }, nil); err != nil {
				t.Fatal(err)
			}
			p := problems(t, s)
			if !strings.Contains(strings.Join(p, "\n"), c.want) {
				t.Errorf("problems %q, want %q", p, c.want)
			}
		})
	}
}

// A full disk and a read-only one give their codes, nothing is acknowledged,
// and what was there stays. When there is room again, writing goes on.
func TestFullAndReadOnly(t *testing.T) {
	for _, c := range []struct {
		on, off string
		code    syncproto.Code
	}{
		{"PRAGMA max_page_count = 1", "PRAGMA max_page_count = 4294967294", syncproto.CodeDiskFull},
		{"PRAGMA query_only = 1", "PRAGMA query_only = 0", syncproto.CodeReadOnly},
	} {
		t.Run(c.code.String(), func(t *testing.T) {
			s := open(t, t.TempDir())
			a := author(t, s)
			v := push(t, s, a, 1)
			set := func(q string) {
				t.Helper()
				if _, err := s.writer.exec(q); err != nil { // no write is under way
					t.Fatal(err)
				}
			}
			set(c.on)
			var err error
			for i := range byte(200) { // until the free pages are used up
				big := a.Seal(record.Contacts, record.ID{100, i}, a.Edit(record.New(), "FN:"+randomText(4000)))
				if _, err = s.Commit(ctx, a.Account, []syncproto.CloudVersion{big}); err != nil {
					break
				}
			}
			if !errors.Is(err, &syncproto.Error{Code: c.code}) {
				t.Fatalf("commit: %v", err)
			}
			if err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{a.Chunk([]byte(randomText(60000)))}); !errors.Is(err, &syncproto.Error{Code: c.code}) {
				t.Errorf("chunk: %v", err)
			}
			set(c.off)
			w := push(t, s, a, 2)
			got, err := s.Fetch(ctx, a.Account, record.Contacts, []syncproto.Ref{v.Ref, w.Ref})
			if err != nil || len(got.Items) != 2 {
				t.Errorf("fetched %d, %v", len(got.Items), err)
			}
			if p := problems(t, s); len(p) > 0 {
				t.Errorf("problems %q", p)
			}
		})
	}
}

func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b)
}

func TestClosedStoreRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	a := author(t, s)
	s.Close()
	if _, err := s.Claim(ctx, a.Claim(false)); !errors.Is(err, &syncproto.Error{Code: syncproto.CodeShutdown}) {
		t.Errorf("claim: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestPlaces(t *testing.T) {
	storetest.RunPlaces(t, func(t *testing.T, clock *storetest.Clock) storetest.Place {
		dir := t.TempDir()
		flip := func(from string, args ...any) error {
			db, err := sql.Open("sqlite", dsn(filepath.Join(dir, FileName)))
			if err != nil {
				return err
			}
			defer db.Close()
			var body []byte
			if err := db.QueryRow("SELECT body FROM "+from, args...).Scan(&body); err != nil {
				return err
			}
			body[len(body)/2] ^= 4
			table, where, _ := strings.Cut(from, " ")
			_, err = db.Exec("UPDATE "+table+" SET body = ? "+where, append([]any{body}, args...)...)
			return err
		}
		return storetest.Place{
			Open: func() (cloudstore.Store, error) {
				return Open(context.Background(), dir, Options{Rand: rand.Reader, Now: clock.Now})
			},
			Restoring: func(account *seal.Account, kind record.Kind, on bool) error {
				return SetRestoring(ctx, dir, account, kind, on)
			},
			Flip: func(account seal.Account, kind record.Kind, ref syncproto.Ref) error {
				id, version := ref.Record(), ref.Version()
				return flip("version WHERE account = ? AND kind = ? AND record = ? AND version = ?", account[:], string(kind), id[:], version[:])
			},
			FlipChunk: func(account seal.Account, chunk record.ChunkID) error {
				return flip("chunk WHERE account = ? AND chunk = ?", account[:], chunk[:])
			},
		}
	})
}
