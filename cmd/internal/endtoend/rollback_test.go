package endtoend

import (
	"context"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

// A rollback on one device arrives at the cloud and at the other, and undoes
// what that one did, too.
func TestRollbackArrivesEverywhere(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	a.add(record.Contacts, "bob", "FN", "Bob")
	a.add(record.Contacts, "eve", "FN", "Eve")
	settle(a, b)
	moment := time.Now()
	time.Sleep(5 * time.Millisecond)
	a.set("ada", "FN", "Gone mad")
	b.set("bob", "FN", "Gone mad elsewhere")
	b.remove("eve")
	a.add(record.Contacts, "spam", "FN", "Spam")
	settle(a, b)

	m, err := a.store.MomentAt(context.Background(), moment)
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.store.Rollback(context.Background(), localstore.RollbackOptions{To: m}, nil)
	if err != nil || r != (localstore.RollbackReport{Edited: 2, Undeleted: 1, Deleted: 1}) {
		t.Fatalf("rollback: %+v, %v", r, err)
	}
	settle(a, b)
	same(t, a, b)
	for name, want := range map[string]string{"ada": "FN:Ada", "bob": "FN:Bob", "eve": "FN:Eve"} {
		if got := b.get(name); got.Deleted || line(&got, "FN:") != want {
			t.Errorf("%s on the other device: deleted %v, %s", name, got.Deleted, line(&got, "FN:"))
		}
	}
	if got := b.get("spam"); !got.Deleted {
		t.Error("what came later is still on the other device")
	}
}
