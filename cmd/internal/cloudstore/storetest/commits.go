package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

func testFirstPush(f *fixture) {
	a := f.author()
	c := a.Seal(record.Contacts, record.ID{1}, a.Edit(record.New(), "FN:c"))
	n := a.Seal(record.Notes, record.ID{2}, a.Edit(record.New(), "FN:n"))
	got := f.push(a, c, n)
	if got.Head != 2 || got.Seqs[0] != 1 || got.Seqs[1] != 2 || len(got.Rejects) != 0 || len(got.Kinds) != 2 {
		f.Fatalf("committed %+v", got)
	}
	if k := got.Kinds[0]; k.Kind != record.Contacts || k.Count != 1 || k.Sum != [16]byte(c.Ref.Version()) || k.Head != 1 || k.Prev != 0 {
		f.Errorf("contacts %+v", k)
	}
	if k := got.Kinds[1]; k.Kind != record.Notes || k.Head != 2 || k.Prev != 0 {
		f.Errorf("notes %+v", k)
	}
	f.wantHeld(a, record.Contacts, c)
	f.wantHeld(a, record.Notes, n)
	log, err := f.ReadLog(f.ctx, a.Account, record.Contacts, 0, syncproto.BatchBytesMax)
	if err != nil || string(log.Items[0].Header) != string(c.Header) || string(log.Items[0].Body) != string(c.Body) {
		f.Errorf("the version came back changed (%v)", err)
	}
	stranger := NewAuthor(f.T)
	_, err = f.Commit(f.ctx, stranger.Account, []syncproto.CloudVersion{stranger.Seal(record.Notes, record.ID{1}, stranger.Edit(record.New(), "x"))})
	wantCode(f, err, syncproto.CodeUnknownAccount)
}

func testRepeat(f *fixture) {
	a := f.author()
	v := a.Seal(record.Contacts, record.ID{1}, a.Edit(record.New(), "FN:x"))
	f.push(a, v)
	got := f.push(a, v)
	if got.Head != 1 || got.Seqs[0] != 0 || len(got.Rejects) != 0 || got.Kinds[0].Count != 1 || got.Kinds[0].Prev != got.Kinds[0].Head {
		f.Errorf("repeat %+v", got)
	}
	// Twice in one push.
	w := a.Seal(record.Contacts, record.ID{2}, a.Edit(record.New(), "FN:y"))
	if got = f.push(a, w, w); got.Head != 2 || got.Seqs[0] != 2 || got.Seqs[1] != 0 {
		f.Errorf("twice in a push %+v", got)
	}
	f.wantHeld(a, record.Contacts, v, w)
}

func testDisplace(f *fixture) {
	a := f.author()
	v1 := a.Edit(record.New(), "FN:1")
	v2 := a.Edit(v1, "FN:2")
	s1, s2 := a.Seal(record.Contacts, record.ID{1}, v1), a.Seal(record.Contacts, record.ID{1}, v2)
	f.push(a, s1)
	got := f.push(a, s2)
	if got.Head != 2 || got.Kinds[0].Count != 1 || got.Kinds[0].Prev != 1 {
		f.Errorf("committed %+v", got)
	}
	f.wantHeld(a, record.Contacts, s2)
	// Both in one push, the older one last.
	s3, s4 := a.Seal(record.Notes, record.ID{1}, v1), a.Seal(record.Notes, record.ID{1}, v2)
	f.push(a, s4, s3)
	f.wantHeld(a, record.Notes, s4)
	r, err := f.Report(f.ctx, &a.Account)
	if err != nil || r.Accounts[0].Kinds[0].Dominated != 1 || r.Accounts[0].Kinds[1].Dominated != 1 {
		f.Errorf("dominated versions are not kept: %+v, %v", r, err)
	}
}

func testDominated(f *fixture) {
	a := f.author()
	v1 := a.Edit(record.New(), "FN:1")
	s1, s2 := a.Seal(record.Contacts, record.ID{1}, v1), a.Seal(record.Contacts, record.ID{1}, a.Edit(v1, "FN:2"))
	f.push(a, s2)
	for range 2 { // the second time it is among the dominated ones already
		got := f.push(a, s1)
		if got.Head != 1 || got.Seqs[0] != 0 || len(got.Rejects) != 0 || got.Kinds[0].Count != 1 {
			f.Errorf("committed %+v", got)
		}
	}
	f.wantHeld(a, record.Contacts, s2)
}

func testConcurrent(f *fixture) {
	a := f.author()
	b := a.Sibling()
	base := a.Edit(record.New(), "FN:base")
	va, vb := a.Edit(base, "FN:a"), b.Edit(base, "FN:b")
	sa, sb := a.Seal(record.Contacts, record.ID{1}, va), a.Seal(record.Contacts, record.ID{1}, vb)
	f.push(a, a.Seal(record.Contacts, record.ID{1}, base))
	f.push(a, sa)
	f.push(b, sb)
	f.wantHeld(a, record.Contacts, sa, sb)
	j := a.Seal(record.Contacts, record.ID{1}, a.Join(va, vb))
	got := f.push(b, j)
	if got.Kinds[0].Count != 1 || got.Head != 4 {
		f.Errorf("committed %+v", got)
	}
	f.wantHeld(a, record.Contacts, j)
}

func testEqualVectors(f *fixture) {
	a := f.author()
	clone := *a
	s1 := a.Seal(record.Contacts, record.ID{1}, a.Edit(record.New(), "FN:one"))
	s2 := clone.Seal(record.Contacts, record.ID{1}, clone.Edit(record.New(), "FN:other"))
	f.push(a, s1)
	f.push(a, s2)
	f.wantHeld(a, record.Contacts, s1, s2)
}

func testSiblings(f *fixture) {
	a := f.author()
	var all []syncproto.CloudVersion
	for i := range syncproto.SiblingsMax + 1 {
		b := a.Sibling()
		all = append(all, a.Seal(record.Contacts, record.ID{1}, b.Edit(record.New(), fmt.Sprint(i))))
	}
	at := syncproto.SiblingsMax
	if got := f.push(a, all[:at-1]...); len(got.Rejects) > 0 {
		f.Errorf("one under: %+v", got.Rejects)
	}
	if got := f.push(a, all[at-1]); len(got.Rejects) > 0 {
		f.Errorf("at: %+v", got.Rejects)
	}
	other := a.Seal(record.Contacts, record.ID{2}, a.Edit(record.New(), "x"))
	got := f.push(a, all[at], other)
	if len(got.Rejects) != 1 || got.Rejects[0] != (syncproto.Reject{Index: 0, Code: syncproto.CodeSiblings}) || got.Seqs[1] == 0 {
		f.Errorf("one over: %+v", got)
	}
	f.wantHeld(a, record.Contacts, append(all[:at:at], other)...)
}

func testKinds(f *fixture) {
	a := f.author()
	var vs []syncproto.CloudVersion
	for i := range syncproto.KindsMax + 1 {
		vs = append(vs, a.Seal(record.Kind(fmt.Sprintf("k%d", i)), record.ID{1}, a.Edit(record.New(), "x")))
	}
	at := syncproto.KindsMax
	if got := f.push(a, vs[:at]...); len(got.Rejects) > 0 {
		f.Errorf("at: %+v", got.Rejects)
	}
	if got := f.push(a, vs[at]); len(got.Rejects) != 1 || got.Rejects[0].Code != syncproto.CodeQuota {
		f.Errorf("one over: %+v", got)
	}
	if s, err := f.Prove(f.ctx, a.Account, a.Device, a.Replica, nil, nil); err != nil || len(s.Kinds) != at {
		f.Errorf("%d kinds, %v", len(s.Kinds), err)
	}
}

func testAccounts(f *fixture) {
	a, b := f.author(), f.author()
	b.Replica = a.Replica
	sa := a.Seal(record.Contacts, record.ID{1}, a.Edit(record.New(), "FN:a"))
	sb := b.Seal(record.Contacts, record.ID{1}, b.Edit(b.Edit(record.New(), "FN:b"), "FN:b2"))
	f.push(a, sa)
	if got := f.push(b, sb); got.Head != 1 {
		f.Errorf("the sequence of one account moved with the other: %+v", got)
	}
	f.wantHeld(a, record.Contacts, sa)
	f.wantHeld(b, record.Contacts, sb)
	got, err := f.Fetch(f.ctx, b.Account, record.Contacts, []syncproto.Ref{sa.Ref})
	if err != nil || len(got.Items) != 0 || got.Done != 1 {
		f.Errorf("another account's version: %+v, %v", got, err)
	}
}

// testManyWriters pushes from many goroutines, some of one account.
func testManyWriters(f *fixture) {
	const writers, pushes = 12, 15
	shared := f.author()
	var wg sync.WaitGroup
	for i := range writers {
		a := shared.Sibling()
		if i%2 == 0 {
			a = f.author()
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range pushes {
				v := a.Seal(record.Notes, record.ID{byte(i), byte(n)}, a.Edit(record.New(), "x"))
				got, err := f.Commit(f.ctx, a.Account, []syncproto.CloudVersion{v})
				if err != nil || got.Seqs[0] == 0 {
					f.Errorf("commit: %+v, %v", got, err)
				}
			}
		}()
	}
	wg.Wait()
	if s, err := f.Prove(f.ctx, shared.Account, shared.Device, shared.Replica, nil, nil); err != nil || s.Head != writers/2*pushes || s.Kinds[0].Count != writers/2*pushes {
		f.Errorf("states %+v, %v", s, err)
	}
}

// testRandom compares the store with the set of maximal versions of everything
// that was pushed, whatever the order.
func testRandom(f *fixture) {
	seed := rand.Uint64()
	f.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	a := f.author()
	authors := []*Author{a, a.Sibling(), a.Sibling()}
	for id := range byte(8) {
		made := []*record.Version{a.Edit(record.New(), "FN:0")}
		for i := range 12 {
			au := authors[rnd.IntN(len(authors))]
			v := made[rnd.IntN(len(made))]
			if rnd.IntN(3) == 0 {
				v = au.Join(v, made[rnd.IntN(len(made))])
			}
			made = append(made, au.Edit(v, fmt.Sprint(i)))
		}
		var all []syncproto.CloudVersion
		var entries []cloudstore.Entry
		for _, v := range made {
			s := a.Seal(record.Tasks, record.ID{id}, v)
			all = append(all, s)
			entries = append(entries, cloudstore.Entry{Version: s.Ref.Version(), Vector: s.Vector})
		}
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for len(all) > 0 {
			n := 1 + rnd.IntN(len(all))
			f.push(a, all[:n]...)
			all = all[n:]
		}
		top := cloudstore.Maximal(entries)
		n := 0
		for ref := range f.held(a, record.Tasks) {
			if ref.Record() != (record.ID{id}) {
				continue
			}
			n++
			if !slices.ContainsFunc(top, func(e cloudstore.Entry) bool { return e.Version == ref.Version() }) {
				f.Errorf("record %d: a dominated version is held", id)
			}
		}
		if n != len(top) {
			f.Errorf("record %d: %d held, want %d", id, n, len(top))
		}
	}
}

// testBulk pushes the same versions, of several records and kinds, many at once and
// one by one, with repeats, and some that are set aside in between.
func testBulk(f *fixture) {
	seed := rand.Uint64()
	f.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	a, one := f.author(), f.author()
	authors := []*Author{a, a.Sibling()}
	var all []syncproto.CloudVersion
	for _, kind := range []record.Kind{record.Tasks, record.Notes} {
		for id := range byte(12) {
			made := []*record.Version{a.Edit(record.New(), "FN:0")}
			for i := range rnd.IntN(4) {
				au := authors[rnd.IntN(len(authors))]
				made = append(made, au.Edit(made[rnd.IntN(len(made))], fmt.Sprint(i)))
			}
			for _, v := range made {
				all = append(all, a.Seal(kind, record.ID{id}, v))
			}
		}
	}
	all = append(all, all[:10]...)
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for len(all) > 0 {
		n := min(1+rnd.IntN(16), len(all))
		got := f.push(a, all[:n]...)
		for i := range n {
			alone := f.push(one, all[i])
			all[i].Index = i
			if alone.Seqs[0] != got.Seqs[i] {
				f.Fatalf("version %d of %d has sequence %d, alone %d", i, n, got.Seqs[i], alone.Seqs[0])
			}
		}
		v := all[rnd.IntN(n)]
		all = all[n:]
		if rnd.IntN(2) == 0 {
			for _, account := range []seal.Account{a.Account, one.Account} {
				if _, err := f.SetAside(f.ctx, account, v.Kind, []syncproto.Ref{v.Ref}); err != nil {
					f.Fatal(err)
				}
			}
			all = append(all, v) // it comes again
		}
		if len(all) < 40 && rnd.IntN(4) == 0 {
			all = append(all, v)
		}
	}
	for _, kind := range []record.Kind{record.Tasks, record.Notes} {
		if many, single := f.held(a, kind), f.held(one, kind); !maps.Equal(many, single) {
			f.Errorf("%s: %d held, one by one %d", kind, len(many), len(single))
		}
	}
	var kept [2][]int // dominated and aside, by kind
	for i, account := range []seal.Account{a.Account, one.Account} {
		r, err := f.Report(f.ctx, &account)
		if err != nil {
			f.Fatal(err)
		}
		for _, k := range r.Accounts[0].Kinds {
			kept[i] = append(kept[i], k.Dominated, k.Aside)
		}
	}
	if !slices.Equal(kept[0], kept[1]) {
		f.Errorf("dominated and aside: %v, one by one %v", kept[0], kept[1])
	}
}
