package cloud

import (
	"context"
	"sync"

	"sidekeep/syncproto/seal"
)

// fair shares a number of bytes between accounts, so that nobody waits for
// another's masses: self-clocked fair queueing (Golestani, INFOCOM 1994). Each
// request gets a tag: its size, added to its account's last tag or, if that is
// past, to the clock, which is the tag that was let in last. The lowest tag goes
// first. So an account has the same share with one device or fifty, and a small
// request of an account that asks for little overtakes all that ask for much.
type fair struct {
	mu      sync.Mutex
	free    int64
	each    int64 // one account's part at most
	clock   uint64
	last    map[seal.Account]uint64 // tags after the clock
	used    map[seal.Account]int64
	waiting []*request // bounded by the sessions, each of which waits once at a time
}

type request struct {
	account seal.Account
	size    int64
	tag     uint64
	granted chan struct{}
}

// requestCost is what a request of no size costs its account.
const requestCost = 512

// newFair shares bytes; one account gets at most each of them.
func newFair(bytes, each int64) *fair {
	return &fair{free: bytes, each: each, last: map[seal.Account]uint64{}, used: map[seal.Account]int64{}}
}

// share is a part of a fair. Its methods may be called by one goroutine at a time.
type share struct {
	f       *fair
	account seal.Account
	size    int64
}

// take waits until account may use size bytes, which is at most one account's
// part. cost, also in bytes, is what counts for whose turn it is.
func (f *fair) take(ctx context.Context, account seal.Account, size int64, cost int) (*share, error) {
	size = min(size, f.each)
	f.mu.Lock()
	r := &request{account: account, size: size, tag: max(f.clock, f.last[account]) + uint64(cost) + requestCost}
	f.last[account] = r.tag
	if len(f.waiting) == 0 && f.fits(r) {
		f.grant(r)
		f.mu.Unlock()
		return &share{f, account, size}, nil
	}
	r.granted = make(chan struct{})
	f.waiting = append(f.waiting, r)
	f.next()
	f.mu.Unlock()
	select {
	case <-r.granted:
		return &share{f, account, size}, nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, w := range f.waiting {
		if w == r {
			f.drop(i)
			return nil, ctx.Err()
		}
	}
	f.put(account, size) // it was granted meanwhile
	return nil, ctx.Err()
}

// shrink gives back all but size bytes.
func (s *share) shrink(size int64) {
	if s == nil || size >= s.size {
		return
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.put(s.account, s.size-size)
	s.size = size
}

// release gives back everything. Releasing twice is harmless.
func (s *share) release() { s.shrink(0) }

func (f *fair) fits(r *request) bool { return r.size <= f.free && f.used[r.account]+r.size <= f.each }

func (f *fair) grant(r *request) {
	f.free -= r.size
	f.used[r.account] += r.size
	f.clock = max(f.clock, r.tag)
	if r.granted != nil {
		close(r.granted)
	}
}

func (f *fair) put(account seal.Account, size int64) {
	f.free += size
	if f.used[account] -= size; f.used[account] == 0 {
		delete(f.used, account)
	}
	f.next()
}

// next lets in who may go, in the order of tags. One that needs more than is free
// is waited for: small ones would else pass it for ever. An account that has its
// part already is passed by.
func (f *fair) next() {
	for {
		best := -1
		for i, r := range f.waiting {
			if (best < 0 || r.tag < f.waiting[best].tag) && f.used[r.account]+r.size <= f.each {
				best = i
			}
		}
		if best < 0 || !f.fits(f.waiting[best]) {
			break
		}
		r := f.waiting[best]
		f.drop(best)
		f.grant(r)
	}
	if len(f.last) > 2*len(f.waiting) {
		for account, tag := range f.last {
			if tag <= f.clock {
				delete(f.last, account)
			}
		}
	}
}

// drop takes a request out; the order does not matter.
func (f *fair) drop(i int) {
	end := len(f.waiting) - 1
	f.waiting[i] = f.waiting[end]
	f.waiting[end] = nil
	f.waiting = f.waiting[:end]
}
