package localstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

// childEnv makes the test binary play a process that writes until it is killed.
const childEnv = "LOCALSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child edits, mints, acknowledges and applies in turn. It prints a line after
// each write that returned: what was acknowledged to it.
func child(dir string, out io.Writer) error {
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{Hasher: testHasher{}})
	if err != nil {
		return err
	}
	c, err := s.BeginClaim(ctx)
	if err != nil {
		return err
	}
	if err := s.ClaimAccepted(ctx, c.Pending[len(c.Pending)-1]); err != nil {
		return err
	}
	foreign := record.ReplicaID{7}
	for i := 0; ; i++ {
		id := record.ID{1, byte(i % 7)}
		line := fmt.Sprintf("A:%d-%d", os.Getpid(), i)
		if err := s.Put(ctx, record.Notes, id, []record.Field{{Key: "A", Line: []byte(line)}}); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s\n", id, line)
		sent, err := s.Mint(ctx, record.Notes, 0, 10, 1<<20, nil)
		if err != nil {
			return err
		}
		if i%3 == 0 {
			if err := s.Acked(ctx, []Ref{{sent[0].ID, sent[0].VersionID}}); err != nil {
				return err
			}
		}
		v := record.New()
		v.Vector[foreign] = uint64(i + 1)
		line = fmt.Sprintf("B:%d", i)
		v.Fields["B"] = []record.Entry{{Dot: record.Dot{Replica: foreign, Counter: uint64(i + 1)}, Line: []byte(line)}}
		enc, err := record.Encode(v)
		if err != nil {
			return err
		}
		id = record.ID{2, byte(i % 5), byte(os.Getpid()), byte(os.Getpid() >> 8)}
		in := []Incoming{{ID: id, VersionID: testHasher{}.VersionID(record.Notes, id, enc), Version: v}}
		if _, err := s.Apply(ctx, record.Notes, in, &Cursor{Seq: uint64(i)}); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s\n", id, line)
	}
}

// A writer is killed again and again: nothing that it was told is stored is lost.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	stored := map[string]string{}
	total := 0
	for round := range rounds {
		cmd := exec.Command(exe, "-test.run=^$")
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		pipe, err := cmd.StdoutPipe()
		must(t, err)
		cmd.Stderr = os.Stderr
		must(t, cmd.Start())
		lines := bufio.NewScanner(pipe)
		for n := 0; lines.Scan(); n++ {
			id, line, _ := strings.Cut(lines.Text(), " ")
			stored[id] = line
			total++
			if n == 10+round*7 {
				go func() {
					time.Sleep(time.Duration(round*731%3000) * time.Microsecond)
					cmd.Process.Kill()
				}()
			}
		}
		cmd.Wait()
		s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
		must(t, err)
		verify(t, s)
		for text, line := range stored {
			id, err := record.ParseID(text)
			must(t, err)
			rec, err := s.Get(t.Context(), id)
			must(t, err)
			// A write that was not told about yet may have come after.
			key, want, _ := strings.Cut(line, ":")
			got := strings.TrimPrefix(lineOf(rec, key), key+":")
			var a, b, p, q int
			if key == "A" {
				fmt.Sscanf(want, "%d-%d", &p, &a)
				fmt.Sscanf(got, "%d-%d", &q, &b)
			} else {
				fmt.Sscan(want, &a)
				fmt.Sscan(got, &b)
			}
			if got == "" || p == q && b < a {
				t.Errorf("round %d: record %s has %q, stored was %q", round, id, got, line)
			}
		}
		must(t, s.Close())
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d acknowledged writes", rounds, total)
}

// Two stores on one file and the shell write at once.
func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	a := openTest(t, dir, Options{})
	b, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	defer b.Close()
	claim(t, a)
	var wg sync.WaitGroup
	const writes = 20
	for w, s := range []*Store{a, a, b} {
		wg.Go(func() {
			for i := range writes {
				id := record.ID{byte(w), byte(i)}
				if err := s.Put(context.Background(), record.Contacts, id, []record.Field{{Key: "FN", Line: []byte("FN:x")}}); err != nil {
					t.Error(err)
				}
				if _, err := s.Get(context.Background(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range writes {
			if _, err := a.Mint(context.Background(), record.Contacts, 0, 100, 1<<20, nil); err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := exec.LookPath("sqlite3"); err == nil {
		for range 2 {
			wg.Go(func() {
				out, err := shell(t, dir, strings.Repeat("INSERT INTO contacts (name) VALUES ('shell'); UPDATE contacts SET note = 'n' WHERE id = (SELECT id FROM contacts WHERE name = 'shell' LIMIT 1);\n", writes))
				if err != nil {
					t.Errorf("shell: %v %s", err, out)
				}
			})
		}
	}
	wg.Wait()
	_, err = a.Mint(t.Context(), record.Contacts, 0, 1000, 1<<20, nil)
	must(t, err)
	st, err := a.Status(t.Context())
	must(t, err)
	if k := st.Kinds[record.Contacts]; k.Live < 3*writes || k.Digest.Count != uint64(k.Live) {
		t.Errorf("%+v", k)
	}
}

func TestClosed(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{Hasher: testHasher{}})
	must(t, err)
	wake := s.Wake()
	must(t, s.Close())
	must(t, s.Close())
	_ = wake
	if err := s.Put(t.Context(), record.Notes, record.ID{1}, nil); !errors.Is(err, errClosed) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Get(t.Context(), record.ID{1}); !errors.Is(err, errClosed) {
		t.Errorf("get: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, t.TempDir(), Options{Hasher: testHasher{}}); err == nil {
		t.Error("opened with a cancelled context")
	}
}
