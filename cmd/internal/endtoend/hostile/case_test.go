package hostile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/liar"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// whileLive runs the agent, and calls do when its session is live.
func (d *device) whileLive(do func()) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.agent.Run(ctx) }()
	live := false
	d.agent.Watch(ctx, func(s agent.Status) bool {
		live = s.Cloud.State == agent.StateLive && s.InSync()
		return !live
	})
	if live {
		do()
	} else {
		d.t.Errorf("%s: not live", d.name)
	}
	cancel()
	if err := <-done; err != nil {
		d.t.Errorf("%s: run: %v", d.name, err)
	}
}

// Every version that the cloud ever got comes again, to a fresh device and to
// one whose trash has expired: nothing changes, and the fresh one converges.
func TestCase03ReplayAll(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	var old []syncproto.BatchItem
	recorder := newRelay(t, cloud.Addr, liar.Script{Up: func(_ *liar.Talk, m syncproto.Message) bool {
		if p, ok := m.(*syncproto.Push); ok && p.Versions != nil {
			for _, v := range p.Versions {
				old = append(old, syncproto.BatchItem{Header: v.Header, Body: v.Body})
			}
		}
		return true
	}})
	a := person.join(t, "a", cloud.URL, recorder.through)
	for i := range 10 {
		a.add(record.Contacts, fmt.Sprint("contact-", i), "FN", fmt.Sprint("Person ", i), "NOTE", "of old")
	}
	a.sync()
	for i := range 5 {
		a.set(fmt.Sprint("contact-", i), "NOTE", "edited")
	}
	a.sync()
	a.remove("contact-1", "contact-8", "contact-9")
	a.sync()
	a.whileLive(func() {
		if err := a.store.Ran(t.Context(), 31*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if n, err := a.store.Expire(t.Context(), 100); err != nil || n != 3 {
			t.Fatalf("purged %d: %v", n, err)
		}
	})
	a.sync()
	before := a.shown()

	replay := func(k *liar.Talk, m syncproto.Message) bool {
		if m.Type() != syncproto.TypeProof {
			return true
		}
		k.ToDevice(m)
		b := &syncproto.Batch{Kind: record.Contacts, Next: 20_000}
		for i, it := range old {
			it.Seq = syncproto.Seq(10_000 + i)
			b.Items = append(b.Items, it)
		}
		k.ToDevice(b)
		return false
	}
	relay := newRelay(t, cloud.Addr, liar.Script{Down: replay})
	fresh := person.join(t, "fresh", cloud.URL, relay.through)
	a.through(relay.through)
	for _, d := range []*device{a, fresh} {
		d.trySync(30 * time.Second)
		if got := d.shown(); !slices.Equal(got, before) {
			t.Errorf("%s: the replay changed it:\n%s\n---\n%s", d.name, strings.Join(got, "\n"), strings.Join(before, "\n"))
		}
	}
	relay.Cut()
	a.through(nil)
	fresh.through(nil)
	a.sync()
	fresh.sync()
	same(t, a, fresh)
	if got := fresh.shown(); !slices.Equal(got, before) {
		t.Errorf("the fresh device has\n%s\n---\n%s", strings.Join(got, "\n"), strings.Join(before, "\n"))
	}
}

// Cloud and clock say 2099: nothing expires that has not been there for the days
// that the agent ran.
func TestCase06Time2099(t *testing.T) {
	clock := time.Now()
	now := func() time.Time { return clock }
	cloud := cloudtest.Start(t, cloudtest.Options{Now: now})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL, func(c *agent.Config) { c.Now = now })
	b := person.join(t, "b", cloud.URL)
	for i := range 5 {
		a.add(record.Contacts, fmt.Sprint("contact-", i), "FN", fmt.Sprint("Person ", i))
	}
	a.sync()
	b.sync()
	before := a.shown()
	a.remove("contact-3")
	a.sync()
	clock = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	a.store.Now, b.store.Now = now, now
	a.whileLive(func() {
		if n, err := a.store.Expire(t.Context(), 100); err != nil || n != 0 {
			t.Errorf("purged %d: %v", n, err)
		}
		if err := a.store.Maintain(t.Context()); err != nil {
			t.Error(err)
		}
	})
	b.sync()
	if err := b.store.Undelete(t.Context(), uid("contact-3")); err != nil {
		t.Errorf("what was deleted before is not in the trash: %v", err)
	}
	b.sync()
	a.sync()
	same(t, a, b)
	if got := a.shown(); !slices.Equal(got, before) {
		t.Errorf("%s\n---\n%s", strings.Join(got, "\n"), strings.Join(before, "\n"))
	}
}

// A cloud that sends ranges, lists and pieces without end costs a bounded time
// and memory; one that asks for ten years is asked again within an hour or so.
// The seal over 4 GiB of zeros is a test of package seal.
func TestCase20Bomb(t *testing.T) {
	told := 0
	for _, l := range liar.Lies {
		switch l.Name {
		case "ranges that shrink by nothing", "a list of what does not exist", "a bomb of chunks":
			told++
			t.Run(strings.ReplaceAll(l.Name, " ", "-"), func(t *testing.T) { tell(t, l) })
		}
	}
	if told != 3 {
		t.Errorf("%d lies of 3", told)
	}
	t.Run("wait", func(t *testing.T) {
		cloud := cloudtest.Start(t, cloudtest.Options{})
		a := newAccount(t).join(t, "a", cloud.URL, newRelay(t, cloud.Addr, liar.Script{Down: func(k *liar.Talk, m syncproto.Message) bool {
			if m.Type() == syncproto.TypeWelcome {
				k.ToDevice(&syncproto.Wait{Seconds: 10 * 365 * 86400, Code: syncproto.CodeBusy})
				return false
			}
			return true
		}}).through)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- a.agent.Run(ctx) }()
		var retry *time.Time
		a.agent.Watch(ctx, func(s agent.Status) bool {
			if s.Cloud.State == agent.StateWaiting {
				retry = s.Cloud.Retry
			}
			return retry == nil
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if retry == nil || time.Until(*retry) > 2*syncproto.WaitSecondsMax*time.Second || time.Until(*retry) < time.Minute {
			t.Errorf("comes back %v", retry)
		}
	})
}
