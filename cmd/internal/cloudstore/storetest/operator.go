package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Place is where a store lies, with what its operator and its disk can do to it
// while it is open.
type Place struct {
	Open Open
	// Restoring declares that a kind of one account, or with nil of all, is not
	// complete yet, or that it is again.
	Restoring func(account *seal.Account, kind record.Kind, on bool) error
	// Flip changes one bit of the stored body of a version, or of a chunk.
	Flip      func(account seal.Account, kind record.Kind, ref syncproto.Ref) error
	FlipChunk func(account seal.Account, chunk record.ChunkID) error
}

// RunPlaces runs the part of the suite that needs a Place.
func RunPlaces(t *testing.T, newPlace func(t *testing.T, clock *Clock) Place) {
	for _, test := range []struct {
		name string
		run  func(*fixture, Place)
	}{
		{"repair of what is sound", testRepairSound},
		{"repair of damage", testRepairDamage},
		{"repair that is stopped", testRepairStopped},
		{"loss beside new records", testLossCounted},
		{"restoring", testRestoring},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := &Clock{now: time.Unix(1_800_000_000, 0)}
			place := newPlace(t, clock)
			f := &fixture{T: t, clock: clock, open: place.Open, ctx: context.Background()}
			f.reopen()
			test.run(f, place)
			f.verify()
			if err := f.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// repair returns what changed, how many problems were told, and the bytes read.
func (f *fixture) repair(a *Author) (changed []record.Kind, found, bytes int) {
	f.Helper()
	changed, err := f.Repair(f.ctx, a.Account, func(n int) error { bytes += n; return nil },
		func(p cloudstore.Problem) { found++ })
	if err != nil {
		f.Fatal(err)
	}
	return changed, found, bytes
}

func testRepairSound(f *fixture, _ Place) {
	a, other := f.author(), f.author()
	all := f.fill(a, record.Contacts, 300)
	f.fill(a, record.Notes, 3)
	f.fill(other, record.Contacts, 2)
	chunk := a.Chunk([]byte("a picture"))
	if err := f.Chunks().Put(f.ctx, a.Account, []syncproto.CloudChunk{chunk}); err != nil {
		f.Fatal(err)
	}
	accounts, err := f.Accounts(f.ctx)
	if err != nil || len(accounts) != 2 || !slices.Contains(accounts, a.Account) || !slices.Contains(accounts, other.Account) {
		f.Errorf("accounts: %x, %v", accounts, err)
	}
	size := len(chunk.Body)
	for _, v := range all {
		size += len(v.Header) + len(v.Body)
	}
	changed, found, bytes := f.repair(a)
	if len(changed) > 0 || found > 0 || bytes < size {
		f.Errorf("changed %q, found %d, read %d bytes of at least %d", changed, found, bytes, size)
	}
	f.wantHeld(a, record.Contacts, all...)
}

func testRepairDamage(f *fixture, place Place) {
	a, other := f.author(), f.author()
	all := f.fill(a, record.Contacts, 6)
	notes := f.fill(a, record.Notes, 2)
	theirs := f.fill(other, record.Contacts, 3)
	chunk := a.Chunk([]byte("a picture"))
	if err := f.Chunks().Put(f.ctx, a.Account, []syncproto.CloudChunk{chunk}); err != nil {
		f.Fatal(err)
	}
	before, err := f.ReadLog(f.ctx, a.Account, record.Contacts, 0, syncproto.BatchBytesMax)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(place.Flip(a.Account, record.Contacts, all[2].Ref), place.FlipChunk(a.Account, chunk.ID)); err != nil {
		f.Fatal(err)
	}
	told := 0
	if _, err := f.Verify(f.ctx, func(cloudstore.Problem) { told++ }); err != nil || told < 2 {
		f.Errorf("verify told %d problems, %v", told, err)
	}
	if changed, found, _ := f.repair(other); len(changed) > 0 || found > 0 {
		f.Errorf("another account: changed %q, found %d", changed, found)
	}
	if changed, found, _ := f.repair(a); !slices.Equal(changed, []record.Kind{record.Contacts}) || found < 2 {
		f.Errorf("changed %q, found %d", changed, found)
	}
	f.verify()
	f.wantHeld(a, record.Contacts, slices.Delete(slices.Clone(all), 2, 3)...)
	f.wantHeld(a, record.Notes, notes...)
	f.wantHeld(other, record.Contacts, theirs...)
	after, err := f.ReadLog(f.ctx, a.Account, record.Contacts, 0, syncproto.BatchBytesMax)
	if err != nil || after.State.Head <= before.State.Head {
		f.Errorf("the head stays at %d: no device would look, %v", after.State.Head, err)
	}
	missing, err := f.Chunks().Missing(f.ctx, a.Account, []record.ChunkID{chunk.ID})
	if err != nil || len(missing) != 1 {
		f.Errorf("the damaged chunk is not missing: %v", err)
	}
	// Devices fill the holes.
	f.push(a, all[2])
	if err := f.Chunks().Put(f.ctx, a.Account, []syncproto.CloudChunk{chunk}); err != nil {
		f.Error(err)
	}
	f.wantHeld(a, record.Contacts, all...)
	if got, err := f.Chunks().Get(f.ctx, a.Account, chunk.ID); err != nil || got == nil {
		f.Errorf("the chunk that came again: %v, %v", got, err)
	}
	f.reopen()
	f.wantHeld(a, record.Contacts, all...)
}

func testRepairStopped(f *fixture, place Place) {
	a := f.author()
	all := f.fill(a, record.Contacts, 3)
	if err := place.Flip(a.Account, record.Contacts, all[0].Ref); err != nil {
		f.Fatal(err)
	}
	stop := errors.New("enough")
	if _, err := f.Repair(f.ctx, a.Account, func(int) error { return stop }, func(cloudstore.Problem) {}); !errors.Is(err, stop) {
		f.Errorf("the error of pace does not end it: %v", err)
	}
	if changed, _, _ := f.repair(a); !slices.Equal(changed, []record.Kind{record.Contacts}) {
		f.Errorf("the next one changed %q", changed)
	}
	f.wantHeld(a, record.Contacts, all[1:]...)
}

func testRestoring(f *fixture, place Place) {
	a, other := f.author(), f.author()
	for _, o := range []*Author{a, other} {
		f.fill(o, record.Contacts, 2)
		f.fill(o, record.Notes, 1)
	}
	want := func(declared map[record.Kind]int, restoring map[*Author][]record.Kind) {
		f.Helper()
		got, err := f.Restoring(f.ctx)
		if err != nil || !maps.Equal(got, declared) {
			f.Errorf("declared: %v, want %v, %v", got, declared, err)
		}
		for _, o := range []*Author{a, other} {
			st, err := f.Prove(f.ctx, o.Account, o.Device, o.Replica, nil, nil)
			if err != nil {
				f.Fatal(err)
			}
			c := o.Claim(false)
			c.State = syncproto.NewStateDigest(f.Epoch(), c.Statements, st.Kinds)
			claimed, err := f.Claim(f.ctx, c)
			if err != nil || claimed.Same != (len(restoring[o]) == 0) {
				f.Errorf("the same state while %v is being restored: %t, %v", restoring[o], claimed.Same, err)
			}
			o.Last = c.Pending[0]
			for _, k := range st.Kinds {
				state := uint64(syncproto.KindOK)
				if slices.Contains(restoring[o], k.Kind) {
					state = syncproto.KindRestoring
				}
				if k.State != state || k.Count == 0 {
					f.Errorf("%s: state %d of %d versions, want state %d", k.Kind, k.State, k.Count, state)
				}
			}
		}
	}
	declare := func(account *seal.Account, kind record.Kind, on bool) {
		f.Helper()
		if err := place.Restoring(account, kind, on); err != nil {
			f.Fatal(err)
		}
	}
	want(map[record.Kind]int{}, nil)
	declare(&a.Account, record.Contacts, true)
	declare(&a.Account, record.Contacts, true) // twice is once
	want(map[record.Kind]int{record.Contacts: 1}, map[*Author][]record.Kind{a: {record.Contacts}})
	declare(nil, record.Notes, true)
	both := map[*Author][]record.Kind{a: {record.Contacts, record.Notes}, other: {record.Notes}}
	want(map[record.Kind]int{record.Contacts: 1, record.Notes: 1}, both)
	f.reopen() // it outlives a restart
	want(map[record.Kind]int{record.Contacts: 1, record.Notes: 1}, both)
	declare(&a.Account, record.Contacts, false)
	declare(nil, record.Notes, false)
	want(map[record.Kind]int{}, nil)
}
