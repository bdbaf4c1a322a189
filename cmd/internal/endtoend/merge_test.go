package endtoend

import (
	"context"
	"errors"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

// pair makes two devices that hold the same contact "ada".
func pair(t *testing.T) (a, b *device) {
	t.Helper()
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b = person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada Lovelace", "NOTE", "first")
	a.sync()
	b.sync()
	same(t, a, b)
	return a, b
}

// settle lets both sides see all of the other's.
func settle(a, b *device) {
	a.sync()
	b.sync()
	a.sync()
}

func TestOfflineEditsOfDifferentFieldsBothStand(t *testing.T) {
	a, b := pair(t)
	a.set("ada", "NOTE", "from a")
	b.set("ada", "ORG", "from b")
	settle(a, b)
	same(t, a, b)
	r := a.get("ada")
	if line(&r, "NOTE:from a") == "" || line(&r, "ORG:from b") == "" || len(r.Conflicts) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestOfflineEditsOfTheSameFieldKeepBothValues(t *testing.T) {
	a, b := pair(t)
	a.set("ada", "NOTE", "from a")
	b.set("ada", "NOTE", "from b")
	settle(a, b)
	same(t, a, b)
	r := a.get("ada")
	if len(r.Conflicts) != 1 || len(r.Conflicts[0].Siblings) != 2 {
		t.Fatalf("conflicts: %+v", r.Conflicts)
	}
	b.set("ada", "NOTE", "both seen")
	b.sync()
	a.sync()
	same(t, a, b)
	if r := a.get("ada"); len(r.Conflicts) != 0 || line(&r, "NOTE:both seen") == "" {
		t.Errorf("after a write that saw both: %+v", r)
	}
}

func TestOfflineEditAgainstDeleteKeepsTheRecord(t *testing.T) {
	a, b := pair(t)
	a.remove("ada")
	b.set("ada", "NOTE", "still needed")
	settle(a, b)
	same(t, a, b)
	if r := a.get("ada"); r.Deleted || line(&r, "NOTE:still needed") == "" || line(&r, "FN:Ada Lovelace") == "" {
		t.Errorf("got %+v", r)
	}
}

func TestOfflineDeleteAgainstDelete(t *testing.T) {
	a, b := pair(t)
	a.remove("ada")
	b.remove("ada")
	settle(a, b)
	same(t, a, b)
	if !a.get("ada").Deleted {
		t.Error("not deleted")
	}
	a.undelete("ada")
	settle(a, b)
	same(t, a, b)
	if r := b.get("ada"); r.Deleted || line(&r, "FN:Ada Lovelace") == "" {
		t.Errorf("undelete: got %+v", r)
	}
}

func TestUndeleteReachesTheOther(t *testing.T) {
	a, b := pair(t)
	a.remove("ada")
	settle(a, b)
	if !b.get("ada").Deleted {
		t.Error("the delete did not arrive")
	}
	b.undelete("ada")
	b.set("ada", "ORG", "back")
	settle(b, a)
	same(t, a, b)
	if r := a.get("ada"); r.Deleted || line(&r, "ORG:back") == "" {
		t.Errorf("got %+v", r)
	}
}

func TestAMassDeletionIsHeld(t *testing.T) {
	a, b := pair(t)
	var names []string
	for i := range 40 {
		names = append(names, string(rune('A'+i))+"-contact")
		a.add(record.Contacts, names[i], "FN", names[i])
	}
	settle(a, b)
	a.remove(names...)
	err := a.trySync(20 * time.Second)
	if !errors.Is(err, agent.ErrHeld) || !errors.Is(err, agent.ErrNotInSync) {
		t.Fatalf("sync with a held deletion: %v", err)
	}
	b.sync()
	if b.get(names[0]).Deleted {
		t.Error("a held deletion left the device")
	}
	if n, err := a.store.AcceptHeld(context.Background(), record.Contacts); err != nil || n != len(names) {
		t.Fatalf("accept: %d, %v", n, err)
	}
	a.sync()
	if err := b.trySync(20 * time.Second); !errors.Is(err, agent.ErrHeld) || errors.Is(err, agent.ErrNotInSync) {
		t.Fatalf("sync with a deletion that came: %v", err)
	}
	if b.get(names[0]).Deleted {
		t.Error("a mass deletion from elsewhere was applied")
	}
	if n, err := b.store.AcceptHeld(context.Background(), ""); err != nil || n != len(names) {
		t.Fatalf("accept: %d, %v", n, err)
	}
	settle(b, a)
	same(t, a, b)
	if !b.get(names[0]).Deleted {
		t.Error("an accepted deletion was not applied")
	}
}

func TestUnknownKindsAndKeysAreCarried(t *testing.T) {
	a, b := pair(t)
	a.add("recipes", "soup", "X-TITLE", "Soup", "X-STEP.one", "boil")
	a.set("ada", "X-UNKNOWN", "kept")
	a.sync()
	b.sync()
	b.set("soup", "X-STEP.two", "eat")
	settle(b, a)
	same(t, a, b)
	if r := a.get("soup"); r.Kind != "recipes" || line(&r, "X-STEP.two:eat") == "" {
		t.Errorf("got %+v", r)
	}
}
