package agent

import (
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"sidekeep/syncproto"
)

// The pauses between sessions.
const (
	pauseFirst  = 500 * time.Millisecond // mean of the first one
	pauseMax    = 5 * time.Minute        // mean of the longest
	pauseForked = time.Hour              // after a claim that may not be answered with a fork today, and of a revoked device
	atOnceMax   = 3                      // reconnects without a pause in a row
	// A session in which something was proven lets the pauses begin anew: at once
	// after one of a minute, else quickMax times, and one more each quickEvery. So
	// a link that breaks often gets on, and a cloud that plays with a device gets
	// tired of it.
	quickMax   = 16
	quickEvery = time.Minute
)

// ending is how a session ended.
type ending struct {
	err      error // nil in peace; wraps one of the sentinels of errors.go
	local    error // the store failed: not the network's fault
	retry    syncproto.Retry
	seconds  uint64 // with RetryAfter
	welcomed bool   // the cloud let the device in
	good     bool   // something was proven, and the cloud kept to the protocol
	lasted   time.Duration
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

// lasting reports whether it ended for a reason that coming back does not mend.
func (e *ending) lasting() bool {
	var said *syncproto.Error
	switch {
	case !e.welcomed:
		return false
	case errors.As(e.err, &said):
		return slices.Contains([]syncproto.Code{syncproto.CodeDiskFull, syncproto.CodeReadOnly, syncproto.CodeStorage, syncproto.CodeQuota}, said.Code)
	}
	return e.local != nil
}

// pause gives the time to wait between sessions: growing, with full jitter, so
// that a million devices do not come back in step, and without an end.
type pause struct {
	b      *backoff.ExponentialBackOff
	atOnce int
	quick  int       // times that a short session may still reset
	filled time.Time // when quick was last made larger
}

func newPause() *pause {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = pauseFirst, pauseMax, 2
	b.RandomizationFactor = 1 // uniform between nothing and twice the mean
	b.MaxElapsedTime = 0      // never give up
	b.Reset()
	return &pause{b: b, quick: quickMax, filled: time.Now()}
}

// worked takes a good session that lasted so long. It reports whether the pauses
// begin anew.
func (p *pause) worked(lasted time.Duration, now time.Time) bool {
	if n := int(now.Sub(p.filled) / quickEvery); n > 0 {
		p.quick = min(p.quick+n, quickMax)
		p.filled = now
	}
	if lasted < quickEvery {
		if p.quick == 0 {
			return false
		}
		p.quick--
	}
	p.reset()
	return true
}

func (p *pause) reset() {
	p.b.Reset()
	p.atOnce = 0
}

// after returns the time to wait after a session that ended like this.
func (p *pause) after(e ending) time.Duration {
	switch {
	case errors.Is(e.err, ErrForked), errors.Is(e.err, ErrRevoked):
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
