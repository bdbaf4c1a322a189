package cloud

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

func numbered(n int) (a seal.Account) {
	binary.BigEndian.PutUint32(a[:], uint32(n))
	return a
}

// TestReseedPlaces: so many accounts write in bulk at once; edits of a person
// never wait; a place is free again when its account falls quiet.
func TestReseedPlaces(t *testing.T) {
	r, now := newReseeds(2, BulkQuietDefault), time.Unix(1_000_000, 0)
	bulk := func(account int) (wait time.Duration) {
		for range 8 {
			if wait = r.write(numbered(account), 256<<10, now); wait > 0 {
				return wait
			}
			r.served(numbered(account), now)
		}
		return 0
	}
	if bulk(1) > 0 || bulk(2) > 0 {
		t.Fatal("no place in an empty cloud")
	}
	if bulk(3) == 0 {
		t.Error("a third account writes in bulk")
	}
	if bulk(1) > 0 {
		t.Error("an account lost its place in the midst of its bulk")
	}
	for i := range 1000 {
		if r.write(numbered(10), 400, now.Add(time.Duration(i)*time.Millisecond)) > 0 {
			t.Fatal("an edit of a person had to wait")
		}
	}
	if r.write(numbered(2), 400, now) > 0 {
		t.Fatal("an account lost its place")
	}
	now = now.Add(BulkQuietDefault + time.Millisecond)
	r.served(numbered(2), now)
	if bulk(3) > 0 {
		t.Error("a quiet account kept its place")
	}
	if bulk(4) == 0 {
		t.Error("account 2 lost its place while its write was under way")
	}
}

// TestWaitingIsNotQuiet: on a cloud so busy that each message waits longer for
// memory and for its turn to be stored than an account may be quiet, accounts that
// write in bulk still count as that: they have the places, and others wait.
func TestWaitingIsNotQuiet(t *testing.T) {
	r, now := newReseeds(2, BulkQuietDefault), time.Unix(1_000_000, 0)
	const accounts, push = 5, 200 << 10
	told := map[int]bool{}
	wait := func() { now = now.Add(3 * BulkQuietDefault) }
	for range 12 {
		for a := range accounts {
			r.queued(numbered(a), now) // for memory
		}
		wait()
		for a := range accounts {
			r.served(numbered(a), now)
			if !told[a] && r.write(numbered(a), push, now) > 0 {
				told[a] = true
			}
		}
		wait() // to be stored
		for a := range accounts {
			if !told[a] {
				r.served(numbered(a), now)
			}
		}
	}
	if len(told) != accounts-2 || told[0] || told[1] {
		t.Errorf("told to wait: %v; accounts 0 and 1 have the places", told)
	}
	for _, b := range r.accounts {
		if b.queue != 0 {
			t.Errorf("%d messages are said to wait", b.queue)
		}
	}
	now = now.Add(BulkQuietDefault + time.Millisecond)
	for range 8 {
		if r.write(numbered(4), push, now) > 0 {
			t.Fatal("accounts that are quiet keep their places")
		}
	}
}

// TestPlacesGoAround: accounts that have very much to write do not keep all places
// until they are through. A small one that comes when it was told to has a place
// after one turn of theirs at most, keeps it for all it has, and they go on after.
func TestPlacesGoAround(t *testing.T) {
	r, now := newReseeds(2, BulkQuietDefault), time.Unix(1_000_000, 0)
	const push = 256 << 10
	wait := func(account int) time.Duration { return r.write(numbered(account), push, now) }
	both := func(pushes int) {
		t.Helper()
		for range pushes {
			if wait(1) > 0 || wait(2) > 0 {
				t.Fatal("an account lost its place to nobody")
			}
		}
	}
	both(bulkBytes/push + 2)
	for range bulkBytes / push {
		wait(3)
	}
	told := wait(3)
	if told == 0 {
		t.Fatal("a third account has a place while two are in their turn")
	}
	both(bulkTurn / push)
	if wait(3) == 0 {
		t.Error("an account took a place before it was told to come")
	}
	for due := now.Add(told); now.Before(due); now = now.Add(time.Second) {
		both(1)
	}
	for range bulkTurn / push {
		if wait(3) > 0 {
			t.Fatal("the account that came when it was told to has no place for a turn")
		}
	}
	if one, two := wait(1), wait(2); (one > 0) == (two > 0) {
		t.Errorf("one of two places is taken, but account 1 waits %v and account 2 %v", one, two)
	}
	r.left(numbered(3))
	both(3 * bulkTurn / push)
}

// TestWaitsGrowAndAreSpread: the more accounts were told to come back the later
// the next one is, an account's devices share its turn, nobody is told more than
// an hour, and those told at one time do not return at one time.
func TestWaitsGrowAndAreSpread(t *testing.T) {
	r, now := newReseeds(1, BulkQuietDefault), time.Unix(1_000_000, 0)
	r.rand = rand.New(rand.NewPCG(1, 2)).Float64
	r.write(numbered(0), bulkBytes+1, now)
	told := func(account int) time.Duration {
		w := r.write(numbered(account), bulkBytes+1, now)
		if s := seconds(w); w <= 0 || s < 1 || s > syncproto.WaitSecondsMax {
			t.Fatalf("account %d: %v, %d s on the wire", account, w, s)
		}
		return w
	}
	early, late, past := told(1), time.Duration(0), map[uint64]int{}
	for i := 2; i <= 100; i++ {
		late = told(i)
	}
	if early > 30*time.Second || late < 99*bulkFirst || late > 99*bulkFirst*3/2+waitLeast*2 {
		t.Errorf("the first waits %v, the hundredth %v", early, late)
	}
	before := r.turns.due
	for range 50 {
		told(100) // fifty devices
	}
	if r.turns.due != before {
		t.Error("devices of one account took turns of others")
	}
	for i := 1000; i < 4000; i++ {
		w := told(i)
		if i >= 2000 {
			past[seconds(w)]++
		}
	}
	for s, n := range past {
		if n > 20 {
			t.Errorf("%d of 2000 return in the same second %d", n, s)
		}
	}
	// The queue drains as time passes.
	now = now.Add(3 * time.Hour)
	r.write(numbered(0), bulkBytes+1, now)
	if w := told(5000); w > 30*time.Second {
		t.Errorf("hours later the first waits %v", w)
	}
}

// TestReseedsAreBounded: what is remembered of accounts has an end.
func TestReseedsAreBounded(t *testing.T) {
	r, now := newReseeds(1, BulkQuietDefault), time.Unix(1_000_000, 0)
	for i := range toldMax + 10_000 {
		r.write(numbered(i), bulkBytes+1, now)
		now = now.Add(time.Millisecond)
	}
	if n := len(r.accounts); n > toldMax+1 {
		t.Errorf("%d accounts", n)
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		l    Limits
		good bool
	}{
		{Limits{}, true},
		{Limits{Memory: MemoryMin}, true},
		{Limits{Memory: MemoryMin - 1}, false},
		{Limits{Memory: MemoryMin, Sessions: 10_000}, false},
		{Limits{Sessions: 10_000}, true},
		{Limits{Sessions: -1}, false},
	} {
		l, err := test.l.Filled()
		if (err == nil) != test.good {
			t.Errorf("%+v: %v", test.l, err)
		}
		if err == nil && l.receive()+l.send()+l.commit()+int64(l.Sessions)*sessionBytes+int64(l.Unauthenticated)*unauthenticatedBytes > l.Memory {
			t.Errorf("%+v holds more than %d MiB", l, l.Memory>>20)
		}
	}
}
