package syncproto

import (
	"strings"
	"testing"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// A kind of which nothing is here is walked if it has more than one answer holds.
func TestDeviceWalksWhatItNeverRead(t *testing.T) {
	ids := []record.VersionID{{1}, {2}, {3}}
	digest := sum(ids...)
	state := KindState{Kind: record.Contacts, Count: 3, Sum: digest.Sum, Head: 7}
	two := func(after byte) *Batch {
		item := BatchItem{Seq: 2, Header: []byte{1}, Body: []byte{1}}
		return &Batch{Kind: record.Contacts, Items: []BatchItem{item}, More: true, Upto: NewRef(record.ID{after}, record.VersionID{1})}
	}
	welcome := func(walk uint64) *Welcome {
		w := goodWelcome(state)
		if delete(w.Limits, LimitWalk); walk > 0 {
			w.Limits[LimitWalk] = walk
		}
		return w
	}
	place := WalkPlace{Base: 7, Upto: NewRef(record.ID{1}, record.VersionID{1})}
	applies := func(d *deviceUnderTest, e DeviceEvent) (a StoreApply, walk *Walk) {
		t.Helper()
		for _, action := range d.s.Handle(e) {
			switch action := action.(type) {
			case StoreApply:
				a = action
			case DeviceSend:
				walk, _ = action.Message.(*Walk)
			}
		}
		return a, walk
	}
	empty := LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts}}}
	for name, c := range map[string]struct {
		walk  uint64
		began LocalBegan
		want  string
	}{
		"more than an answer":        {2, empty, "send walk"},
		"a kind of another device":   {2, LocalBegan{}, "send walk"},
		"one answer holds it":        {3, empty, "send pull"},
		"a cloud that does not know": {0, empty, "send pull"},
		"a walk that began":          {2, LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Own: sum(ids[0]), Walk: place}}}, "send walk"},
		"the same, not known":        {0, LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Own: sum(ids[0]), Walk: place}}}, "StoreRange"},
		"of a log that is shorter":   {2, LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Own: sum(ids[0]), Walk: WalkPlace{Base: 8, Upto: place.Upto}}}}, "StoreRange"},
		"something is here":          {2, LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Own: sum(ids[0])}}}, "StoreRange"},
		"it was read before":         {2, LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 3, Walk: place}}}, "send pull"},
	} {
		d := opened(t, testDeviceConfig(t), welcome(c.walk))
		if got := d.does(c.began); got != c.want {
			t.Errorf("%s: does [%s], want [%s]", name, got, c.want)
		}
	}
	// Each answer moves the place, and the next is asked for before it is stored.
	d := opened(t, testDeviceConfig(t), welcome(2))
	if _, walk := applies(d, empty); walk == nil || *walk != (Walk{ID: 1, Kind: record.Contacts, BytesMax: grainFirst}) {
		t.Fatalf("asks %+v", walk)
	}
	first := two(1)
	first.ID = 1
	a, walk := applies(d, DeviceReceived{first})
	if a.Cursor != 0 || a.Walk != place || walk == nil || *walk != (Walk{ID: 2, Kind: record.Contacts, After: place.Upto, BytesMax: 2 * grainFirst}) {
		t.Fatalf("stores %+v, asks %+v", a, walk)
	}
	if a, walk = applies(d, LocalApplied{Kind: record.Contacts, Changed: 1, Own: sum(ids[0])}); walk != nil || a.Kind != "" {
		t.Fatalf("stores %+v, asks %+v", a, walk)
	}
	// The last one moves the cursor to where the log was when the walk began. What
	// came into the log since then is pulled from there.
	later := KindState{Kind: record.Contacts, Count: 4, Head: 9, Sum: sum(append(ids, record.VersionID{4})...).Sum}
	last := two(1)
	last.ID, last.More, last.Upto, last.State = 2, false, Ref{}, &later
	if a, walk = applies(d, DeviceReceived{last}); a.Cursor != 7 || a.Walk != (WalkPlace{}) || walk != nil {
		t.Fatalf("stores %+v, asks %+v", a, walk)
	}
	var pull *Pull // before anything is minted
	for _, a := range d.s.Handle(LocalApplied{Kind: record.Contacts, Changed: 2, Own: digest}) {
		if m, ok := a.(DeviceSend); ok {
			pull, _ = m.Message.(*Pull)
		}
	}
	if pull == nil || pull.After != 7 {
		t.Errorf("pulls %+v", pull)
	}
	// A walk goes forward, and nobody walks who was not asked to.
	for name, change := range map[string]func(*Batch){
		"that stands":           func(b *Batch) { b.Upto = Ref{} },
		"of nothing":            func(b *Batch) { b.Items = nil },
		"with a sequence":       func(b *Batch) { b.Upto, b.Next, b.More = Ref{}, 7, false },
		"live":                  func(b *Batch) { b.ID = 0 },
		"that nobody asked for": func(b *Batch) { b.ID = 9 },
	} {
		d := opened(t, testDeviceConfig(t), welcome(2))
		d.want(empty, "send walk")
		b := two(1)
		b.ID = 1
		change(b)
		if got := d.does(DeviceReceived{b}); !strings.HasPrefix(got, "close 2 protocol") {
			t.Errorf("a walk %s: does [%s]", name, got)
		}
	}
	d = opened(t, testDeviceConfig(t), welcome(2))
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Walk: place}}}, "send walk")
	back := two(1)
	back.ID = 1
	if got := d.does(DeviceReceived{back}); !strings.HasPrefix(got, "close 2 protocol") {
		t.Errorf("a walk that stands still: does [%s]", got)
	}
	d = opened(t, testDeviceConfig(t), welcome(0))
	d.want(empty, "send pull")
	if back.ID = 1; !strings.HasPrefix(d.does(DeviceReceived{back}), "close 2 protocol") {
		t.Error("a pull is answered by a walk")
	}
}

// What was to be walked, and was then reconciled, is not walked any more.
func TestDeviceReconcilesInsteadOfWalking(t *testing.T) {
	own := sum(record.VersionID{15: 4})
	contacts := KindState{Kind: record.Contacts, Count: 2, Sum: [16]byte{15: 9}, Head: 5}
	notes := KindState{Kind: record.Notes, Count: 3, Sum: sum(record.VersionID{15: 1}, record.VersionID{15: 2}, record.VersionID{15: 3}).Sum, Head: 7}
	w := goodWelcome(contacts, notes)
	w.Limits[LimitWalk], w.Limits[LimitRequests] = 2, 2
	d := opened(t, testDeviceConfig(t), w)
	// The contacts take both requests; the notes become incomplete, and whole again.
	question := rangeset.Message{Lower: []byte{}, Ranges: []rangeset.Range{{Upper: []byte{}, Mode: rangeset.Fingerprint, Digest: own}}}
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Own: own}}}, "StoreRange")
	d.want(LocalRanged{Kind: record.Contacts, Next: &question}, "send range, send prove")
	if k := d.s.kind(record.Notes); !k.wantWalk {
		t.Fatal("the notes are not to be walked")
	}
	restoring := notes
	restoring.State = KindRestoring
	d.does(DeviceReceived{&Proof{ID: 2, Head: 10, Kinds: []KindState{contacts, restoring}}})
	d.does(DeviceReceived{&Range{ID: 1, Kind: record.Contacts, Lower: []byte{}, Spans: []Span{{Upper: []byte{}, Mode: RangeSkip}}}})
	d.does(LocalRanged{Kind: record.Contacts})
	whole := rangeset.Digest{Count: 2, Sum: contacts.Sum}
	d.does(LocalRecounted{Kind: record.Contacts, Own: whole})
	d.does(LocalMinted{Kind: record.Contacts, Own: whole})
	d.does(LocalMinted{Kind: record.Notes})
	for id, r := range d.s.requests {
		if r.typ == TypeLive || r.typ == TypeProve {
			d.want(DeviceReceived{&Proof{ID: id, Head: 10, Kinds: []KindState{contacts, notes}}}, "StoreRange")
			break
		}
	}
	if k := d.s.kind(record.Notes); k.wantWalk || k.reconciler == nil {
		t.Errorf("walks %v, reconciles %v", k.wantWalk, k.reconciler != nil)
	}
}
