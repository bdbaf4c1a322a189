package endtoend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

// brakeless restarts a device so that nothing it does is held here.
func (d *device) brakeless() {
	d.t.Helper()
	d.opts.BrakePercent = 100
	d.reopen()
}

func personName(i int) string { return fmt.Sprintf("person-%d", i) }

func (d *device) addPersons(n int) {
	for i := range n {
		d.add(record.Contacts, personName(i), "FN", fmt.Sprintf("Person %d", i), "TEL", fmt.Sprintf("+45 %d", i), "NOTE", "met somewhere")
	}
}

// waiting gives the records that wait for a person, in and out.
func (d *device) waiting() (in, out int) {
	d.t.Helper()
	for r, err := range d.store.Held(context.Background()) {
		if err != nil {
			d.t.Fatal(err)
		}
		if r.Held.In != "" {
			in++
		}
		if r.Held.Out != "" {
			out++
		}
	}
	return in, out
}

// waitHeld waits until n records are held on the way in, in a session that is
// proven equal.
func (d *device) waitHeld(n int) {
	d.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		s, err := d.agent.Status(context.Background())
		if err != nil {
			d.t.Fatal(err)
		}
		k := s.Kinds[record.Contacts]
		if k.HeldIn == n && k.InSync && s.Cloud.State == agent.StateLive {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%s: not %d held: %+v", d.name, n, k)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (d *device) decide(on func(context.Context, record.Kind, ...record.ID) (int, error), want int) {
	d.t.Helper()
	if n, err := on(context.Background(), ""); err != nil || n != want {
		d.t.Fatalf("%s: decided on %d, %v, want %d", d.name, n, err, want)
	}
}

// texts gives the lines of all living contacts, in order.
func (d *device) texts() []string {
	d.t.Helper()
	var out []string
	for r, err := range d.store.List(context.Background(), record.Contacts, localstore.ListOptions{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		for _, f := range r.Fields {
			out = append(out, r.ID.String()+" "+string(f.Line))
		}
	}
	slices.Sort(out)
	return out
}

// A device deletes or empties everything while all are live. The others hold
// it, across restarts and a cloud that lost everything; one rejects, and every
// record is back on every device and the cloud.
func TestCase23BlankAll(t *testing.T) {
	const n = 500
	for name, destroy := range map[string]func(*device){
		"deleted": func(d *device) {
			for i := range n {
				d.remove(personName(i))
			}
		},
		"emptied": func(d *device) {
			for i := range n {
				d.add(record.Contacts, personName(i), "FN", "", "TEL", "", "NOTE", "")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			mad, b, c := person.join(t, "mad", cloud.URL), person.join(t, "b", cloud.URL), person.join(t, "c", cloud.URL)
			b.addPersons(n)
			settle(b, mad)
			c.sync()
			want := b.texts()
			b.run()
			c.run()
			b.waitLive()
			c.waitLive()

			destroy(mad)
			if err := mad.trySync(30 * time.Second); !errors.Is(err, agent.ErrHeld) || !errors.Is(err, agent.ErrNotInSync) {
				t.Fatalf("on its way out: %v", err)
			}
			if _, out := mad.waiting(); out != n {
				t.Fatalf("%d held on their way out", out)
			}
			mad.decide(mad.store.AcceptHeld, n)
			mad.sync()
			b.waitHeld(n)
			c.waitHeld(n)
			b.stop()
			if err := b.trySync(30 * time.Second); !errors.Is(err, agent.ErrHeld) || errors.Is(err, agent.ErrNotInSync) {
				t.Fatalf("sync while something waits: %v", err)
			}
			b.reopen()
			if in, _ := b.waiting(); in != n || !slices.Equal(b.texts(), want) {
				t.Fatalf("after a restart %d are held", in)
			}

			// Reseeded by devices that hold, the cloud has what it had.
			mad.stop()
			c.stop()
			before, err := mad.store.Digest(context.Background(), record.Contacts)
			if err != nil {
				t.Fatal(err)
			}
			cloud = cloud.Destroy()
			if err := b.trySync(30 * time.Second); !errors.Is(err, agent.ErrHeld) || errors.Is(err, agent.ErrNotInSync) {
				t.Fatalf("reseed while something waits: %v", err)
			}
			if d, err := b.store.Digest(context.Background(), record.Contacts); err != nil || !d.Equal(before) {
				t.Errorf("after the reseed the digest is %v, was %v: %v", d, before, err)
			}
			fresh := person.join(t, "fresh", cloud.URL)
			fresh.sync()
			if d, err := fresh.store.Digest(context.Background(), record.Contacts); err != nil || !d.Equal(before) {
				t.Errorf("a fresh device has %v, want %v: %v", d, before, err)
			}

			c.run()
			mad.run()
			c.waitHeld(n)
			mad.waitLive()
			b.run()
			b.waitLive()
			b.decide(b.store.RejectHeld, n)
			last := personName(n - 1)
			mad.has(last, "NOTE:met", 20*time.Second)
			c.waitHeld(0)
			mad.stop()
			b.stop()
			c.stop()
			for range 2 {
				for _, d := range []*device{b, mad, c, fresh} {
					d.sync()
				}
			}
			same(t, b, mad, c, fresh)
			for _, d := range []*device{b, mad, c, fresh} {
				if got := d.texts(); !slices.Equal(got, want) {
					t.Errorf("%s has %d lines after the reject, want %d", d.name, len(got), len(want))
				}
			}
		})
	}
}

func TestACleanUpIsNotHeld(t *testing.T) {
	a, b := pair(t)
	a.addPersons(60)
	settle(a, b)
	for i := range 15 {
		a.remove(personName(i))
	}
	settle(a, b)
	same(t, a, b)
	if in, out := b.waiting(); in+out != 0 || !b.get(personName(3)).Deleted {
		t.Errorf("%d held in, %d out", in, out)
	}
}

// While records are held, everything else goes on, and edits end the hold of
// the records they touch.
func TestAHoldBlocksNothing(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.addPersons(40)
	settle(a, b)
	a.brakeless()
	for i := range 40 {
		a.remove(personName(i))
	}
	a.sync()
	b.run()
	b.waitHeld(40)
	b.add(record.Contacts, "new", "FN", "New")
	b.set(personName(1), "NOTE", "edited while held")
	b.add(record.Notes, "note", "SUMMARY", "other kinds too")
	a.run()
	a.has("new", "FN:New", 10*time.Second)
	a.has("note", "SUMMARY:other", 10*time.Second)
	a.has(personName(1), "NOTE:edited while held", 10*time.Second)
	b.waitHeld(39)
	if r := a.get(personName(1)); r.Deleted || line(&r, "FN:Person 1") == "" {
		t.Errorf("edited while held: %+v", r)
	}
	b.decide(b.store.AcceptHeld, 39)
	b.stop()
	a.stop()
	settle(b, a)
	same(t, a, b)
	if got := len(b.texts()); got != 4 {
		t.Errorf("%d lines live", got)
	}
}
