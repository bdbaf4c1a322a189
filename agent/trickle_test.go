package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A cloud that sends a byte each second, or pongs for ever, and no message: the
// answer that is due never comes, and the session ends.
func TestBytesAreNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nat{timeout: time.Hour, last: time.Now()}
		k := newKeeper(n, pingLeast)
		k.expect(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan struct{})
		go func() { // the trickle
			defer close(done)
			for ctx.Err() == nil {
				time.Sleep(time.Second)
				k.heard()
			}
		}()
		start := time.Now()
		var noticed error
		k.run(ctx, func(err error) { noticed = err; cancel() })
		took := time.Since(start)
		<-done
		if !errors.Is(noticed, errSilent) || took > answerMost+time.Minute {
			t.Errorf("noticed %v after %v", noticed, took)
		}
	})
}

// Whole messages that come are progress: a long answer on a slow network is let be.
func TestMessagesAreProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nat{timeout: 24 * time.Hour, last: time.Now()}
		k := newKeeper(n, pingLeast)
		k.expect(true)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				time.Sleep(messageMost(384 * 1024))
				k.heard()
				k.progress()
			}
		}()
		k.run(ctx, func(err error) { t.Errorf("reported %v", err) })
		<-done
	})
}
