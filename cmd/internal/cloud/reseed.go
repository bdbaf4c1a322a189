package cloud

import (
	"math/rand/v2"
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

const (
	// bulkBytes is what an account may write without a place among those that
	// write in bulk: edits of a person stay far below.
	bulkBytes = 1 << 20
	// bulkFirst is how long a bulk is taken to last before one was seen.
	bulkFirst = 10 * time.Second
	// bulkTurn is what an account may write in its place before another that has
	// come for one takes it.
	bulkTurn = 16 << 20
	// waitLeast is the shortest wait that is asked for.
	waitLeast = 5 * time.Second
	// toldMax bounds the accounts whose turn is remembered.
	toldMax    = 65_536
	sweepEvery = 10 * time.Second
)

// reseeds lets so many accounts write in bulk at once, as all do when the cloud
// has come back empty, and tells the others when to come. Who has much to write
// keeps its place for a turn; then whoever comes takes it.
type reseeds struct {
	places int
	quiet  time.Duration // Limits.BulkQuiet

	mu       sync.Mutex // guards what follows
	accounts map[seal.Account]*bulk
	placed   map[*bulk]bool
	swept    time.Time
	turns    turns
	lasts    time.Duration // of a bulk: a moving mean
	rand     func() float64
}

// bulk is what one account wrote lately.
type bulk struct {
	bytes int64
	queue int       // messages of it that wait for the cloud
	had   int64     // bytes in its place
	since time.Time // when it got its place
	last  time.Time // when it last wrote, or its turn came
	due   time.Time // when it was told to come back
}

func newReseeds(places int, quiet time.Duration) *reseeds {
	return &reseeds{places: places, quiet: quiet, accounts: map[seal.Account]*bulk{}, placed: map[*bulk]bool{},
		turns: turns{least: waitLeast}, lasts: bulkFirst, rand: rand.Float64}
}

// queued says that a message of the account waits for the cloud: for memory, or
// to be stored. However long that takes, the account is not quiet meanwhile.
func (r *reseeds) queued(account seal.Account, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.of(account, now)
	if r.isQuiet(b, now) {
		r.end(b)
	}
	b.queue++
	b.last = now
}

// served says that a message that was queued, or written, waits no more.
func (r *reseeds) served(account seal.Account, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.of(account, now)
	b.queue--
	b.last = now
}

// write counts bytes of an account. It returns 0 if they may be written, which
// served ends, else the time to wait before the account comes back.
func (r *reseeds) write(account seal.Account, bytes int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.of(account, now)
	if r.isQuiet(b, now) {
		r.end(b)
	}
	if !r.placed[b] && b.bytes+int64(bytes) > bulkBytes {
		for o := range r.placed {
			if r.isQuiet(o, now) {
				r.end(o)
			}
		}
		if len(r.placed) >= r.places && (b.due.After(now) || !r.displace(now)) {
			return r.wait(b, now)
		}
		r.placed[b], b.since, b.had = true, now, 0
	}
	b.bytes += int64(bytes)
	b.had += int64(bytes)
	b.queue++
	b.last = now
	return 0
}

// of returns what is known of an account.
func (r *reseeds) of(account seal.Account, now time.Time) *bulk {
	r.sweep(now)
	b := r.accounts[account]
	if b == nil {
		b = &bulk{last: now}
		r.accounts[account] = b
	}
	return b
}

func (r *reseeds) isQuiet(b *bulk, now time.Time) bool {
	return b.queue == 0 && now.Sub(b.last) > r.quiet
}

// left says that no device of the account is connected any more.
func (r *reseeds) left(account seal.Account) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.accounts[account]; b != nil {
		r.end(b)
	}
}

// displace takes the place of the account that had the most in it, if that is a
// turn. It reports whether a place is free now. That account is told its next
// turn when it writes again.
func (r *reseeds) displace(now time.Time) bool {
	var most *bulk
	for o := range r.placed {
		if o.had >= bulkTurn && (most == nil || o.had > most.had) {
			most = o
		}
	}
	if most == nil {
		return false
	}
	r.vacate(most)
	r.turn(most, now)
	return true
}

// end ends a bulk: its place is free.
func (r *reseeds) end(b *bulk) {
	b.bytes = 0
	r.vacate(b)
}

func (r *reseeds) vacate(b *bulk) {
	if r.placed[b] {
		delete(r.placed, b)
		r.lasts += (b.last.Sub(b.since) - r.lasts) / 8
	}
}

// sweep forgets the accounts that wrote nothing lately and whose turn has
// passed. If that is not enough, it forgets turns.
func (r *reseeds) sweep(now time.Time) {
	full := len(r.accounts) >= toldMax
	if !full && now.Sub(r.swept) < sweepEvery {
		return
	}
	r.swept = now
	for account, b := range r.accounts {
		if r.isQuiet(b, now) && (full || now.After(b.due)) {
			r.end(b)
			delete(r.accounts, account)
		}
	}
}

// wait tells an account its turn: one for all its devices.
func (r *reseeds) wait(b *bulk, now time.Time) time.Duration {
	if !b.due.After(now) {
		r.turn(b, now)
	}
	return spread(max(b.due.Sub(now), waitLeast), r.rand)
}

func (r *reseeds) turn(b *bulk, now time.Time) {
	b.due = now.Add(r.turns.next(now, max(r.lasts, time.Second)/time.Duration(r.places)))
}

// turns hands out times at which to come back, one after the other.
type turns struct {
	least time.Duration // until the first
	due   time.Time
}

// next returns the time until the next turn, step after the one before.
func (t *turns) next(now time.Time, step time.Duration) time.Duration {
	if first := now.Add(t.least); t.due.Before(first) {
		t.due = first
	}
	if most := now.Add(waitMost); t.due.After(most) {
		t.due = most // the queue is longer than anybody may be asked to wait
	}
	t.due = t.due.Add(step)
	return min(t.due.Sub(now), waitMost)
}

const waitMost = syncproto.WaitSecondsMax * time.Second

// spread makes a wait longer by up to a half, so that those who are told at one
// time do not return at one time. Where the longest wait allows no more it makes
// it shorter.
func spread(wait time.Duration, rand func() float64) time.Duration {
	wait = min(wait, waitMost*2/3)
	return wait + time.Duration(rand()*float64(wait)/2)
}

// seconds rounds a wait up to what is said on the wire.
func seconds(wait time.Duration) uint64 {
	return min(uint64((wait+time.Second-1)/time.Second), syncproto.WaitSecondsMax)
}
