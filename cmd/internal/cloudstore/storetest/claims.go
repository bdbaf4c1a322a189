package storetest

import (
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
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

// testSameState: a device that names the state that is stored is told so, and
// counts as one that proved to hold all of it.
func testSameState(f *fixture) {
	a := f.author()
	v := a.Edit(record.New(), "FN:x")
	f.push(a, a.Seal(record.Contacts, record.ID{1}, v))
	known := seal.StatementsDigest{7}
	claim := func(want bool, what string, change func(*syncproto.DoClaim, []syncproto.KindState)) {
		f.Helper()
		states, err := f.Prove(f.ctx, a.Account, a.Device, a.Replica, nil, nil)
		if err != nil {
			f.Fatal(err)
		}
		c := a.Claim(false)
		c.Statements = known
		change(&c, states.Kinds)
		got, err := f.Claim(f.ctx, c)
		if err != nil || got.Same != want || len(got.Kinds) != len(states.Kinds) {
			f.Errorf("%s: %+v, %v", what, got, err)
		}
		if got.State == syncproto.ClaimAccepted {
			a.Last = c.Pending[len(c.Pending)-1]
		}
	}
	proofs := func() (n int) {
		f.Helper()
		r, err := f.Report(f.ctx, &a.Account)
		if err != nil || len(r.Accounts) != 1 {
			f.Fatalf("report: %+v, %v", r, err)
		}
		for _, p := range r.Accounts[0].Replicas {
			for _, k := range p.Proofs {
				if k.Equal && k.Current && k.Lacking == 0 {
					n++
				}
			}
		}
		return n
	}
	claim(false, "no state", func(*syncproto.DoClaim, []syncproto.KindState) {})
	for what, change := range map[string]func(*syncproto.DoClaim, []syncproto.KindState){
		"another count": func(_ *syncproto.DoClaim, ks []syncproto.KindState) { ks[0].Count++ },
		"another sum":   func(_ *syncproto.DoClaim, ks []syncproto.KindState) { ks[0].Sum[15]++ },
		"read less":     func(_ *syncproto.DoClaim, ks []syncproto.KindState) { ks[0].Head-- },
	} {
		claim(false, what, func(c *syncproto.DoClaim, ks []syncproto.KindState) {
			change(c, ks)
			c.State = syncproto.NewStateDigest(f.Epoch(), known, ks)
		})
	}
	claim(false, "another epoch", func(c *syncproto.DoClaim, ks []syncproto.KindState) {
		c.State = syncproto.NewStateDigest(syncproto.Epoch{1}, known, ks)
	})
	claim(false, "other statements", func(c *syncproto.DoClaim, ks []syncproto.KindState) {
		c.State = syncproto.NewStateDigest(f.Epoch(), seal.StatementsDigest{8}, ks)
	})
	same := func(c *syncproto.DoClaim, ks []syncproto.KindState) {
		c.State = syncproto.NewStateDigest(f.Epoch(), known, ks)
	}
	claim(false, "a stale claim", func(c *syncproto.DoClaim, ks []syncproto.KindState) {
		same(c, ks)
		c.Last = syncproto.Token{9}
	})
	if n := proofs(); n != 0 {
		f.Errorf("%d proofs of a device that proved nothing", n)
	}
	claim(true, "the same state", same)
	if n := proofs(); n != 1 {
		f.Errorf("%d proofs of one kind", n)
	}
	// A version whose chunk is not here: the device is to be asked for it.
	chunk := a.Chunk([]byte("a picture"))
	blob := &record.Blob{Size: 9, Chunks: []record.ChunkID{chunk.ID}}
	f.push(a, a.Seal(record.Pictures, record.ID{2}, record.Set(record.New(), []record.Edit{{Key: "IMAGE", Line: []byte("IMAGE:"), Blob: blob}}, a)))
	claim(false, "a chunk is lacking", same)
	if err := f.Chunks().Put(f.ctx, a.Account, []syncproto.CloudChunk{chunk}); err != nil {
		f.Fatal(err)
	}
	claim(true, "the chunk came", same)
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
