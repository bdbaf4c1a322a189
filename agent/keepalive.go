package agent

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// The keeping alive of an idle connection. A network translator forgets a
// silent connection after a time that nobody tells; pings keep it, but each
// costs battery. So the interval grows while pongs come and shrinks when one
// does not.
const (
	pingFirst   = 60 * time.Second
	pingLeast   = 20 * time.Second
	pingMost    = 28 * time.Minute
	pingAnswer  = 15 * time.Second // for a pong
	silenceMost = 12 * time.Second // without an answer that is due: ask whether the network is alive
	// answerMost is the time for an answer, however alive the network is: longer
	// than the slowest network that is borne takes for the largest message.
	answerMost = 10 * time.Minute
)

// interval is the adaptive part, without a clock.
type interval struct {
	now  time.Duration // between pings
	roof time.Duration // a length that was lost once; not tried again in this session
}

func newInterval(remembered time.Duration) interval {
	if remembered == 0 {
		remembered = pingFirst
	}
	return interval{now: min(max(remembered, pingLeast), pingMost), roof: pingMost}
}

// kept says that the connection survived a silence of the whole interval.
func (i *interval) kept() { i.now = min(i.now+i.now/4, i.roof) }

// lost says that it did not.
func (i *interval) lost() {
	i.roof = max(i.now-i.now/8, pingLeast)
	i.now = max(i.now/2, pingLeast)
}

var errSilent = errors.New("the network has fallen silent")

type pinger interface {
	Ping(ctx context.Context) error
}

// keeper watches one connection. Its methods may be called from any goroutine.
type keeper struct {
	conn pinger
	wake chan struct{} // holds one

	mu       sync.Mutex // guards what follows
	interval interval
	last     time.Time // when something was heard
	since    time.Time // when an answer became due; zero when none is
	paused   int       // writes and stalled reads under way
}

// heardConn tells a keeper of every byte that comes: a large message on a slow
// network is no silence. It is no answer, either.
type heardConn struct {
	net.Conn
	heard func()
}

func (c heardConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard()
	}
	return n, err
}

func newKeeper(conn pinger, remembered time.Duration) *keeper {
	return &keeper{conn: conn, wake: make(chan struct{}, 1), interval: newInterval(remembered), last: time.Now()}
}

func (k *keeper) heard() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = time.Now()
}

// progress says that a whole message came.
func (k *keeper) progress() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.since.IsZero() {
		k.since = time.Now()
	}
}

// pause says that a large write is under way or that nobody reads.
func (k *keeper) pause(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if on {
		k.paused++
		return
	}
	k.paused--
	k.last = time.Now()
	if !k.since.IsZero() {
		k.since = k.last
	}
}

// expect says whether an answer is due.
func (k *keeper) expect(due bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if due == !k.since.IsZero() {
		return
	}
	k.since = time.Time{}
	if due {
		k.since = time.Now()
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

// learned returns the interval that this network allowed.
func (k *keeper) learned() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.interval.now
}

// due returns how long to wait before a ping; 0 means now. idle says that the
// ping tests the whole interval.
func (k *keeper) due(now time.Time) (wait time.Duration, idle bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.since.IsZero() && now.Sub(k.since) > answerMost && k.paused == 0 {
		return 0, false, errSilent
	}
	length, idle := k.interval.now, true
	if !k.since.IsZero() && silenceMost < length {
		length, idle = silenceMost, false
	}
	if k.paused > 0 {
		return time.Second, idle, nil
	}
	return max(0, length-now.Sub(k.last)), idle, nil
}

// run pings until ctx ends, and reports a dead connection once.
func (k *keeper) run(ctx context.Context, report func(error)) {
	for {
		wait, idle, err := k.due(time.Now())
		if err != nil {
			report(err)
			return
		}
		if wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-k.wake:
				t.Stop()
			case <-t.C:
			}
			continue
		}
		if !k.ping(ctx, idle) {
			if ctx.Err() == nil {
				report(errSilent)
			}
			return
		}
	}
}

// ping asks once, and learns from the answer.
func (k *keeper) ping(ctx context.Context, idle bool) bool {
	pctx, cancel := context.WithTimeout(ctx, pingAnswer)
	defer cancel()
	err := k.conn.Ping(pctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil && ctx.Err() == nil && (k.paused > 0 || time.Since(k.last) < pingAnswer) {
		return true // it was the wait for our own writes or reads, or something was heard since
	}
	if err == nil {
		k.last = time.Now()
	}
	if idle && ctx.Err() == nil {
		if err == nil {
			k.interval.kept()
		} else {
			k.interval.lost()
		}
	}
	return err == nil
}
