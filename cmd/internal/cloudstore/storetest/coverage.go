package storetest

import (
	"slices"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// coverage reports on one kind of an account.
func (f *fixture) coverage(a *Author, kind record.Kind, gone ...string) cloudstore.Coverage {
	f.Helper()
	r, err := f.Report(f.ctx, &a.Account)
	if err != nil {
		f.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range gone {
		names[g] = true
	}
	for _, k := range r.Accounts[0].Kinds {
		if k.Kind == string(kind) {
			cloudstore.Cover(&k, r.Accounts[0].Replicas, names)
			return k.Coverage
		}
	}
	f.Fatalf("no %s in %+v", kind, r)
	return cloudstore.Coverage{}
}

// prove has a replica tell that it holds so many versions, of this sum, or with
// nil all that the store holds.
func (f *fixture) prove(a *Author, kind record.Kind, held *syncproto.Held) {
	f.Helper()
	if held == nil {
		st, err := f.Prove(f.ctx, a.Account, a.Device, a.Replica, nil, nil)
		if err != nil {
			f.Fatal(err)
		}
		i := slices.IndexFunc(st.Kinds, func(k syncproto.KindState) bool { return k.Kind == kind })
		held = &syncproto.Held{Kind: kind, Count: st.Kinds[i].Count, Sum: st.Kinds[i].Sum}
	}
	if _, err := f.Prove(f.ctx, a.Account, a.Device, a.Replica, []syncproto.Held{*held}, nil); err != nil {
		f.Fatal(err)
	}
}

// testLossCounted: what is lost is counted to the record, whatever is made, edited
// or deleted after the loss.
func testLossCounted(f *fixture, place Place) {
	a := f.author()
	b := a.Sibling()
	first := a.Edit(record.New(), "FN:first")
	all := append(f.fill(a, record.Contacts, 6), a.Seal(record.Contacts, record.ID{100}, first))
	f.push(a, all[6])
	f.prove(a, record.Contacts, nil)
	f.prove(b, record.Contacts, nil)
	want := func(missing, lost uint64, final bool, gone ...string) {
		f.Helper()
		if c := f.coverage(a, record.Contacts, gone...); c.Missing != missing || c.Lost != lost || c.Final != final {
			f.Errorf("%d missing, %d lost, final %v; want %d, %d, %v", c.Missing, c.Lost, c.Final, missing, lost, final)
		}
	}
	want(0, 0, true)
	for _, v := range []syncproto.CloudVersion{all[0], all[1], all[2], all[6]} {
		if err := place.Flip(a.Account, record.Contacts, v.Ref); err != nil {
			f.Fatal(err)
		}
	}
	f.repair(a)
	want(4, 0, false)
	// One comes back as it was, one as it was edited meanwhile.
	f.push(a, all[0], a.Seal(record.Contacts, record.ID{100}, a.Edit(first, "FN:edited")))
	want(2, 0, false)
	more := a.Edit(record.New(), "FN:new")
	for n := range byte(9) {
		f.push(a, a.Seal(record.Contacts, record.ID{200, n}, a.Edit(record.New(), "FN:new")))
	}
	f.push(a, a.Seal(record.Contacts, record.ID{201}, more), a.Seal(record.Contacts, record.ID{201}, record.Delete(more, a)))
	f.prove(a, record.Contacts, nil)
	want(2, 0, false)
	if c := f.coverage(a, record.Contacts); len(c.ToCome) != 1 || c.ToCome[0].Replica != b.Replica.String() || c.ToCome[0].Versions != 2 || c.ToCome[0].Back || c.Had != 17 {
		f.Errorf("only b may have them: %+v", c)
	}
	want(2, 2, true, b.Replica.String())
	f.reopen()
	want(2, 0, false)
	// b is back, and has one of them; then it has none any more.
	f.prove(b, record.Contacts, &syncproto.Held{Kind: record.Contacts, Count: 6, Sum: [16]byte{1}, Lacking: 1})
	if c := f.coverage(a, record.Contacts); len(c.ToCome) != 1 || c.ToCome[0].Versions != 1 || !c.ToCome[0].Back {
		f.Errorf("b told to have one: %+v", c)
	}
	f.push(a, all[1])
	f.prove(b, record.Contacts, nil)
	want(1, 1, true)
	f.push(a, all[2])
	want(0, 0, true)
}

// testCopies: two copies of a device share its key. What each proved counts for as
// long as it goes on; what a device proved before it took another id does not.
func testCopies(f *fixture) {
	a := f.author()
	copied := *a
	copied.Replica = record.ReplicaID{7}
	b := &copied
	f.fill(a, record.Notes, 3)
	held := func(want ...*Author) {
		f.Helper()
		r, err := f.Report(f.ctx, &a.Account)
		if err != nil {
			f.Fatal(err)
		}
		var got, all []string
		for _, rep := range r.Accounts[0].Replicas {
			got = append(got, rep.Replica)
		}
		for _, w := range want {
			all = append(all, w.Replica.String())
		}
		slices.Sort(all)
		if slices.Sort(got); !slices.Equal(got, all) {
			f.Errorf("proofs of %q, want %q", got, all)
		}
	}
	claim := func(c syncproto.DoClaim, want syncproto.ClaimState, live ...record.ReplicaID) {
		f.Helper()
		if got, err := f.Claim(f.ctx, c, live...); err != nil || got.State != want {
			f.Fatalf("claim: %+v, %v", got, err)
		}
	}
	f.prove(a, record.Notes, nil)
	// The copy has a stale token, and takes another id.
	stale := a.Claim(false)
	stale.Last, stale.Pending = syncproto.Token{99}, []syncproto.Token{{98}}
	claim(stale, syncproto.ClaimStale)
	fresh := b.Claim(false)
	fresh.Last = syncproto.Token{}
	claim(fresh, syncproto.ClaimAccepted)
	f.prove(b, record.Notes, nil)
	// The first goes on: from now on both are there.
	f.prove(a, record.Notes, nil)
	f.prove(b, record.Notes, nil)
	held(a, b)
	// a alone takes another id: its old one is overtaken, its copy's is not.
	stale = a.Claim(false)
	stale.Last, stale.Pending = syncproto.Token{99}, []syncproto.Token{{98}}
	claim(stale, syncproto.ClaimStale)
	moved := *a
	moved.Replica = record.ReplicaID{8}
	fresh = moved.Claim(false)
	fresh.Last = syncproto.Token{}
	claim(fresh, syncproto.ClaimAccepted)
	held(a, b) // until it proves under the new one
	f.prove(&moved, record.Notes, nil)
	held(&moved, b)
	// A copy whose provenance changed takes another id and does not show its old one:
	// the one under it lives on, if it has a session.
	for n, live := range [][]record.ReplicaID{{moved.Replica}, nil} {
		third := *a
		third.Replica = record.ReplicaID{9, byte(n)}
		fresh = third.Claim(false)
		fresh.Last = syncproto.Token{}
		claim(fresh, syncproto.ClaimAccepted, live...)
		f.prove(&third, record.Notes, nil)
		if live != nil {
			held(&moved, &third)
		} else {
			held(&third)
		}
	}
}
