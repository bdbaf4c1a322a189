package endtoend

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

// lost returns what a device says that the cloud lost.
func (d *device) lost() []string {
	d.t.Helper()
	s, err := d.agent.Status(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	var said []string
	for _, p := range s.Problems {
		if p.Code == agent.ProblemCloudLost {
			said = append(said, p.Text)
		}
	}
	return said
}

// TestOnlyWhatTheCloudHadIsSaidToBeLost: pieces of pictures that are under way, and
// versions that others have overtaken, are no loss.
func TestOnlyWhatTheCloudHadIsSaidToBeLost(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	for _, name := range []string{"ada", "bob", "cyd"} {
		a.add(record.Contacts, name, "FN", name)
	}
	a.picture("beach", 300_000)
	a.sync()
	if said := a.lost(); len(said) != 0 {
		t.Errorf("a gave its first picture: %q", said)
	}
	settle(a, b)

	// The cloud that b meets again is another one, and has newer versions of two
	// records.
	a.set("ada", "NOTE", "newer")
	a.set("bob", "NOTE", "newer")
	a.sync()
	cloud = cloud.Destroy()
	a.sync()
	if said := a.lost(); !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "lost 3 of contacts") }) {
		t.Errorf("the cloud lost everything: %q", said)
	}
	b.sync()
	if said := a.lost(); !slices.Contains(said, "the cloud had lost 5 pieces of pictures; it has acknowledged them again") {
		t.Errorf("the cloud lost 5 pieces: %q", said)
	}
	if said := b.lost(); len(said) != 0 {
		t.Errorf("b has older versions than the cloud, which lost nothing of that: %q", said)
	}
	same(t, a, b)

	// A record goes, and its pieces with it.
	cloud.Stop()
	cloudSQL(t, cloud.Dir, "DELETE FROM version WHERE kind = 'pictures'", "DELETE FROM kind WHERE kind = 'pictures'", "DELETE FROM chunk WHERE chunk IN (SELECT chunk FROM chunk LIMIT 3)")
	cloud.Restart()
	b.sync()
	if said := b.lost(); len(said) != 2 || !slices.Contains(said, "the cloud had lost 3 pieces of pictures; it has acknowledged them again") {
		t.Errorf("the cloud lost a picture and 3 of its pieces: %q", said)
	}
	same(t, a, b)
}
