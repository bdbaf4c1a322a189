package hostile

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/liar"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// What a lying cloud may cost one sync of the little device of these tests.
const (
	timeMost     = 30 * time.Second
	sessionsMost = 40
	messagesMost = 80_000 // either way, with those that were on their way when the device hung up
	bytesMost    = 48 << 20
	heapMost     = 128 << 20 // beyond what there was, of all tests that run beside this one
)

// TestNoLieHarms has a device sync with a cloud that lies in one way, and then
// with the same cloud when it has become honest.
func TestNoLieHarms(t *testing.T) {
	for _, l := range liar.Lies {
		t.Run(strings.ReplaceAll(l.Name, " ", "-"), func(t *testing.T) { tell(t, l) })
	}
}

// relay is a liar on an address of its own.
type relay struct {
	*liar.Liar
	server *httptest.Server
}

func newRelay(t *testing.T, cloud string, s liar.Script) *relay {
	l := liar.New(cloud, s, func(err error) { t.Error(err) })
	r := &relay{l, httptest.NewServer(l)}
	t.Cleanup(func() {
		l.Cut()
		r.server.Close()
		l.Close()
	})
	return r
}

// through makes a device reach the real cloud's address at the liar: a man in
// the middle whom TLS did not stop.
func (r *relay) through(c *agent.Config) {
	addr := strings.TrimPrefix(r.server.URL, "http://")
	c.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
}

func tell(t *testing.T, l liar.Lie) {
	t.Parallel()
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	var old []syncproto.BatchItem
	// An honest past, written down by a proxy that has no script.
	recorder := newRelay(t, cloud.Addr, liar.Script{Up: func(_ *liar.Talk, m syncproto.Message) bool {
		if p, ok := m.(*syncproto.Push); ok {
			for _, v := range p.Versions {
				old = append(old, syncproto.BatchItem{Seq: 1, Header: v.Header, Body: v.Body})
			}
		}
		return true
	}})
	a := person.join(t, "a", cloud.URL)
	b := person.join(t, "b", cloud.URL, recorder.through)
	for i := range 40 {
		b.add(record.Contacts, fmt.Sprint("contact-", i), "FN", fmt.Sprint("Person ", i))
	}
	b.add(record.Notes, "note", "SUMMARY", "first")
	b.sync()
	for i := range 10 {
		b.set(fmt.Sprint("contact-", i), "NOTE", "second")
	}
	picture := b.picture("beach", 150_000)
	b.remove("contact-39")
	b.sync()
	a.sync()
	same(t, a, b)
	// What each does not know of the other when the lies begin.
	for i := range 12 {
		b.add(record.Contacts, fmt.Sprint("late-", i), "FN", "Late")
		b.add(record.Notes, fmt.Sprint("noted-", i), "SUMMARY", "Late")
	}
	late := b.picture("late", 100_000)
	b.sync()
	a.set("contact-1", "ORG", "edited before the lies")
	a.add(record.Events, "event", "SUMMARY", "made before the lies")
	a.remove("contact-38")
	own := a.picture("own", 130_000)
	before := a.shown()

	past, err := liar.NewPast(old)
	if err != nil {
		t.Fatal(err)
	}
	hostile := newRelay(t, cloud.Addr, l.Script(past))
	a.through(hostile.through)
	var top atomic.Uint64
	stop := watchHeap(&top)
	began := time.Now()
	limit := timeMost
	if l.Silent {
		limit = 3 * time.Second
	}
	err = a.trySync(limit)
	took := time.Since(began)
	stop()
	n := hostile.Counts()
	t.Logf("%v, %d sessions, %d messages and %d KB up, %d and %d KB down, %d KB of heap: %v",
		took.Round(time.Millisecond), n.Sessions, n.Up, n.BytesUp>>10, n.Down, n.BytesDown>>10, top.Load()>>10, err)
	if took > timeMost+5*time.Second || n.Sessions > sessionsMost || n.Up+n.Down > messagesMost || n.BytesUp+n.BytesDown > bytesMost || top.Load() > heapMost {
		t.Errorf("more than a lie may cost")
	}
	if lost := missing(before, a.shown()); len(lost) > 0 {
		t.Errorf("the lie changed %d records:\n%s", len(lost), strings.Join(lost, "\n"))
	}
	hostile.Cut()
	if err == nil { // it said that it is in sync: then that was true
		d := person.join(t, "d", cloud.URL)
		d.sync()
		if got, want := d.shown(), a.shown(); !slices.Equal(got, want) {
			t.Errorf("called in sync falsely:\n%s\n---\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		sameBytes(t, "a picture of this device", d.pictureBytes("own"), own)
	}

	a.through(nil)
	a.sync()
	b.sync()
	a.sync()
	c := person.join(t, "c", cloud.URL)
	c.sync()
	a.sync()
	same(t, a, b, c)
	if lost := missing(before, c.shown()); len(lost) > 0 {
		t.Errorf("%d records did not come through:\n%s", len(lost), strings.Join(lost, "\n"))
	}
	sameBytes(t, "a picture", c.pictureBytes("beach"), picture)
	sameBytes(t, "a picture of the other device", a.pictureBytes("late"), late)
	sameBytes(t, "a picture of this device", c.pictureBytes("own"), own)
}

// watchHeap keeps the most heap beyond what there is now.
func watchHeap(top *atomic.Uint64) (stop func()) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base := m.HeapInuse
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			runtime.ReadMemStats(&m)
			if m.HeapInuse > base && m.HeapInuse-base > top.Load() {
				top.Store(m.HeapInuse - base)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// missing returns the lines of before that are not in after.
func missing(before, after []string) []string {
	has := map[string]bool{}
	for _, l := range after {
		has[l] = true
	}
	var lost []string
	for _, l := range before {
		if !has[l] {
			lost = append(lost, l)
		}
	}
	return lost
}
