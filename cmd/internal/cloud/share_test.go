package cloud_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// order is a store that notes whose commits come to it, in their order.
type order struct {
	cloudstore.Store
	mu       sync.Mutex
	accounts []seal.Account
}

func (o *order) Commit(ctx context.Context, account seal.Account, vs []syncproto.CloudVersion) (syncproto.Committed, error) {
	o.mu.Lock()
	o.accounts = append(o.accounts, account)
	o.mu.Unlock()
	return o.Store.Commit(ctx, account, vs)
}

// giveBack pushes what is left with the window of the protocol.
func (d *device) giveBack(left <-chan syncproto.SealedVersion) error {
	for sent := 0; ; sent-- {
		for sent < syncproto.PushWindowMax {
			v, ok := <-left
			if !ok {
				break
			}
			b, err := syncproto.Encode(&syncproto.Push{ID: d.next(), Versions: []syncproto.SealedVersion{v}})
			if err != nil {
				return err
			}
			if err := d.conn.Write(context.Background(), b); err != nil {
				return err
			}
			sent++
		}
		if sent == 0 {
			return nil
		}
		m, err := d.try(time.Minute)
		if err != nil {
			return err
		}
		if _, ok := m.(*syncproto.Ack); !ok {
			return errors.New("no ack but " + m.Type().String())
		}
	}
}

// TestReseedIsSharedByAccount: one account gives back twenty times the data of the
// others, on eight times the devices. While another gives its data back, it has
// about as many turns as that one, counted where pushes come to the store; by
// devices it would have eight times as many.
func TestReseedIsSharedByAccount(t *testing.T) {
	sqlite, err := sqlitestore.Open(t.Context(), t.TempDir(), sqlitestore.Options{Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	store := &order{Store: sqlite}
	c := cloudtest.Start(t, cloudtest.Options{Store: store, Limits: cloud.Limits{Memory: cloud.MemoryMin, Reseeds: 8}})
	const each, others = 20, 3
	var all sync.WaitGroup
	begin := make(chan bool)
	var accounts []seal.Account
	for i := range 1 + others {
		pushes, devices := each, 2
		if i == 0 {
			pushes, devices = 20*each, 16
		}
		first := newDevice(t)
		accounts = append(accounts, first.id.Account)
		left := make(chan syncproto.SealedVersion, pushes)
		for n := range pushes {
			left <- first.big(record.ID{byte(n), byte(n >> 8)}, 50_000)
		}
		close(left)
		for n := range devices {
			d := first
			if n > 0 {
				d = first.sibling()
			}
			d.enter(c)
			all.Go(func() {
				<-begin
				if err := d.giveBack(left); err != nil {
					t.Error(err)
				}
			})
		}
	}
	close(begin)
	all.Wait()
	for _, account := range accounts[1:] {
		had, most := 0, 0
		for _, a := range store.accounts {
			switch {
			case a == account:
				had++
			case a == accounts[0] && had > 0 && had < each:
				most++
			}
		}
		t.Logf("while an account had %d turns, the one with the most had %d", had, most)
		// Between an ack and the next push of a device its turn goes to who asks, so
		// that it may be more than each.
		if had != each || most > 4*each {
			t.Errorf("an account had %d turns of its %d, the one with the most had %d meanwhile", had, each, most)
		}
	}
}

// TestWaitHoldsNobodyUp: a device that was told to wait, and takes its time to
// close, holds nothing that the other devices of its account wait for.
func TestWaitHoldsNobodyUp(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{Limits: cloud.Limits{Memory: cloud.MemoryMin, Reseeds: 1}})
	const bytes = 200_000
	busy := newDevice(t).enter(c)
	for n := range byte(8) { // takes the place
		busy.push(busy.big(record.ID{n}, bytes))
	}
	told := newDevice(t).enter(c)
	other := told.sibling().enter(c)
	for n := byte(0); ; n++ {
		told.send(&syncproto.Push{ID: told.next(), Versions: []syncproto.SealedVersion{told.big(record.ID{n}, bytes)}})
		m := told.recv()
		if _, ok := m.(*syncproto.Wait); ok {
			break
		}
		if _, ok := m.(*syncproto.Ack); !ok || n > 10 {
			t.Fatalf("%T after %d pushes", m, n)
		}
	}
	// told reads no more: the cloud waits for its part of the closing handshake.
	answer := make(chan syncproto.Message, 1)
	other.send(&syncproto.Push{ID: other.next(), Versions: []syncproto.SealedVersion{other.big(record.ID{100}, bytes)}})
	go func() {
		m, err := other.try(time.Minute)
		if err != nil {
			t.Error(err)
		}
		answer <- m
	}()
	// It is not behind what others do meanwhile: two are under way, or beside it.
	for turns := 0; ; turns++ {
		select {
		case m := <-answer:
			if _, ok := m.(*syncproto.Wait); !ok {
				t.Errorf("%T", m)
			}
			t.Logf("answered after %d turns of another account", turns)
			return
		default:
		}
		if turns > 30 {
			t.Fatalf("another account had %d turns, and the push has no answer yet", turns)
		}
		busy.push(busy.big(record.ID{byte(turns), 1}, bytes))
	}
}

// slow is a store whose commits of one account wait.
type slow struct {
	cloudstore.Store
	account seal.Account
	wait    chan struct{} // nil: they do not
	mu      sync.Mutex
}

func (s *slow) Commit(ctx context.Context, account seal.Account, vs []syncproto.CloudVersion) (syncproto.Committed, error) {
	s.mu.Lock()
	wait := s.wait
	s.mu.Unlock()
	if wait != nil && account == s.account {
		<-wait
	}
	return s.Store.Commit(ctx, account, vs)
}

// TestPlaceIsKeptWhileTheCloudIsSlow: an account that has the only place, and whose push
// waits in the cloud for longer than it may be quiet, keeps it: another is told to wait.
func TestPlaceIsKeptWhileTheCloudIsSlow(t *testing.T) {
	sqlite, err := sqlitestore.Open(t.Context(), t.TempDir(), sqlitestore.Options{Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	store := &slow{Store: sqlite}
	const quiet, bytes = time.Second, 200_000
	c := cloudtest.Start(t, cloudtest.Options{Store: store, Limits: cloud.Limits{Memory: cloud.MemoryMin, Reseeds: 1, BulkQuiet: quiet}})
	first, second := newDevice(t).enter(c), newDevice(t).enter(c)
	for n := range byte(8) {
		first.push(first.big(record.ID{n}, bytes))
	}
	wait := make(chan struct{})
	store.mu.Lock()
	store.account, store.wait = first.id.Account, wait
	store.mu.Unlock()
	first.send(&syncproto.Push{ID: first.next(), Versions: []syncproto.SealedVersion{first.big(record.ID{100}, bytes)}})
	time.Sleep(quiet * 3 / 2) // it waits so long
	told := false
	for n := byte(0); n < 8 && !told; n++ {
		second.send(&syncproto.Push{ID: second.next(), Versions: []syncproto.SealedVersion{second.big(record.ID{n}, bytes)}})
		_, told = second.recv().(*syncproto.Wait)
	}
	if !told {
		t.Error("the place went to another account while the cloud held up the first")
	}
	close(wait)
	if _, ok := first.recv().(*syncproto.Ack); !ok {
		t.Error("the first has no ack")
	}
}
