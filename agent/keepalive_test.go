package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// nat is a network that forgets a connection after a silence.
type nat struct {
	timeout time.Duration
	last    time.Time
	pings   int
	silent  bool
}

func (n *nat) Ping(ctx context.Context) error {
	if time.Since(n.last) > n.timeout || n.silent {
		<-ctx.Done()
		return ctx.Err()
	}
	n.last = time.Now()
	n.pings++
	return nil
}

func TestPingIntervalFindsWhatTheNetworkKeeps(t *testing.T) {
	for _, timeout := range []time.Duration{30 * time.Second, 5 * time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			remembered := time.Duration(0)
			lost := 0
			for range 12 { // connections one after another, some hours each
				n := &nat{timeout: timeout, last: time.Now()}
				k := newKeeper(n, remembered)
				ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
				k.run(ctx, func(err error) { lost++ })
				cancel()
				remembered = k.learned()
			}
			want := min(timeout, pingMost)
			if remembered > want || remembered < want/3 {
				t.Errorf("a network that keeps %v is pinged every %v", timeout, remembered)
			}
			t.Logf("keeps %v: interval %v, %d connections lost on the way", timeout, remembered, lost)
		})
	}
}

func TestSilentNetworkIsNoticedWhenAnAnswerIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nat{timeout: time.Hour, last: time.Now(), silent: true}
		k := newKeeper(n, 20*time.Minute)
		start := time.Now()
		var noticed error
		done := make(chan struct{})
		go func() { defer close(done); k.run(t.Context(), func(err error) { noticed = err }) }()
		synctest.Wait()
		k.expect(true)
		<-done
		if took := time.Since(start); !errors.Is(noticed, errSilent) || took > silenceMost+pingAnswer+time.Second {
			t.Errorf("noticed %v after %v", noticed, took)
		}
	})
}

func TestNoPingDuringALargeWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nat{timeout: time.Hour, last: time.Now()}
		k := newKeeper(n, pingLeast)
		k.pause(true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		k.expect(true)
		k.run(ctx, func(err error) { t.Errorf("reported %v", err) })
		if n.pings != 0 {
			t.Errorf("%d pings during a write", n.pings)
		}
	})
}

func TestIdleConnectionIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nat{timeout: time.Hour, last: time.Now()}
		k := newKeeper(n, pingMost)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		k.run(ctx, func(err error) { t.Errorf("reported %v", err) })
		if n.pings > 52 {
			t.Errorf("%d pings in a day", n.pings)
		}
	})
}
