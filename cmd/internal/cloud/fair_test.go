package cloud

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"sidekeep/syncproto/seal"
)

// order lets requests queue up behind a full fair and returns the accounts in
// the order in which they were let in, one at a time.
func order(t *testing.T, requests []request) []seal.Account {
	t.Helper()
	f := newFair(100, 100)
	holder, err := f.take(t.Context(), seal.Account{255}, 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	type granted struct {
		account seal.Account
		share   *share
	}
	let := make(chan granted, len(requests))
	for i, r := range requests {
		go func() {
			s, err := f.take(t.Context(), r.account, 100, int(r.size))
			if err != nil {
				t.Error(err)
			}
			let <- granted{r.account, s}
		}()
		for {
			f.mu.Lock()
			n := len(f.waiting)
			f.mu.Unlock()
			if n == i+1 {
				break
			}
			time.Sleep(10 * time.Microsecond)
		}
	}
	holder.release()
	var got []seal.Account
	for range requests {
		g := <-let
		got = append(got, g.account)
		g.share.release()
	}
	if f.free != 100 || len(f.used) != 0 || len(f.waiting) != 0 {
		t.Errorf("left behind: %d free, %d in use, %d waiting", f.free, len(f.used), len(f.waiting))
	}
	return got
}

// TestSmallRequestOvertakesMasses: an account that asks for little goes before
// all that was asked for earlier by accounts that ask for much.
func TestSmallRequestOvertakesMasses(t *testing.T) {
	var requests []request
	for device := range 50 {
		requests = append(requests, request{account: seal.Account{1}, size: 256 << 10}, request{account: seal.Account{byte(2 + device)}, size: 256 << 10})
	}
	requests = append(requests, request{account: seal.Account{200}, size: 300})
	if got := order(t, requests); got[0] != (seal.Account{200}) {
		t.Errorf("the small request came after %d others", 1+indexOf(got, seal.Account{200}))
	}
}

// TestOneAccountDoesNotStarveAnother: fifty devices of one account, and one with a
// hundred times the data of the others, get a share like everybody.
func TestOneAccountDoesNotStarveAnother(t *testing.T) {
	big, few := seal.Account{1}, []seal.Account{{2}, {3}, {4}}
	var requests []request
	for range 300 {
		requests = append(requests, request{account: big, size: 256 << 10})
	}
	for range 3 {
		for _, a := range few {
			requests = append(requests, request{account: a, size: 256 << 10})
		}
	}
	got := order(t, requests)
	bigs, others := 0, 0
	for _, a := range got {
		if a == big {
			bigs++
		} else if others++; bigs > others/len(few)+2 {
			t.Fatalf("after %d requests of others the big account had %d", others, bigs)
		}
	}
}

func indexOf(list []seal.Account, a seal.Account) int {
	for i := range list {
		if list[i] == a {
			return i
		}
	}
	return -1
}

func TestOneAccountHasAPartOnly(t *testing.T) {
	f := newFair(100, 40)
	a, b := seal.Account{1}, seal.Account{2}
	first, err := f.take(t.Context(), a, 40, 40)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := f.take(short, a, 10, 10)
		ended <- err
	}()
	// Another account passes by the one that has its part.
	second, err := f.take(t.Context(), b, 40, 40)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("more than its part: %v", err)
	}
	first.shrink(5)
	third, err := f.take(t.Context(), a, 35, 35)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*share{first, second, third, third, nil} {
		s.release()
	}
	if f.free != 100 || len(f.used) != 0 {
		t.Errorf("%d free, %v in use", f.free, f.used)
	}
}

// TestFairUnderCancellation: whoever gives up at whatever moment, nothing is lost
// and the bound holds.
func TestFairUnderCancellation(t *testing.T) {
	f := newFair(100, 60)
	done := make(chan bool)
	for g := range 16 {
		go func() {
			defer func() { done <- true }()
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					if r := rand.IntN(3); r > 0 {
						time.Sleep(time.Duration(r*20) * time.Microsecond)
					}
					cancel()
				}()
				s, err := f.take(ctx, seal.Account{byte(r.IntN(3))}, int64(1+r.IntN(60)), 10)
				if err == nil {
					f.mu.Lock()
					if f.free < 0 {
						t.Errorf("%d free", f.free)
					}
					f.mu.Unlock()
					s.release()
				}
				cancel()
			}
		}()
	}
	for range 16 {
		<-done
	}
	if f.free != 100 || len(f.used) != 0 || len(f.waiting) != 0 {
		t.Errorf("left behind: %d free, %v in use, %d waiting", f.free, f.used, len(f.waiting))
	}
}
