package cli

import (
	"bytes"
	"testing"
	"time"
)

// TestProgressSaysThatItWaits: a cloud that says nothing leaves no long silence.
func TestProgressSaysThatItWaits(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(1_000_000, 0)
	p := &progress{w: &b, now: func() time.Time { return now }, last: now, heard: now}
	p.show("connecting to %s", "ws://cloud.example") // too soon to be printed
	for range 2 {
		now = now.Add(progressSilence)
		p.sayWaiting()
	}
	p.show("syncing")
	now = now.Add(time.Second)
	p.sayWaiting()
	want := "connecting to ws://cloud.example: no news for 10s\nconnecting to ws://cloud.example: no news for 20s\n"
	if got := b.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
