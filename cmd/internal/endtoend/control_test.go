package endtoend

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

func TestControlSocket(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	for _, name := range []string{"short", "long"} {
		t.Run(name, func(t *testing.T) {
			d := person.join(t, name, c.URL, func(conf *agent.Config) {
				if name == "long" {
					conf.Home = filepath.Join(conf.Home, strings.Repeat("deep/", 30))
					if err := os.MkdirAll(conf.Home, 0o700); err != nil {
						t.Fatal(err)
					}
				}
			})
			if _, err := agent.Connect(t.Context(), d.conf.Home); !errors.Is(err, agent.ErrNoAgent) {
				t.Fatalf("connect without an agent: %v", err)
			}
			d.run()
			d.waitLive()
			fi, err := os.Stat(filepath.Join(d.conf.Home, agent.SocketName))
			if err != nil || fi.Mode().Perm() != 0o600 {
				t.Fatalf("mode %v, %v", fi.Mode(), err)
			}
			client, err := agent.Connect(t.Context(), d.conf.Home)
			if err != nil {
				t.Fatal(err)
			}
			d.add(record.Notes, "note-"+name, "SUMMARY", "x")
			seen := 0
			if err := client.Sync(t.Context(), func(agent.Status) { seen++ }); err != nil {
				t.Fatal(err)
			}
			s, err := client.Status(t.Context())
			if err != nil || !s.InSync() || s.Cloud.State != agent.StateLive || s.Kinds[record.Notes].Live == 0 || seen == 0 {
				t.Errorf("status %+v, %v", s, err)
			}
			shape(t, s)
			go func() {
				time.Sleep(50 * time.Millisecond)
				d.store.Put(t.Context(), record.Tasks, uid("task-"+name), fields("SUMMARY", "y"))
			}()
			err = client.Events(t.Context(), func(s agent.Status) bool {
				return !s.InSync() || s.Kinds[record.Tasks].Live == 0
			})
			if err != nil {
				t.Error(err)
			}
			d.stop()
			if _, err := os.Stat(filepath.Join(d.conf.Home, agent.SocketName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is left behind: %v", err)
			}
		})
	}
}

// shape checks the names that `status --json` promises.
func shape(t *testing.T, s agent.Status) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Account, Device, Replica *string
		Cloud                    map[string]any
		Kinds                    map[string]map[string]any
		Blobs                    map[string]any
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	missing := func(where string, m map[string]any, keys ...string) {
		for _, k := range keys {
			if _, ok := m[k]; !ok {
				t.Errorf("%s has no %q: %s", where, k, b)
			}
		}
	}
	if got.Account == nil || got.Device == nil || got.Replica == nil {
		t.Errorf("incomplete: %s", b)
	}
	missing("cloud", got.Cloud, "url", "state", "epoch")
	missing("blobs", got.Blobs, "chunks", "missing", "bytes")
	for _, k := range record.Kinds {
		missing(string(k), got.Kinds[string(k)], "live", "deleted", "unsynced", "conflicts", "held", "digest", "cloud_digest", "in_sync", "restoring")
	}
}

func TestSyncThroughTheAgentSaysWhyNot(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newAccount(t).join(t, "d", c.URL)
	c.Stop()
	d.run()
	time.Sleep(100 * time.Millisecond)
	client, err := agent.Connect(t.Context(), d.home)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Sync(t.Context(), nil); !errors.Is(err, agent.ErrNotReachable) {
		t.Errorf("got %v", err)
	}
}
