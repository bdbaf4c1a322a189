package endtoend

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// TestMain lets the test's own binary be a device that can be killed.
func TestMain(m *testing.M) {
	if home := os.Getenv("SIDEKEEP_TEST_DEVICE"); home != "" {
		if err := beDevice(home, os.Getenv("SIDEKEEP_TEST_CLOUD")); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beDevice writes records and prints the name of each once it is durable, while
// an agent syncs, until it is killed.
func beDevice(home, url string) error {
	b, err := os.ReadFile(filepath.Join(home, "identity"))
	if err != nil {
		return err
	}
	id, err := seal.ParseIdentity(b)
	if err != nil {
		return err
	}
	ctx := context.Background()
	store, err := localstore.Open(ctx, filepath.Join(home, "data"), localstore.Options{Hasher: id.Keys()})
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Config{Store: store, Identity: id, CloudURL: url, Create: true, Home: home})
	if err != nil {
		return err
	}
	go a.Run(ctx)
	for i := 0; ; i++ {
		name := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if err := store.Put(ctx, record.Notes, uid(name), fields("SUMMARY", name)); err != nil {
			return err
		}
		fmt.Println("kept", name)
		time.Sleep(5 * time.Millisecond)
	}
}

// TestKilledAtRandomMomentsLosesNothingKept kills the process of a device with
// SIGKILL, ten times, in the middle of writes and of sessions.
func TestKilledAtRandomMomentsLosesNothingKept(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	d := person.join(t, "killed", cloud.URL)
	d.store.Close()
	home := d.home
	d.dir = filepath.Join(home, "data")
	if err := os.WriteFile(filepath.Join(home, "identity"), d.id.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	kills := 10
	if testing.Short() {
		kills = 3
	}
	var kept []string
	for range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SIDEKEEP_TEST_DEVICE="+home, "SIDEKEEP_TEST_CLOUD="+cloud.URL)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := make(chan string, 10000)
		go func() {
			defer close(lines)
			for sc := bufio.NewScanner(out); sc.Scan(); {
				lines <- sc.Text()
			}
		}()
		first := <-lines
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		cmd.Process.Kill()
		for l := first; l != ""; l = <-lines {
			name, ok := strings.CutPrefix(l, "kept ")
			if !ok {
				t.Fatal(l)
			}
			kept = append(kept, name)
		}
		cmd.Wait()
	}
	d.open()
	for _, name := range kept {
		d.get(name)
	}
	d.sync()
	other := person.join(t, "other", cloud.URL)
	other.sync()
	same(t, d, other)
	for _, name := range kept {
		other.get(name)
	}
	t.Logf("%d kills, %d notes kept", kills, len(kept))
}
