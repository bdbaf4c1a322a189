package agent

import (
	"errors"
	"testing"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

func TestPauseGrowsWithFullJitterAndNoEnd(t *testing.T) {
	low, high := 0, 0
	for range 200 {
		p := newPause()
		mean := float64(pauseFirst)
		for i := range 40 { // far more than the 15 minutes after which the library gives up by itself
			d := p.after(ending{retry: syncproto.RetryBackoff})
			if d < 0 || float64(d) > 2*mean+1 {
				t.Fatalf("pause %d is %v, want at most %v", i, d, time.Duration(2*mean))
			}
			if float64(d) < mean/2 {
				low++
			}
			if float64(d) > mean*3/2 {
				high++
			}
			mean = min(mean*2, float64(pauseMax))
		}
	}
	for _, n := range []int{low, high} {
		if n < 200*40/5 || n > 200*40*3/10 {
			t.Errorf("%d of %d pauses are in an outer quarter: not spread evenly", n, 200*40)
		}
	}
}

func TestPauseAfterAForkAndAWait(t *testing.T) {
	p := newPause()
	for i := range atOnceMax {
		if d := p.after(ending{retry: syncproto.RetryAtOnce}); d != 0 {
			t.Fatalf("reconnect %d waits %v", i, d)
		}
	}
	some := false
	for range 10 {
		some = some || p.after(ending{retry: syncproto.RetryAtOnce}) > 0
	}
	if !some {
		t.Error("reconnects at once without end")
	}
	p.reset()
	if d := p.after(ending{retry: syncproto.RetryAfter, seconds: 10 * 365 * 24 * 3600}); d > time.Hour {
		t.Errorf("a wait of ten years is kept for %v, want at most an hour", d)
	}
	if d := p.after(ending{retry: syncproto.RetryAfter, seconds: 5}); d < 5*time.Second || d > 10*time.Second {
		t.Errorf("a wait of 5 s is kept for %v", d)
	}
}

func TestShortSessionsDoNotResetThePauseForEver(t *testing.T) {
	p := newPause()
	now := time.Now()
	for i := range quickMax {
		if !p.worked(time.Second, now) {
			t.Fatalf("the pauses did not begin anew after short session %d", i)
		}
	}
	if p.worked(time.Second, now) {
		t.Error("a cloud that proves a little each second keeps the device busy for ever")
	}
	if !p.worked(2*quickEvery, now) {
		t.Error("a long session did not count")
	}
	if !p.worked(time.Second, now.Add(quickEvery)) || p.worked(time.Second, now.Add(quickEvery)) {
		t.Error("one short session a minute counts, and one only")
	}
}

// Pieces that nobody known has are told from those that have not arrived yet.
func TestPiecesThatAreNowhere(t *testing.T) {
	kinds := map[record.Kind]KindStatus{record.Pictures: {InSync: true}}
	for _, c := range []struct {
		blobs   BlobStatus
		nowhere bool
		text    string
	}{
		{BlobStatus{Missing: 3}, false, "not in sync: 3 pieces of pictures are not here yet"},
		{BlobStatus{Missing: 3, Absent: 3}, true, "not in sync: 3 pieces of pictures are neither here nor at the cloud"},
		{BlobStatus{Missing: 3, Absent: 1}, true, "not in sync: 2 pieces of pictures are not here yet; 1 pieces of pictures are neither here nor at the cloud"},
	} {
		err := checkStatus(&Status{Kinds: kinds, Blobs: c.blobs})
		if err == nil || err.Error() != c.text || errors.Is(err, ErrNowhere) != c.nowhere || !errors.Is(err, ErrNotInSync) {
			t.Errorf("%+v: %v", c.blobs, err)
		}
	}
	kinds[record.Notes] = KindStatus{}
	if err := checkStatus(&Status{Kinds: kinds, Blobs: BlobStatus{Missing: 1, Absent: 1}}); errors.Is(err, ErrNowhere) {
		t.Errorf("notes differ, too: %v", err)
	}
}
