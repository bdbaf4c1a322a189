package endtoend

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
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
