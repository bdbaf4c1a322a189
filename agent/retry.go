package agent

import (
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"

	"sidekeep/syncproto"
)

// The pauses between sessions.
const (
	pauseFirst  = 500 * time.Millisecond // mean of the first one
	pauseMax    = 5 * time.Minute        // mean of the longest
	pauseForked = time.Hour              // after a stale claim that may not be answered with a fork today
	atOnceMax   = 3                      // reconnects without a pause in a row
)

// ending is how a session ended.
type ending struct {
	err      error // nil in peace; wraps one of the sentinels of errors.go
	local    error // the store failed: not the network's fault
	retry    syncproto.Retry
	seconds  uint64 // with RetryAfter
	welcomed bool   // the cloud let the device in
	good     bool   // something was proven
}

func (e *ending) text() string {
	switch {
	case e.local != nil:
		return e.local.Error()
	case e.err != nil:
		return e.err.Error()
	}
	return ""
}

// pause gives the time to wait between sessions: growing, with full jitter, so
// that a million devices do not come back in step, and without an end.
type pause struct {
	b      *backoff.ExponentialBackOff
	atOnce int
}

func newPause() *pause {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = pauseFirst, pauseMax, 2
	b.RandomizationFactor = 1 // uniform between nothing and twice the mean
	b.MaxElapsedTime = 0      // never give up
	b.Reset()
	return &pause{b: b}
}

func (p *pause) reset() {
	p.b.Reset()
	p.atOnce = 0
}

// after returns the time to wait after a session that ended like this.
func (p *pause) after(e ending) time.Duration {
	switch {
	case errors.Is(e.err, ErrForked):
		return pauseForked
	case e.retry == syncproto.RetryAtOnce && p.atOnce < atOnceMax:
		p.atOnce++
		return 0
	case e.retry == syncproto.RetryAfter:
		// Not all at the same second again.
		d := time.Duration(min(e.seconds, syncproto.WaitSecondsMax)) * time.Second
		return min(d+p.b.NextBackOff(), syncproto.WaitSecondsMax*time.Second)
	}
	return p.b.NextBackOff()
}
