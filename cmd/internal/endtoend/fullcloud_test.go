package endtoend

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// TestCloudOnAFullDisk: a cloud whose real file system is full refuses with a
// code that the device shows, acknowledges nothing that it did not store, and
// goes on when there is room.
func TestCloudOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	cloud := cloudtest.Start(t, cloudtest.Options{Dir: dir})
	defer cloud.Stop()
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	a.add(record.Contacts, "early", "FN", "Early")
	a.sync()
	picture := a.picture("large", 4_000_000)
	for i := range 20 {
		a.add(record.Notes, fmt.Sprintf("note-%d", i), "SUMMARY", fmt.Sprintf("Note %d", i))
	}
	// Once told, it stays told, however often the agent comes back and is let in.
	told, silent := false, 0
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	err := a.agent.SyncOnce(ctx, func(s agent.Status) {
		told = told || strings.Contains(s.Cloud.Error, "full")
		if told && s.Cloud.Error == "" {
			silent++
		}
	})
	if silent > 0 {
		t.Errorf("%d snapshots say nothing of the full cloud", silent)
	}
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("sync with a full cloud: %v", err)
	}
	s, err := a.agent.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stored := cloudCount(t, dir, "SELECT count(*) FROM chunk")
	if acked := s.Blobs.Chunks - s.Blobs.Unsent; s.Blobs.Unsent == 0 || acked > stored {
		t.Errorf("%d chunks acknowledged, %d stored: %+v", acked, stored, s.Blobs)
	}
	if !strings.Contains(s.Cloud.Error, "full") {
		t.Errorf("the status says %q", s.Cloud.Error)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	a.sync()
	b := person.join(t, "b", cloud.URL)
	b.sync()
	same(t, a, b)
	if s, err = a.agent.Status(t.Context()); err != nil || s.Cloud.Error != "" {
		t.Errorf("with room again the status says %q, %v", s.Cloud.Error, err)
	}
	sameBytes(t, "picture", b.pictureBytes("large"), picture)
}

// fullStore is a store that has no room while full is set.
type fullStore struct {
	cloudstore.Store
	full    atomic.Bool
	refused atomic.Int64
}

func (f *fullStore) Commit(ctx context.Context, account seal.Account, versions []syncproto.CloudVersion) (syncproto.Committed, error) {
	if f.full.Load() {
		f.refused.Add(1)
		select { // as a real one: there is time to read the status while it tries
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
		return syncproto.Committed{}, &syncproto.Error{Code: syncproto.CodeDiskFull}
	}
	return f.Store.Commit(ctx, account, versions)
}

// TestFullCloudIsToldUntilThereIsRoom: an agent that runs says so whenever it is
// connected, also after its network was gone, and no more when all is sent.
func TestFullCloudIsToldUntilThereIsRoom(t *testing.T) {
	s, err := sqlitestore.Open(t.Context(), t.TempDir(), sqlitestore.Options{Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	store := &fullStore{Store: s}
	cloud := cloudtest.Start(t, cloudtest.Options{Store: store})
	person := newAccount(t)
	p := newProxy(t, cloud.Addr)
	a := person.join(t, "a", cloud.URL, p.through)
	a.add(record.Contacts, "early", "FN", "Early")
	a.sync()
	store.full.Store(true)
	a.add(record.Contacts, "late", "FN", "Late")
	a.run()
	full := func(s *agent.Status) bool { return strings.Contains(s.Cloud.Error, "full") }
	a.awaits("told that the cloud is full", full)

	ctx, cancel := context.WithCancel(t.Context())
	silent := make(chan string, 1)
	var watching sync.WaitGroup
	watching.Go(func() {
		a.agent.Watch(ctx, func(s agent.Status) bool {
			if connected := s.Cloud.State == agent.StateSyncing || s.Cloud.State == agent.StateLive; connected && !full(&s) && store.full.Load() {
				select {
				case silent <- s.Cloud.State:
				default:
				}
			}
			return true
		})
	})
	var gone atomic.Bool
	p.watch(func(syncproto.Message) bool { return !gone.Load() }, nil)
	for range 3 {
		gone.Store(true)
		a.agent.Kick()
		a.awaits("told that it is not reached", func(s *agent.Status) bool { return s.Cloud.Error != "" && !full(s) })
		gone.Store(false)
		seen := store.refused.Load()
		for deadline := time.Now().Add(20 * time.Second); store.refused.Load() == seen; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it does not come back")
			}
			a.agent.Kick()
		}
		a.awaits("told that the cloud is full", full)
	}
	store.full.Store(false)
	cancel()
	watching.Wait()
	select {
	case state := <-silent:
		t.Errorf("in state %s it said nothing of the full cloud", state)
	default:
	}
	a.agent.Kick()
	a.awaits("well", func(s *agent.Status) bool {
		return s.Cloud.State == agent.StateLive && s.Cloud.Error == "" && s.Kinds[record.Contacts].InSync
	})
}
