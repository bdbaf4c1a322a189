package endtoend

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

func (d *device) waitLive() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var last agent.Status
	d.agent.Watch(ctx, func(s agent.Status) bool {
		last = s
		return !(s.Cloud.State == agent.StateLive && s.InSync())
	})
	if last.Cloud.State != agent.StateLive || !last.InSync() {
		d.t.Fatalf("%s: not live and in sync: %+v", d.name, last)
	}
}

func TestLiveEditIsOneMessageUpOneAckOneDown(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	pa, pb := newProxy(t, cloud.Addr), newProxy(t, cloud.Addr)
	a := person.join(t, "a", cloud.URL, pa.through)
	b := person.join(t, "b", cloud.URL, pb.through)
	a.add(record.Contacts, "ada", "FN", "Ada")
	a.run()
	b.run()
	a.waitLive()
	b.has("ada", "FN:Ada", 10*time.Second)
	b.waitLive()
	var took []time.Duration
	for _, note := range []string{"one", "two", "three", "four", "five"} {
		pa.reset()
		pb.reset()
		a.set("ada", "NOTE", note)
		took = append(took, b.has("ada", "NOTE:"+note, 5*time.Second))
		a.waitLive()
		b.waitLive()
		time.Sleep(50 * time.Millisecond)
		upA, downA := pa.total()
		upB, downB := pb.total()
		if upA != 1 || pa.count(true, syncproto.TypePush) != 1 || downA != 1 || pa.count(false, syncproto.TypeAck) != 1 {
			t.Errorf("%s: the writer sent %v and got %v", note, pa.up, pa.down)
		}
		if upB != 0 || downB != 1 || pb.count(false, syncproto.TypeBatch) != 1 {
			t.Errorf("%s: the reader sent %v and got %v", note, pb.up, pb.down)
		}
	}
	slices.Sort(took)
	t.Logf("from the write on one device to the read on the other: median %v, longest %v", took[len(took)/2], took[len(took)-1])
	if took[len(took)-1] > time.Second {
		t.Errorf("took %v", took)
	}
	same(t, a, b)
}

func TestIdleSessionCostsNothing(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	p := newProxy(t, cloud.Addr)
	a := newAccount(t).join(t, "a", cloud.URL, p.through)
	a.add(record.Notes, "n", "SUMMARY", "x")
	a.run()
	a.waitLive()
	time.Sleep(300 * time.Millisecond)
	p.reset()
	before := commits(t, filepath.Join(a.dir, localstore.FileName))
	time.Sleep(3 * time.Second)
	if n := commits(t, filepath.Join(a.dir, localstore.FileName)) - before; n != 0 {
		t.Errorf("%d commits while idle", n)
	}
	if up, down := p.total(); up+down != 0 {
		t.Errorf("%d messages up and %d down while idle", up, down)
	}
}

func TestReturnsAfterTheCloudWasAway(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.run()
	b.run()
	a.waitLive()
	b.waitLive()
	cloud.Stop()
	a.add(record.Notes, "n1", "SUMMARY", "written while the cloud was away")
	b.add(record.Notes, "n2", "SUMMARY", "on the other, too")
	cloud.Restart()
	b.has("n1", "SUMMARY:written", 20*time.Second)
	a.has("n2", "SUMMARY:on", 20*time.Second)
	a.waitLive()
	b.waitLive()
	same(t, a, b)
}

func TestSilentNetworkIsNoticed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the keeper")
	}
	cloud := cloudtest.Start(t, cloudtest.Options{})
	p := newProxy(t, cloud.Addr)
	a := newAccount(t).join(t, "a", cloud.URL, p.through)
	a.run()
	a.waitLive()
	var swallowed = make(chan struct{})
	release := make(chan struct{})
	p.watch(func(m syncproto.Message) bool {
		if m.Type() == syncproto.TypePush {
			select {
			case <-swallowed:
			default:
				close(swallowed)
				<-release // the network swallows what comes from here on
			}
		}
		return true
	}, nil)
	a.add(record.Notes, "n", "SUMMARY", "into the void")
	<-swallowed
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	start := time.Now()
	noticed := false
	a.agent.Watch(ctx, func(s agent.Status) bool {
		noticed = noticed || s.Cloud.State != agent.StateLive
		return !noticed
	})
	close(release)
	if !noticed {
		t.Fatal("not noticed")
	}
	t.Logf("noticed after %v", time.Since(start))
	a.waitLive()
}

// TestSlowNetworkIsNotTakenForASilentOne sends chunks that take half a minute
// each.
func TestSlowNetworkIsNotTakenForASilentOne(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a slow network")
	}
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	p := newProxy(t, cloud.Addr)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL, p.through)
	a.picture("large", localstore.ChunkBytes)
	a.sync()
	p.slow = 2000
	if err := b.trySync(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if n := p.count(true, syncproto.TypeHello); n != 1 {
		t.Errorf("%d sessions", n)
	}
	same(t, a, b)
}
