package endtoend

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// TestAnAccountWithoutRoom: pieces of a picture that the account has no room for
// wait on their device, which says so; records go on, live, in both directions.
// When there is room, the rest goes up.
func TestAnAccountWithoutRoom(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{QuotaBytes: 1 << 20})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Notes, "n", "SUMMARY", "before")
	settle(a, b)
	picture := a.picture("large", 3_000_000)
	for range 2 { // a second sync says the same
		err := a.trySync(30 * time.Second)
		var not *agent.NotInSyncError
		if !errors.As(err, &not) || not.ChunksUnsent == 0 || len(not.Kinds) > 0 {
			t.Fatalf("sync without room for the picture: %v", err)
		}
		told := false
		for _, p := range not.Problems {
			told = told || p.Code == syncproto.ProblemQuota
		}
		if !told {
			t.Errorf("no problem says why: %v", err)
		}
	}
	stored := cloudCount(t, cloud.Dir, "SELECT count(*) FROM chunk")
	s, err := a.agent.Status(t.Context())
	if err != nil || s.Blobs.Chunks-s.Blobs.Unsent != stored || stored == 0 {
		t.Errorf("%d chunks at the cloud, %+v here, %v", stored, s.Blobs, err)
	}
	// What the account may delete, and small edits of what it holds, depend on
	// the room that is left; other accounts do not.
	other := newAccount(t).join(t, "other", cloud.URL)
	for i := range 20 {
		other.add(record.Notes, fmt.Sprint("o", i), "SUMMARY", "other")
	}
	other.sync()
	a.run()
	b.run()
	a.remove("n")
	for end := time.Now().Add(20 * time.Second); !b.get("n").Deleted; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the deletion did not come to b")
		}
	}
	a.stop()
	b.stop()

	cloud.QuotaBytes(64 << 20)
	cloud.Restart()
	a.sync()
	b.sync()
	same(t, a, b)
	sameBytes(t, "picture", b.pictureBytes("large"), picture)
}
