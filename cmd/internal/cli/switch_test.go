package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sidekeep/localstore"
	"sidekeep/syncproto/seal"
)

// rekeyedHome makes a home with one contact in which a rekey was decided and
// nothing is in place yet, and returns it with its new identity.
func rekeyedHome(t *testing.T) (*home, *seal.Identity) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	run(t, dir, "init", "--cloud", "ws://127.0.0.1:1")
	run(t, dir, "add", "contacts", "name=Ada Lovelace")
	a := &app{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer), home: dir}
	h, err := a.openHome()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := seal.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	data, err := stageRekey(h, id, h.config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.openStore(context.Background(), h, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Rekey(context.Background(), data, localstore.RekeyOptions{
		Store: storeOptions(&home{dir: dir, identity: id}, nil), Commit: func() error { return switchRekey(h) }})
	if err != nil {
		t.Fatal(err)
	}
	return h, id
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	if code := Main(append([]string{"--home", dir}, args...), strings.NewReader(""), &out, &problems); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, &problems)
	}
	return out.String()
}

// TestRekeyCutShort: after a power cut behind any step of the switch the next
// command finishes it; the data are there, under the new keys, and what was
// before is kept.
func TestRekeyCutShort(t *testing.T) {
	h, id := rekeyedHome(t)
	name, err := os.ReadFile(filepath.Join(h.dir, rekeyedDir, replacedFile))
	if err != nil {
		t.Fatal(err)
	}
	steps := len(switchSteps(h, string(name)))
	for done := range steps + 1 {
		dir := filepath.Join(t.TempDir(), "home")
		if err := os.CopyFS(dir, os.DirFS(h.dir)); err != nil {
			t.Fatal(err)
		}
		for _, step := range switchSteps(&home{dir: dir, config: h.config}, string(name))[:done] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if list := run(t, dir, "list", "contacts"); !strings.Contains(list, "Ada Lovelace") {
			t.Errorf("after %d steps: %q", done, list)
		}
		run(t, dir, "verify")
		now, err := (&app{stderr: new(bytes.Buffer), home: dir}).openHome()
		if err != nil || now.identity.Account != id.Account || len(now.before) != 1 || now.before[0].Account != h.identity.Account {
			t.Errorf("after %d steps: the home is not the new one, or the old keys are gone: %v", done, err)
		}
		if exists(filepath.Join(dir, rekeyedDir)) || exists(filepath.Join(dir, dataDir, rekeyedDir)) || !exists(filepath.Join(dir, dataDir, string(name), localstore.FileName)) {
			t.Errorf("after %d steps: it was not finished, or the old database is gone", done)
		}
	}
}

// TestRekeyUndone: a rekey that ends before the switch leaves the home as it was.
func TestRekeyUndone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	run(t, dir, "init", "--cloud", "ws://127.0.0.1:1")
	run(t, dir, "add", "contacts", "name=Ada Lovelace")
	a := &app{stdout: brokenPipe{}, stderr: new(bytes.Buffer), home: dir, json: true}
	before, err := a.openHome()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.rekey(context.Background(), false); err == nil { // the words can not be shown
		t.Fatal("no error")
	}
	// As if the power had gone before anything was taken away.
	if _, err := stageRekey(before, before.identity, before.config); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "add", "contacts", "name=Grace Hopper")
	if list := run(t, dir, "list", "contacts"); !strings.Contains(list, "Ada Lovelace") || !strings.Contains(list, "Grace Hopper") {
		t.Errorf("%q", list)
	}
	run(t, dir, "verify")
	now, err := a.openHome()
	if err != nil || now.identity.Account != before.identity.Account {
		t.Errorf("the account has changed: %v", err)
	}
	run(t, dir, "rekey")
	if list := run(t, dir, "list", "contacts"); !strings.Contains(list, "Grace Hopper") {
		t.Errorf("%q", list)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
