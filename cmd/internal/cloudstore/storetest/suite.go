package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// Clock is the clock of the stores under test.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Open opens the store of one test; called again after the store was closed,
// it opens the same data.
type Open func() (cloudstore.Store, error)

// Run runs the suite. newStore gives a place for one store; its clock must be
// the one given.
func Run(t *testing.T, newStore func(t *testing.T, clock *Clock) Open) {
	tests := []struct {
		name string
		run  func(*fixture)
	}{
		{"claims", testClaims},
		{"claim is bound to its device", testClaimDevice},
		{"devices seen", testDevicesSeen},
		{"the same state", testSameState},
		{"first push", testFirstPush},
		{"repeat writes before it answers", testRepeat},
		{"later version displaces", testDisplace},
		{"old version changes nothing", testDominated},
		{"concurrent versions stay until joined", testConcurrent},
		{"equal vectors", testEqualVectors},
		{"siblings limit", testSiblings},
		{"kinds limit", testKinds},
		{"accounts are apart", testAccounts},
		{"log pages", testLogPages},
		{"walk", testWalk},
		{"fetch", testFetch},
		{"reconcile", testReconcile},
		{"chunks", testChunks},
		{"proofs and report", testReport},
		{"copies of a device", testCopies},
		{"set aside", testSetAside},
		{"statements", testStatements},
		{"expiry", testExpiry},
		{"reopen", testReopen},
		{"many writers", testManyWriters},
		{"random histories", testRandom},
		{"many at once as one by one", testBulk},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clock := &Clock{now: time.Unix(1_800_000_000, 0)}
			f := &fixture{T: t, clock: clock, open: newStore(t, clock), ctx: context.Background()}
			f.reopen()
			test.run(f)
			f.verify()
			if err := f.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// fixture is one test's store.
type fixture struct {
	*testing.T
	cloudstore.Store
	clock *Clock
	open  Open
	ctx   context.Context
}

func (f *fixture) reopen() {
	f.Helper()
	if f.Store != nil {
		if err := f.Store.Close(); err != nil {
			f.Fatal(err)
		}
	}
	s, err := f.open()
	if err != nil {
		f.Fatal(err)
	}
	f.Store = s
}

// verify checks the whole store, at the end of every test.
func (f *fixture) verify() {
	f.Helper()
	if _, err := f.Verify(f.ctx, func(p cloudstore.Problem) { f.Errorf("verify: %s: %s", p.Kind, p.What) }); err != nil {
		f.Errorf("verify: %v", err)
	}
}

// author returns a replica whose claim was accepted.
func (f *fixture) author() *Author {
	f.Helper()
	a := NewAuthor(f.T)
	c := a.Claim(true)
	if got, err := f.Claim(f.ctx, c); err != nil || got.State != syncproto.ClaimAccepted {
		f.Fatalf("claim: %+v, %v", got, err)
	}
	a.Last = c.Pending[0]
	return a
}

func (f *fixture) push(a *Author, vs ...syncproto.CloudVersion) syncproto.Committed {
	f.Helper()
	for i := range vs {
		vs[i].Index = i
	}
	got, err := f.Commit(f.ctx, a.Account, vs)
	if err != nil {
		f.Fatal(err)
	}
	if len(got.Seqs) != len(vs) {
		f.Fatalf("%d sequences for %d versions", len(got.Seqs), len(vs))
	}
	return got
}

// held returns the antichain of a kind.
func (f *fixture) held(a *Author, kind record.Kind) map[syncproto.Ref]bool {
	f.Helper()
	held := map[syncproto.Ref]bool{}
	err := f.View(f.ctx, a.Account, kind, func(s rangeset.Set) error {
		return s.Scan(nil, nil, func(it rangeset.Item) bool {
			held[syncproto.NewRef(it.ID, it.Version)] = true
			return true
		})
	})
	if err != nil {
		f.Fatal(err)
	}
	return held
}

// wantHeld checks antichain, digest and log of a kind.
func (f *fixture) wantHeld(a *Author, kind record.Kind, want ...syncproto.CloudVersion) {
	f.Helper()
	held := f.held(a, kind)
	var d rangeset.Digest
	for _, v := range want {
		if !held[v.Ref] {
			f.Errorf("a version is missing")
		}
		d.Add(v.Ref.Version())
	}
	log, err := f.ReadLog(f.ctx, a.Account, kind, 0, syncproto.BatchBytesMax)
	if err != nil {
		f.Fatal(err)
	}
	if len(held) != len(want) || len(log.Items) != len(want) || log.State.Count != d.Count || log.State.Sum != d.Sum {
		f.Errorf("%d held, %d in the log, digest %d %x; want %d %x", len(held), len(log.Items), log.State.Count, log.State.Sum, d.Count, d.Sum)
	}
}

func wantCode(t testing.TB, err error, code syncproto.Code) {
	t.Helper()
	if !errors.Is(err, &syncproto.Error{Code: code}) {
		t.Errorf("got %v, want %s", err, code)
	}
}
