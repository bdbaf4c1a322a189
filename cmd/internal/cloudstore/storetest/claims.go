package storetest

import (
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

func testClaims(f *fixture) {
	a := NewAuthor(f.T)
	if _, err := f.Claim(f.ctx, a.Claim(false)); true {
		wantCode(f, err, syncproto.CodeUnknownAccount)
	}
	claim := func(c syncproto.DoClaim, want syncproto.ClaimState) {
		f.Helper()
		got, err := f.Claim(f.ctx, c)
		if err != nil || got.State != want {
			f.Errorf("claim: %+v, %v, want %d", got, err, want)
		}
	}
	first := a.Claim(true)
	claim(first, syncproto.ClaimAccepted)

	// The next session names the token that was accepted.
	a.Last = first.Pending[0]
	second := a.Claim(false)
	claim(second, syncproto.ClaimAccepted)

	// Its answer was lost: the device still has first as last, second as pending.
	third := a.Claim(false)
	third.Pending = append(second.Pending, third.Pending...)
	claim(third, syncproto.ClaimAccepted)

	// A clone that left the chain at first is stale, and stays so.
	clone := a.Claim(false)
	claim(clone, syncproto.ClaimStale)
	claim(clone, syncproto.ClaimStale)

	// A stale claim stored nothing: the true device goes on.
	a.Last = third.Pending[1]
	claim(a.Claim(false), syncproto.ClaimAccepted)

	// A replica that claims a past which this cloud does not know.
	stranger := a.Sibling()
	stranger.Last = syncproto.Token{1}
	claim(stranger.Claim(true), syncproto.ClaimUnknown)
	claim(stranger.Claim(true), syncproto.ClaimUnknown)
	stranger.Last = syncproto.Token{}
	claim(stranger.Claim(true), syncproto.ClaimAccepted)
}

func testClaimDevice(f *fixture) {
	a := f.author()
	thief := *a
	thief.Device[0] ^= 1
	if got, err := f.Claim(f.ctx, thief.Claim(false)); err != nil || got.State != syncproto.ClaimStale {
		f.Errorf("another device's key: %+v, %v", got, err)
	}
	// What the cloud has seen of a replica comes with every claim.
	v := a.Edit(record.New(), "FN:x")
	v = a.Edit(v, "FN:y")
	b := a.Sibling()
	f.push(b, a.Seal(record.Contacts, record.ID{1}, v))
	if got, err := f.Claim(f.ctx, a.Claim(false)); err != nil || got.Seen != 2 || got.Head != 1 || len(got.Kinds) != 1 {
		f.Errorf("claim after a push: %+v, %v", got, err)
	}
}

func testReopen(f *fixture) {
	a := f.author()
	v := a.Seal(record.Contacts, record.ID{1}, a.Edit(record.New(), "FN:x"))
	f.push(a, v)
	epoch := f.Epoch()
	f.reopen()
	if f.Epoch() != epoch {
		f.Error("a new epoch after an ordinary restart")
	}
	f.wantHeld(a, record.Contacts, v)
	if got, err := f.Claim(f.ctx, a.Claim(false)); err != nil || got.State != syncproto.ClaimAccepted || got.Head != 1 || got.Seen != 1 || got.Epoch != epoch {
		f.Errorf("claim after a restart: %+v, %v", got, err)
	}
}

// testDevicesSeen: an answer to prove tells when the other devices of the
// account last came, and of nobody else's.
func testDevicesSeen(f *fixture) {
	a := f.author()
	f.author() // of another account
	b, again := a.Sibling(), a.Sibling()
	again.Device = b.Device // one device, two replica ids
	var at uint64
	for _, c := range []*Author{b, again} {
		f.clock.Pass(time.Hour)
		got, err := f.Claim(f.ctx, c.Claim(false))
		if err != nil || got.State != syncproto.ClaimAccepted {
			f.Fatalf("%+v, %v", got, err)
		}
		at = got.Time
	}
	f.clock.Pass(time.Hour)
	s, err := f.Prove(f.ctx, a.Account, a.Device, a.Replica, nil, nil)
	if err != nil || len(s.Devices) != 1 || s.Devices[0] != (syncproto.DeviceSeen{Device: b.Device, At: at}) {
		f.Errorf("seen %v, %v; want one at %d", s.Devices, err, at)
	}
}
