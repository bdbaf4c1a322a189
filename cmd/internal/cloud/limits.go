package cloud

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"time"

	"sidekeep/syncproto"
)

// Limits bound what clients can make a cloud hold. The zero value is good: what
// is not set follows from Memory. LOAD.md has what was measured.
type Limits struct {
	// Memory is what the process should stay within, in bytes; 0 means
	// MemoryDefault. All queues get their sizes from it.
	Memory int64
	// Sessions is the number of connections at once; those above are told to wait.
	Sessions int
	// Unauthenticated is how many of them may not have authenticated yet. The
	// oldest of these makes room for a new one.
	Unauthenticated int
	// Reseeds is the number of accounts that write in bulk at once; others that
	// want to are told to wait.
	Reseeds int
	// BulkQuiet without a write ends an account's bulk: its place is free for
	// another. A device on a network too slow to fill it needs none. 0 means
	// BulkQuietDefault.
	BulkQuiet time.Duration

	// Bounds for one address (IPv6: one /64): connections at once, those that have
	// not authenticated yet, and new ones in a second. 0 means no bound.
	AddressConnections     int
	AddressUnauthenticated int
	AddressRate            int

	// AuthTime is how long a connection lives without authentication, from its
	// first packet; 0 means AuthTimeDefault.
	AuthTime time.Duration
	// Silence ends an authenticated connection on which nothing came for so long:
	// its device has vanished. 0 means SilenceDefault.
	Silence time.Duration
	// MessageGrace is the time in which a message that began, in or out, must be
	// whole; a second more for each BytesPerSecond bytes, the slowest link that is
	// served. 0 means MessageGraceDefault and BytesPerSecondDefault.
	MessageGrace   time.Duration
	BytesPerSecond int
}

// Defaults of Limits, and the bounds for one address that a public listener has.
const (
	MemoryDefault       = 512 << 20
	MemoryMin           = 64 << 20
	AuthTimeDefault     = 2 * syncproto.PreAuthSeconds * time.Second
	BulkQuietDefault    = 2 * time.Second
	MessageGraceDefault = 30 * time.Second

	BytesPerSecondDefault = 1024
	// SilenceDefault is longer than the longest time between two pings of a device.
	SilenceDefault = 45 * time.Minute

	AddressConnectionsPublic     = 1024
	AddressUnauthenticatedPublic = 64
	AddressRatePublic            = 64
)

const (
	sessionsMax        = 10_000
	unauthenticatedMax = 1024
	reseedsMax         = 64

	// What one of each may cost, as LOAD.md measured, rounded up.
	sessionBytes         = 24 << 10
	unauthenticatedBytes = 32 << 10

	// smallBytes is the largest message that counts as part of its session.
	smallBytes = 4 << 10
	// commitBytesLeast is what a small commit counts: as many as make two groups of
	// the store may be under way.
	commitBytesLeast = 8 << 10
	// commitBytesEach is what one account may have under way: a device that waits
	// for each ack has a fair share beside fifty that do not wait for each other.
	commitBytesEach = 512 << 10
	// receiveBytes is what a larger one may take while it comes and is decoded.
	receiveBytes = 2 * syncproto.MessageBytesMax
	// sendBytes is what an answer may take that is read from the store and sent.
	sendBytes = 2 * syncproto.BatchBytesMax
)

// ErrLimits is wrapped by New's error when limits contradict each other.
var ErrLimits = errors.New("these limits can not be kept")

// Filled returns the limits with their defaults. The error wraps ErrLimits.
func (l Limits) Filled() (Limits, error) {
	if l.Memory == 0 {
		l.Memory = MemoryDefault
	}
	if l.Memory < MemoryMin {
		return l, fmt.Errorf("%w: a cloud needs at least %d MiB of memory", ErrLimits, MemoryMin>>20)
	}
	set := func(n *int, share int64, each int64, most int) {
		if *n == 0 {
			*n = int(min(l.Memory/share/each, int64(most)))
		}
	}
	set(&l.Sessions, 2, sessionBytes, sessionsMax)
	set(&l.Unauthenticated, 8, unauthenticatedBytes, unauthenticatedMax)
	set(&l.Reseeds, 16, 1<<20, reseedsMax)
	if l.AuthTime == 0 {
		l.AuthTime = AuthTimeDefault
	}
	if l.Silence == 0 {
		l.Silence = SilenceDefault
	}
	if l.MessageGrace == 0 {
		l.MessageGrace = MessageGraceDefault
	}
	if l.BulkQuiet == 0 {
		l.BulkQuiet = BulkQuietDefault
	}
	if l.BytesPerSecond == 0 {
		l.BytesPerSecond = BytesPerSecondDefault
	}
	if l.Sessions < 0 || l.Unauthenticated < 0 || l.Reseeds < 0 || l.AddressConnections < 0 || l.AddressUnauthenticated < 0 || l.AddressRate < 0 {
		return l, fmt.Errorf("%w: a number is negative", ErrLimits)
	}
	need := int64(l.Sessions)*sessionBytes + int64(l.Unauthenticated)*unauthenticatedBytes
	if need > l.Memory*3/4 {
		return l, fmt.Errorf("%w: %d sessions and %d unauthenticated connections need %d MiB of memory, three quarters of %d MiB are theirs",
			ErrLimits, l.Sessions, l.Unauthenticated, need>>20, l.Memory>>20)
	}
	return l, nil
}

// receive, send and commit are the bytes that messages of these sorts may take
// together.
func (l Limits) receive() int64 { return max(l.Memory/8, 4*receiveBytes) }
func (l Limits) send() int64    { return max(l.Memory/8, 4*sendBytes) }
func (l Limits) commit() int64  { return min(max(l.Memory/128, 1<<20), 2<<20) }

// With many sessions garbage is collected when the heap has grown by half, not by
// all of it: 10,000 that are idle take 50 MB less so (LOAD.md). With few it would cost
// an eighth of the processor time of a bulk write.
const (
	gcSessions    = 1000
	gcPercentMany = 50
	gcPercentFew  = 100 // Go's own
)

// collect has garbage collected as fits so many sessions, a moment after there was
// one more or one less, unless GOGC in the environment says how.
func collect(sessions int, more bool) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	switch {
	case more && sessions == gcSessions:
		debug.SetGCPercent(gcPercentMany)
	case !more && sessions == gcSessions/2:
		debug.SetGCPercent(gcPercentFew)
	}
}

// Apply tells Go's garbage collector of the memory limit, unless GOMEMLIMIT does.
// A part is left for what Go does not count: SQLite's pages and the program.
func (l Limits) Apply() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	if l.Memory == 0 {
		l.Memory = MemoryDefault
	}
	debug.SetMemoryLimit(l.Memory * 3 / 4)
}
