package endtoend

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

// purgeOld lets the trash of a device expire, in a session, and tells the cloud.
func (d *device) purgeOld(want int) {
	d.t.Helper()
	ctx := context.Background()
	d.run()
	d.waitLive()
	if err := d.store.Ran(ctx, 31*24*time.Hour); err != nil {
		d.t.Fatal(err)
	}
	n, err := d.store.Expire(ctx, 1000)
	if err != nil || n != want {
		d.t.Fatalf("%s: purged %d, %v, want %d", d.name, n, err, want)
	}
	d.stop()
	d.sync()
}

// A handset comes back after a year in which the others deleted and purged
// what it still has, edited what it deleted, and lost a cloud.
func TestOffForAYear(t *testing.T) {
	for name, lost := range map[string]string{"same cloud": "", "cloud lost, others first": "others", "cloud lost, the handset first": "handset"} {
		t.Run(name, func(t *testing.T) {
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			a, b, old := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL), person.join(t, "old", cloud.URL)
			const n = 12
			for _, group := range []string{"untouched", "purged", "edited", "deleted", "both"} {
				for i := range n {
					a.add(record.Contacts, fmt.Sprint(group, i), "FN", group, "TEL", "+45 1", "NOTE", "of old")
				}
			}
			a.sync()
			old.sync()
			old.remove("both0") // its own, which all know
			settle(old, a)
			b.sync()
			same(t, a, b, old)

			// On the handset, never sent: an edit of one that others purge, two
			// edits and a deletion of some that others edit, a deletion of one
			// that others purge, a new one.
			old.set("purged1", "NOTE", "edited before the year")
			old.set("edited1", "TEL", "+45 2")
			old.remove("edited2")
			old.remove("purged2")
			old.add(record.Contacts, "new-old", "FN", "New on the handset")

			// The others, in the year.
			for i := range n {
				a.remove(fmt.Sprint("purged", i))
				b.set(fmt.Sprint("edited", i), "NOTE", "edited in the year")
			}
			settle(a, b)
			b.add(record.Contacts, "new-b", "FN", "New in the year")
			b.sync()
			a.purgeOld(n + 1)
			b.sync()
			for i := range 3 { // in the trash, not yet purged
				b.remove(fmt.Sprint("deleted", i))
			}
			settle(b, a)
			if lost != "" {
				cloud.Destroy()
			}
			if lost == "others" {
				settle(a, b)
			}

			old.sync()
			for range 2 {
				settle(a, b)
				old.sync()
			}
			same(t, a, b, old)
			for _, d := range []*device{a, b, old} {
				for i := range n {
					if r := d.get(fmt.Sprint("purged", i)); r.Deleted == (i == 1) {
						t.Errorf("%s: purged%d: deleted is %v", d.name, i, r.Deleted)
					}
					if r := d.get(fmt.Sprint("deleted", i)); r.Deleted != (i < 3) {
						t.Errorf("%s: deleted%d: deleted is %v", d.name, i, r.Deleted)
					}
					if r := d.get(fmt.Sprint("edited", i)); r.Deleted || line(&r, "NOTE:edited in the year") == "" || line(&r, "FN:edited") == "" {
						t.Errorf("%s: edited%d: %+v", d.name, i, r)
					}
					if r := d.get(fmt.Sprint("untouched", i)); r.Deleted || len(r.Fields) != 3 {
						t.Errorf("%s: untouched%d: %+v", d.name, i, r)
					}
				}
				// The edit of a purged record brings it back whole.
				if r := d.get("purged1"); line(&r, "NOTE:edited before") == "" || line(&r, "FN:purged") == "" || line(&r, "TEL:+45 1") == "" {
					t.Errorf("%s: edited here, purged there: %+v", d.name, r)
				}
				if r := d.get("edited1"); line(&r, "TEL:+45 2") == "" {
					t.Errorf("%s: edited on both: %+v", d.name, r)
				}
				if !d.get("both0").Deleted || d.get("new-old").Deleted || d.get("new-b").Deleted {
					t.Errorf("%s: both0, new-old or new-b", d.name)
				}
			}
		})
	}
}

// A handset comes back to a world that deleted and purged most of what it has:
// it holds that, and whatever is decided is the same everywhere.
func TestOffForAYearWithAMassDeletion(t *testing.T) {
	for _, accept := range []bool{true, false} {
		t.Run(fmt.Sprintf("accept=%v", accept), func(t *testing.T) {
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			a, old := person.join(t, "a", cloud.URL), person.join(t, "old", cloud.URL)
			a.addPersons(60)
			settle(a, old)
			a.brakeless()
			for i := range 50 {
				a.remove(personName(i))
			}
			a.sync()
			a.purgeOld(50)
			old.set(personName(1), "NOTE", "edited before the year")
			old.trySync(30 * time.Second)
			if in, _ := old.waiting(); in != 49 {
				t.Fatalf("%d held", in)
			}
			lines := 11 * 3
			if accept {
				old.decide(old.store.AcceptHeld, 49)
			} else {
				old.decide(old.store.RejectHeld, 49)
				lines = 60 * 3
			}
			settle(old, a)
			same(t, a, old)
			for _, d := range []*device{a, old} {
				if got := len(d.texts()); got != lines {
					t.Errorf("%s: %d lines live, want %d", d.name, got, lines)
				}
				if r := d.get(personName(1)); r.Deleted || line(&r, "NOTE:edited before") == "" || line(&r, "FN:Person 1") == "" {
					t.Errorf("%s: the edit: %+v", d.name, r)
				}
			}
		})
	}
}
