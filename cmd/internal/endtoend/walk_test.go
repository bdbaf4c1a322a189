package endtoend

import (
	"fmt"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// TestFirstSyncOverALinkThatBreaks: a device that never read a kind walks it. Its
// link breaks after every second answer, its battery is pulled, and the account
// changes meanwhile: it goes on where it was, compares nothing, and misses nothing.
func TestFirstSyncOverALinkThatBreaks(t *testing.T) {
	limits := syncproto.DefaultLimits()
	limits[syncproto.LimitWalk] = 4
	cloud := cloudtest.Start(t, cloudtest.Options{Protocol: limits})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	const n = 40
	for i := range n {
		a.add(record.Contacts, fmt.Sprintf("c%d", i), "FN", fmt.Sprintf("Contact %d", i))
	}
	a.add(record.Notes, "few", "SUMMARY", "A kind that one answer holds")
	a.sync()

	p := newProxy(t, cloud.Addr)
	b := person.join(t, "b", cloud.URL, p.through)
	given, answers, walks, ranges := 0, 0, 0, 0
	p.watch(func(m syncproto.Message) bool {
		switch m.(type) {
		case *syncproto.Walk:
			walks++
		case *syncproto.Range:
			ranges++
		}
		return true
	}, func(m syncproto.Message) bool {
		batch, ok := m.(*syncproto.Batch)
		if !ok || len(batch.Items) == 0 {
			return true
		}
		if answers++; answers%3 == 0 {
			return false
		}
		if batch.Upto != (syncproto.Ref{}) || batch.Next != 0 || batch.State != nil { // no answer to a fetch: the sample's
			given += len(batch.Items)
		}
		return true
	})
	edits := 0
	for try := 0; ; try++ {
		if try == 60 {
			t.Fatal("it never ends")
		}
		err := b.trySync(3 * time.Second)
		if err == nil {
			break
		}
		if try < 4 { // one that b may have, one that it may not, a new one, and one that goes
			a.set(fmt.Sprintf("c%d", try), "NOTE", "edited")
			a.set(fmt.Sprintf("c%d", n-1-try), "NOTE", "edited")
			a.add(record.Contacts, fmt.Sprintf("new%d", try), "FN", "New")
			a.remove(fmt.Sprintf("c%d", 10+try))
			edits += 4
			a.sync()
		}
		b.reopen()
	}
	same(t, a, b)
	if walks < n/4 || ranges > 0 {
		t.Errorf("%d walks, %d ranges", walks, ranges)
	}
	// What changes while it walks can come twice: walked, and from the log. When a link
	// breaks the answer before can be lost with it.
	if most := n + 1 + 2*edits + answers/3*4; given > most {
		t.Errorf("%d versions were given, %d at most are news", given, most)
	}
	// It is done: nothing is left of the walk.
	p.reset()
	b.sync()
	if p.up[syncproto.TypeWalk]+p.up[syncproto.TypePull]+p.up[syncproto.TypeRange] > 0 {
		t.Errorf("asks again: %v", p.up)
	}
}

// TestFirstSyncOfAnotherCloud: a walk that began is worth nothing to a cloud of
// another epoch.
func TestFirstSyncOfAnotherCloud(t *testing.T) {
	limits := syncproto.DefaultLimits()
	limits[syncproto.LimitWalk] = 4
	cloud := cloudtest.Start(t, cloudtest.Options{Protocol: limits})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	for i := range 30 {
		a.add(record.Contacts, fmt.Sprintf("c%d", i), "FN", fmt.Sprintf("Contact %d", i))
	}
	a.sync()
	p := newProxy(t, cloud.Addr)
	b := person.join(t, "b", cloud.URL, p.through)
	answers := 0
	p.watch(nil, func(m syncproto.Message) bool {
		if batch, ok := m.(*syncproto.Batch); ok && len(batch.Items) > 0 {
			answers++
			return answers <= 3
		}
		return true
	})
	if err := b.trySync(10 * time.Second); err == nil {
		t.Fatal("in sync over a link that broke")
	}
	s, err := b.agent.Status(t.Context())
	if err != nil || s.Kinds[record.Contacts].Live == 0 || s.Kinds[record.Contacts].Live == 30 || s.Kinds[record.Contacts].InSync {
		t.Fatalf("after a part: %+v, %v", s.Kinds[record.Contacts], err)
	}
	cursor, err := b.store.Cursor(t.Context(), record.Contacts)
	if err != nil || cursor.Part == nil {
		t.Fatalf("cursor %+v, %v", cursor, err)
	}
	cloud.Stop()
	another := cloudtest.Start(t, cloudtest.Options{Addr: cloud.Addr, Protocol: limits})
	p.watch(nil, nil)
	b.reopen()
	b.trySync(20 * time.Second) // a new cloud lacks all of it, and a has the rest
	a.sync()
	b.sync()
	same(t, a, b)
	if cursor, err = b.store.Cursor(t.Context(), record.Contacts); err != nil || cursor.Part != nil || cursor.Seq == 0 {
		t.Errorf("cursor %+v, %v", cursor, err)
	}
	another.Stop()
}

// TestWalkIsReadToTheEndBeforeItIsWritten: what came into the log since a walk
// began is joined with what was edited here meanwhile, and goes out once.
func TestWalkIsReadToTheEndBeforeItIsWritten(t *testing.T) {
	limits := syncproto.DefaultLimits()
	limits[syncproto.LimitWalk] = 4
	cloud := cloudtest.Start(t, cloudtest.Options{Protocol: limits})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	for i := range 30 {
		a.add(record.Contacts, fmt.Sprintf("c%d", i), "FN", fmt.Sprintf("Contact %d", i))
	}
	a.sync()
	p := newProxy(t, cloud.Addr)
	b := person.join(t, "b", cloud.URL, p.through)
	answers := 0
	p.watch(nil, func(m syncproto.Message) bool {
		if batch, ok := m.(*syncproto.Batch); ok && len(batch.Items) > 0 {
			answers++
			return answers <= 4
		}
		return true
	})
	if err := b.trySync(10 * time.Second); err == nil {
		t.Fatal("in sync over a link that broke")
	}
	b.reopen()
	both := ""
	for i := range 30 {
		if name := fmt.Sprintf("c%d", i); b.holds(name) {
			both = name
			break
		}
	}
	b.set(both, "FN", "b's")
	a.set(both, "FN", "a's")
	a.sync()
	pulled, pushed := false, 0
	p.watch(func(m syncproto.Message) bool {
		switch m := m.(type) {
		case *syncproto.Pull:
			pulled = pulled || m.Kind == record.Contacts
		case *syncproto.Push:
			for _, v := range m.Versions {
				if h, err := seal.ParseHeader(v.Header); err == nil && h.Kind == record.Contacts {
					pushed++
				}
			}
			if pushed > 0 && !pulled {
				t.Error("an edit goes out before all was read")
			}
		}
		return true
	}, nil)
	b.sync()
	if !pulled || pushed != 1 {
		t.Errorf("pulled %v, %d versions were pushed", pulled, pushed)
	}
	a.sync()
	same(t, a, b)
}
