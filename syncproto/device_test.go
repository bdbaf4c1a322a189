package syncproto

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// deviceUnderTest drives one machine by hand and describes what it does.
type deviceUnderTest struct {
	t *testing.T
	s *DeviceSession
}

func testDeviceConfig(t *testing.T) DeviceConfig {
	t.Helper()
	secret, err := seal.NewSecret(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := seal.NewIdentity(secret, bytes.NewReader(bytes.Repeat([]byte{9}, 256)))
	if err != nil {
		t.Fatal(err)
	}
	return DeviceConfig{Identity: id, Origin: "ws://127.0.0.1:1", Claim: DeviceClaim{Replica: record.ReplicaID{1}, Pending: []Token{{1}}, Counter: 5}}
}

// does gives the machine an event and returns what it does, in words.
func (d *deviceUnderTest) does(e DeviceEvent) string {
	d.t.Helper()
	var out []string
	for _, a := range d.s.Handle(e) {
		switch a := a.(type) {
		case DeviceSend:
			if b, err := Encode(a.Message); err != nil {
				d.t.Errorf("%s does not encode: %v", a.Message.Type(), err)
			} else if _, err := Decode(b); err != nil {
				d.t.Errorf("sends a %s that is refused: %v", a.Message.Type(), err)
			}
			out = append(out, "send "+a.Message.Type().String())
		case DeviceClose:
			out = append(out, fmt.Sprintf("close %d %v", a.Retry, a.Err))
		case DeviceStateChanged, DeviceWelcomed, DeviceProved:
		case DeviceProblem:
			out = append(out, "problem "+a.Code)
		default:
			out = append(out, strings.TrimPrefix(fmt.Sprintf("%T", a), "syncproto."))
		}
	}
	return strings.Join(out, ", ")
}

func (d *deviceUnderTest) want(e DeviceEvent, want string) {
	d.t.Helper()
	if got := d.does(e); got != want {
		d.t.Fatalf("%T: does [%s], want [%s]", e, got, want)
	}
}

// opened takes a machine through the handshake to its first store action.
func opened(t *testing.T, c DeviceConfig, w *Welcome) *deviceUnderTest {
	t.Helper()
	d := &deviceUnderTest{t, NewDeviceSession(c)}
	d.want(DeviceOpened{Nonce: Nonce{1}}, "send hello")
	d.want(DeviceReceived{&Challenge{Version: ProtocolVersion, Nonce: Nonce{2}}}, "send auth")
	d.want(DeviceReceived{w}, "StoreBegin")
	return d
}

func goodWelcome(kinds ...KindState) *Welcome {
	return &Welcome{Epoch: Epoch{1}, Head: 10, Kinds: kinds, Limits: DefaultLimits(), Time: 1}
}

// live takes a machine with one kind, equal on both sides, to the live state.
func liveDevice(t *testing.T, c DeviceConfig) (*deviceUnderTest, KindState) {
	t.Helper()
	state := KindState{Kind: record.Contacts, Count: 1, Sum: [16]byte{15: 4}, Head: 10}
	d := opened(t, c, goodWelcome(state))
	own := rangeset.Digest{Count: 1, Sum: state.Sum}
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 10, Own: own}}}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: own}, "StoreCloud, StoreTestify")
	d.want(LocalTestified{}, "send live")
	d.want(DeviceReceived{&Proof{ID: 1, Head: 10, Kinds: []KindState{state}}}, "StoreMissing")
	d.want(LocalMissing{}, "StoreOffer")
	d.want(LocalOffered{}, "StoreCompare")
	d.want(LocalCompared{}, "")
	return d, state
}

// It is at rest only when nothing is left to receive, nor to send.
func TestDeviceAtRest(t *testing.T) {
	state := KindState{Kind: record.Contacts, Count: 1, Sum: [16]byte{15: 4}, Head: 10}
	own := rangeset.Digest{Count: 1, Sum: state.Sum}
	d := opened(t, testDeviceConfig(t), goodWelcome(state))
	rests := func(e DeviceEvent, want bool) {
		t.Helper()
		d.does(e)
		if got := d.s.AtRest(); got != want {
			t.Errorf("after %T %+v at rest: %v", e, e, got)
		}
	}
	rests(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 10, Own: own}}}, false)
	rests(LocalMinted{Kind: record.Contacts, Own: own}, false)
	rests(LocalTestified{}, false)
	rests(DeviceReceived{&Proof{ID: 1, Head: 10, Kinds: []KindState{state}}}, false) // live, but for the chunks
	rests(LocalMissing{IDs: []record.ChunkID{{1}}}, false)                           // one to fetch
	rests(LocalOffered{}, false)
	rests(LocalCompared{}, false)
	rests(DeviceReceived{&Absent{ID: 2, Chunks: []record.ChunkID{{1}}}}, false)
	rests(LocalMissing{IDs: []record.ChunkID{{1}}}, true) // the cloud has not got it: it is waited for
	rests(DeviceChanged{}, false)
}

// A device that the cloud stands with asks for nothing and is live at once.
func TestDeviceInTheSameState(t *testing.T) {
	c := testDeviceConfig(t)
	own := sum(record.VersionID{15: 4})
	local := []LocalKind{{Kind: record.Contacts, Cursor: 10, Own: own}}
	c.Held = DeviceHeld{Epoch: Epoch{1}, Kinds: local}
	d := &deviceUnderTest{t, NewDeviceSession(c)}
	d.want(DeviceOpened{Nonce: Nonce{1}}, "send hello")
	var auth *Auth
	for _, a := range d.s.Handle(DeviceReceived{&Challenge{Version: ProtocolVersion, Nonce: Nonce{2}}}) {
		if m, ok := a.(DeviceSend); ok {
			auth, _ = m.Message.(*Auth)
		}
	}
	theirs := []KindState{{Kind: record.Contacts, Count: 1, Sum: own.Sum, Head: 10}}
	if auth == nil || auth.State != NewStateDigest(Epoch{1}, c.Statements, theirs) {
		t.Fatalf("names another state: %+v", auth)
	}
	d.want(DeviceReceived{&Welcome{Epoch: Epoch{1}, Head: 10, Same: true}}, "StoreBegin")
	d.want(LocalBegan{Kinds: local}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: own}, "StoreCloud, StoreTestify")
	d.want(LocalTestified{}, "StoreMissing")
	if ks := d.s.Kinds(); !d.s.Live() || len(ks) != 1 || !ks[0].Proven || ks[0].Head != 10 {
		t.Errorf("not live and proven: %+v", ks)
	}
	// What another writes comes live, from there.
	d.want(DeviceReceived{&Batch{Kind: record.Contacts, Next: 11, State: &KindState{Kind: record.Contacts, Count: 1, Sum: own.Sum, Head: 11}}}, "")
}

// A cloud can not call the same what a device of another epoch holds.
func TestDeviceInTheSameStateOfAnotherEpoch(t *testing.T) {
	c := testDeviceConfig(t)
	c.Held.Epoch = Epoch{1}
	d := &deviceUnderTest{t, NewDeviceSession(c)}
	d.want(DeviceOpened{Nonce: Nonce{1}}, "send hello")
	d.want(DeviceReceived{&Challenge{Version: ProtocolVersion}}, "send auth")
	d.want(DeviceReceived{&Welcome{Epoch: Epoch{2}, Same: true}}, "close 2 protocol: bad message: the same state as none")
}

func sum(ids ...record.VersionID) rangeset.Digest {
	var d rangeset.Digest
	for _, id := range ids {
		d.Add(id)
	}
	return d
}

func TestDeviceInSyncAsksForNothing(t *testing.T) {
	d, _ := liveDevice(t, testDeviceConfig(t))
	if d.s.Expecting() {
		t.Error("expects an answer while idle")
	}
	if ks := d.s.Kinds(); len(ks) != 1 || !ks[0].Proven {
		t.Errorf("not proven: %+v", ks)
	}
}

func TestDeviceLiveEditIsOneMessageUpAndOneAck(t *testing.T) {
	d, _ := liveDevice(t, testDeviceConfig(t))
	old, fresh := record.VersionID{15: 4}, record.VersionID{15: 5}
	d.want(DeviceChanged{}, "StoreMint")
	v := MintedVersion{Ref: NewRef(record.ID{1}, fresh), Order: 1, Sealed: seal.Sealed{Header: []byte{1}, Body: []byte{2}}}
	d.want(LocalMinted{Kind: record.Contacts, Own: sum(fresh), Versions: []MintedVersion{v}}, "send push, StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: sum(fresh)}, "StoreOffer")
	d.want(LocalOffered{}, "")
	if !d.s.Expecting() {
		t.Error("expects no ack")
	}
	state := KindState{Kind: record.Contacts, Count: 1, Sum: sum(fresh).Sum, Head: 11, Prev: 10}
	// The ack proves; the chunks of what was pushed are looked for in the store only.
	d.want(DeviceReceived{&Ack{ID: 2, Head: 11, Kinds: []KindState{state}}}, "StoreAcked, DeviceSetTimer, StoreCloud, StoreOffer")
	d.want(LocalOffered{}, "")
	if ks := d.s.Kinds(); !ks[0].Proven || ks[0].Head != 11 {
		t.Errorf("not proven: %+v", ks)
	}
	// And the other way: one message down.
	back := KindState{Kind: record.Contacts, Count: 1, Sum: sum(old).Sum, Head: 12}
	b := &Batch{Kind: record.Contacts, Items: []BatchItem{{Seq: 12, Header: []byte{1}, Body: []byte{1}}}, Next: 12, State: &back}
	d.want(DeviceReceived{b}, "StoreApply")
	d.want(LocalApplied{Kind: record.Contacts, Changed: 1, Own: sum(old)}, "StoreCloud, StoreMissing")
	d.want(LocalMissing{}, "")
}

// What a cloud says of a kind that is being restored proves nothing, equal or not.
func TestDeviceProvesNothingFromARestoringKind(t *testing.T) {
	state := KindState{Kind: record.Contacts, Count: 1, Sum: [16]byte{15: 4}, Head: 10, State: KindRestoring}
	d := opened(t, testDeviceConfig(t), goodWelcome(state))
	own := rangeset.Digest{Count: 1, Sum: state.Sum}
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 10, Own: own}}}, "StoreMint")
	told := false
	for _, a := range d.s.Handle(LocalMinted{Kind: record.Contacts, Own: own}) {
		if c, ok := a.(StoreCloud); ok {
			told = true
			if c.Proven || c.State.State != KindRestoring {
				t.Errorf("the store is told %+v", c)
			}
		}
	}
	if v := d.s.Kinds()[0]; !told || v.Proven || !v.Restoring {
		t.Errorf("told %v: %+v", told, v)
	}
}

func TestDeviceRefusesADowngrade(t *testing.T) {
	c := testDeviceConfig(t)
	c.Versions = []uint64{1, 2}
	d := &deviceUnderTest{t, NewDeviceSession(c)}
	d.want(DeviceOpened{}, "send hello")
	d.want(DeviceReceived{&Challenge{Version: 3}}, "close 2 protocol: no common version: the cloud chose a version that was not offered")
	c.LeastVersion = 2
	d = &deviceUnderTest{t, NewDeviceSession(c)}
	d.want(DeviceOpened{}, "send hello")
	if !slices.Equal(d.s.hello.Versions, []uint64{2}) {
		t.Errorf("offers %v", d.s.hello.Versions)
	}
	d.want(DeviceReceived{&Challenge{Version: 1}}, "close 2 protocol: no common version: the cloud chose a version that was not offered")
	c.Versions, c.LeastVersion = nil, ProtocolVersion+1
	d = &deviceUnderTest{t, NewDeviceSession(c)}
	d.want(DeviceOpened{}, "close 2 protocol: no common version: the cloud spoke a newer version before than this program does")
}

func TestDeviceForksWhenItsClaimIsRefused(t *testing.T) {
	for _, claim := range []ClaimState{ClaimStale, ClaimUnknown} {
		d := &deviceUnderTest{t, NewDeviceSession(testDeviceConfig(t))}
		d.want(DeviceOpened{}, "send hello")
		d.want(DeviceReceived{&Challenge{Version: ProtocolVersion}}, "send auth")
		w := goodWelcome()
		w.Claim = claim
		d.want(DeviceReceived{w}, fmt.Sprintf("StoreFork, send bye, close %d <nil>", RetryAtOnce))
	}
}

func TestDeviceRefusesLimitsBelowTheMinima(t *testing.T) {
	for id, least := range limitMinima {
		for _, c := range []struct {
			value uint64
			want  bool
		}{{least - 1, false}, {least, true}, {least + 1, true}} {
			d := &deviceUnderTest{t, NewDeviceSession(testDeviceConfig(t))}
			d.does(DeviceOpened{})
			d.does(DeviceReceived{&Challenge{Version: ProtocolVersion}})
			w := goodWelcome()
			w.Limits[id] = c.value
			if got := d.does(DeviceReceived{w}); (got == "StoreBegin") != c.want {
				t.Errorf("limit %d = %d: %s", id, c.value, got)
			}
		}
	}
}

func TestDeviceCapsAWait(t *testing.T) {
	s := NewDeviceSession(testDeviceConfig(t))
	s.Handle(DeviceOpened{})
	for _, a := range s.Handle(DeviceReceived{&Wait{Seconds: 10 * 365 * 24 * 3600, Code: CodeBusy}}) {
		if c, ok := a.(DeviceClose); !ok || c.Retry != RetryAfter || c.Seconds != WaitSecondsMax {
			t.Errorf("does %+v", a)
		}
	}
}

func TestDeviceReconcilesWhenTheCloudIsBehindOrNew(t *testing.T) {
	own := sum(record.VersionID{1}, record.VersionID{2})
	state := KindState{Kind: record.Contacts, Count: 1, Sum: sum(record.VersionID{1}).Sum, Head: 3}
	for name, cursor := range map[string]Seq{"behind": 9, "new": 0} {
		// What the cloud holds in its place has seen the version that it lacks, or not.
		overtaken := name == "new"
		t.Run(name, func(t *testing.T) {
			d := opened(t, testDeviceConfig(t), goodWelcome(state))
			d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: cursor, Own: own}}}, "StoreRange")
			next := rangeset.Message{Ranges: []rangeset.Range{{Mode: rangeset.Fingerprint, Digest: own}}}
			d.want(LocalRanged{Kind: record.Contacts, Next: &next}, "send range, send prove")
			d.want(DeviceReceived{&Range{ID: 1, Kind: record.Contacts, Spans: []Span{{Mode: RangeList}}}}, "StoreRange")
			need := []rangeset.Item{{ID: record.ID{9}, Version: record.VersionID{9}}}
			d.want(LocalRanged{Kind: record.Contacts, Need: need, Have: 1}, "send fetch")
			b := &Batch{ID: 3, Kind: record.Contacts, Items: []BatchItem{{Seq: 2, Header: []byte{1}, Body: []byte{1}}}}
			d.want(DeviceReceived{b}, "StoreApply")
			a := LocalApplied{Kind: record.Contacts, Changed: 1, Own: own}
			lacking := uint64(1)
			if overtaken {
				a.Overtaken, lacking = 1, 0
			}
			d.want(a, "StoreMint")
			if h := d.s.held(false); len(h) != 1 || h[0].Lacking != lacking {
				t.Errorf("told to lack: %+v, want %d", h, lacking)
			}
		})
	}
}

// What the cloud lost is looked for at once, and the message that follows the log
// goes out beside the push that gives it back.
func TestDeviceGivesBackInTwoRoundTrips(t *testing.T) {
	lost := MintedVersion{Ref: NewRef(record.ID{2}, record.VersionID{2}), Order: 1, Sealed: seal.Sealed{Header: []byte{1}, Body: []byte{2}}}
	own := sum(record.VersionID{1}, record.VersionID{2})
	left := KindState{Kind: record.Contacts, Count: 1, Sum: sum(record.VersionID{1}).Sum, Head: 11}
	for name, c := range map[string]struct {
		local LocalKind
		first string
	}{
		"lost":     {LocalKind{Cursor: 10, Own: own, Proven: true}, "StoreRange"},
		"not sent": {LocalKind{Cursor: 10, Own: own}, "send pull"},
	} {
		c.local.Kind = record.Contacts
		d := opened(t, testDeviceConfig(t), goodWelcome(left))
		d.want(LocalBegan{Kinds: []LocalKind{c.local}}, c.first)
		if name != "lost" {
			continue
		}
		next := rangeset.Message{Ranges: []rangeset.Range{{Mode: rangeset.Fingerprint, Digest: own}}}
		d.want(LocalRanged{Kind: record.Contacts, Next: &next}, "send range, send prove")
		d.want(DeviceReceived{&Range{ID: 1, Kind: record.Contacts, Spans: []Span{{Mode: RangeList}}}}, "StoreRange")
		d.want(LocalRanged{Kind: record.Contacts, Have: 1}, "StoreMint")
		d.want(LocalMinted{Kind: record.Contacts, Own: own, Versions: []MintedVersion{lost}}, "StoreMint")
		var sent []string
		var live *Live
		for _, a := range d.s.Handle(LocalMinted{Kind: record.Contacts, Own: own}) {
			if m, ok := a.(DeviceSend); ok {
				sent = append(sent, m.Message.Type().String())
				live, _ = m.Message.(*Live)
			}
		}
		if !slices.Equal(sent, []string{"push", "live"}) || len(live.Kinds) != 1 || live.Kinds[0].Count != 2 || live.Kinds[0].Lacking != 0 {
			t.Fatalf("says beside the push: %+v", live)
		}
		whole := KindState{Kind: record.Contacts, Count: 2, Sum: own.Sum, Head: 12}
		acked := whole
		acked.Prev = 11
		d.want(DeviceReceived{&Proof{ID: 2, Head: 11, Kinds: []KindState{left}}}, "")
		d.want(DeviceReceived{&Ack{ID: 3, Head: 12, Kinds: []KindState{acked}}}, "StoreAcked, StoreCloud, StoreTestify")
		d.want(LocalTestified{}, "")
		d.want(DeviceReceived{&Proof{ID: 4, Head: 12, Kinds: []KindState{whole}}}, "StoreMissing")
		if ks := d.s.Kinds(); !d.s.Live() || !ks[0].Proven {
			t.Errorf("not live and proven: %+v", ks)
		}
	}
}

func TestDeviceGivesUpADifferenceThatReconcileDoesNotFind(t *testing.T) {
	own := sum(record.VersionID{1})
	state := KindState{Kind: record.Contacts, Count: 7, Sum: [16]byte{9}, Head: 3}
	d := opened(t, testDeviceConfig(t), goodWelcome(state))
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 3, Own: own}}}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: own}, "StoreRange")
	d.want(LocalRanged{Kind: record.Contacts}, "StoreRecount")
	d.want(LocalRecounted{Kind: record.Contacts, Own: own}, "send prove")
	d.want(DeviceReceived{&Proof{ID: 1, Head: 3, Kinds: []KindState{state}}}, "problem differs, StoreCloud, send live")
	d.want(DeviceReceived{&Proof{ID: 2, Head: 3, Kinds: []KindState{state}}}, "StoreMissing")
	if ks := d.s.Kinds(); ks[0].Proven || ks[0].Fault == "" {
		t.Errorf("in sync: %+v", ks)
	}
}

func TestDeviceSetsAsideWhatDoesNotOpenAndGoesOn(t *testing.T) {
	bad := record.VersionID{3}
	own := sum(record.VersionID{1})
	with := sum(record.VersionID{1}, bad)
	state := KindState{Kind: record.Contacts, Count: with.Count, Sum: with.Sum, Head: 3}
	d := opened(t, testDeviceConfig(t), goodWelcome(state))
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts}}}, "send pull")
	b := &Batch{ID: 1, Kind: record.Contacts, Items: []BatchItem{{Seq: 2, Header: []byte{1}, Body: []byte{1}}}, Next: 3, State: &state}
	d.want(DeviceReceived{b}, "StoreApply")
	d.want(LocalApplied{Kind: record.Contacts, Own: own, NotOpen: []Ref{NewRef(record.ID{1}, bad)}}, "problem not_open, send aside")
	// A cloud that keeps counting it does not stop the rest.
	d.want(DeviceReceived{&Proof{ID: 2, Head: 3, Kinds: []KindState{state}}}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: own}, "problem differs, StoreCloud, send live")
}

func TestDeviceClosesOnWhatNobodyAskedFor(t *testing.T) {
	ref := NewRef(record.ID{1}, record.VersionID{2})
	state := KindState{Kind: record.Contacts, Head: 99}
	for _, m := range []Message{
		&Ack{ID: 9}, &Batch{ID: 9, Kind: record.Contacts}, &Proof{ID: 9}, &Proof{ID: 1}, &Range{ID: 9, Kind: record.Contacts, Spans: []Span{{}}},
		&Need{ID: 9}, &Stored{Chunks: []record.ChunkID{{1}}}, &Chunk{Header: []byte{1}, Body: []byte{1}}, &Absent{ID: 9},
		&Welcome{}, &Challenge{Version: ProtocolVersion}, &Hello{}, &Aside{ID: 1, Kind: record.Contacts, Refs: []Ref{ref}}, &Ack{ID: 1, Kinds: []KindState{state}},
	} {
		d, _ := liveDevice(t, testDeviceConfig(t))
		if got := d.does(DeviceReceived{m}); !strings.HasPrefix(got, "close 2 protocol: out of order") {
			t.Errorf("%s %+v: does [%s]", m.Type(), m, got)
		}
		if got := d.does(DeviceChanged{}); got != "" {
			t.Errorf("after the close it does [%s]", got)
		}
	}
}

func TestDeviceRefusesAPullThatDoesNotMove(t *testing.T) {
	state := KindState{Kind: record.Contacts, Count: 1, Sum: [16]byte{1}, Head: 3}
	d := opened(t, testDeviceConfig(t), goodWelcome(state))
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts}}}, "send pull")
	if got := d.does(DeviceReceived{&Batch{ID: 1, Kind: record.Contacts, More: true}}); !strings.HasPrefix(got, "close 2") {
		t.Errorf("does [%s]", got)
	}
}

func TestDeviceReadsEverythingBeforeItWritesWhenTheCloudSawMore(t *testing.T) {
	a := KindState{Kind: record.Contacts, Count: 1, Sum: sum(record.VersionID{1}).Sum, Head: 3}
	b := KindState{Kind: record.Notes, Count: 1, Sum: sum(record.VersionID{2}).Sum, Head: 4}
	w := goodWelcome(a, b)
	w.Seen = 6 // own counter is 5
	d := opened(t, testDeviceConfig(t), w)
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 3, Own: sum(record.VersionID{1})}, {Kind: record.Notes}}}, "StoreRange")
	next := rangeset.Message{Ranges: []rangeset.Range{{Mode: rangeset.Fingerprint}}}
	d.want(LocalRanged{Kind: record.Notes, Next: &next}, "send range, send prove")
	d.want(DeviceReceived{&Range{ID: 1, Kind: record.Notes, Spans: []Span{{Mode: RangeList}}}}, "StoreRange")
	need := []rangeset.Item{{ID: record.ID{9}, Version: record.VersionID{2}}}
	d.want(LocalRanged{Kind: record.Notes, Need: need}, "send fetch")
	batch := &Batch{ID: 3, Kind: record.Notes, Items: []BatchItem{{Seq: 4, Header: []byte{1}, Body: []byte{1}}}}
	d.want(DeviceReceived{batch}, "StoreApply")
	d.want(LocalApplied{Kind: record.Notes, Fork: true}, fmt.Sprintf("StoreFork, send bye, close %d <nil>", RetryAtOnce))
}

// What would show the writes that the cloud saw may be damaged: nothing is minted on their counters.
func TestDeviceForksWhenNothingShowsWhatTheCloudSaw(t *testing.T) {
	w := goodWelcome()
	w.Seen = 6 // own counter is 5
	d := opened(t, testDeviceConfig(t), w)
	d.want(LocalBegan{}, fmt.Sprintf("StoreFork, send bye, close %d <nil>", RetryAtOnce))
}

// What the cloud did not give when it was asked is counted, until it is asked again.
func TestDeviceCountsChunksThatTheCloudLacks(t *testing.T) {
	d, _ := liveDevice(t, testDeviceConfig(t))
	ids := []record.ChunkID{{1}, {2}}
	d.s.down.look()
	d.s.down.missing(d.s, LocalMissing{IDs: ids})
	if d.s.Absent() != 0 {
		t.Error("counted before the cloud answered")
	}
	d.s.down.kept(d.s, LocalKept{IDs: ids[:1]})
	d.s.down.end(d.s, d.s.down.wants[0])
	d.s.down.plan(d.s)
	if n := d.s.Absent(); n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
	d.s.down.retry()
	if d.s.Absent() != 0 {
		t.Error("counted though it is asked again")
	}
}

// The cloud need not wait for the next want, and each answer counts for its own.
func TestDeviceHasTwoWantsUnderWay(t *testing.T) {
	ids := make([]record.ChunkID, 20)
	for i := range ids {
		ids[i][0] = byte(i + 1)
	}
	begin := func() *deviceUnderTest {
		d, _ := liveDevice(t, testDeviceConfig(t))
		d.s.down.retry()
		d.want(DeviceChanged{}, "StoreMint")
		d.want(LocalMinted{Kind: record.Contacts, Own: sum(record.VersionID{15: 4})}, "StoreMissing")
		d.want(LocalMissing{IDs: ids[:16]}, "send want, StoreMissing")
		d.want(LocalMissing{IDs: ids[:16]}, "send want, StoreOffer")
		d.want(LocalOffered{}, "")
		return d
	}
	chunk := DeviceReceived{&Chunk{Header: []byte{1}, Body: []byte{1}}}

	d := begin()
	second := d.s.lastID
	for range 6 { // two are not there
		d.want(chunk, "")
	}
	d.want(DeviceReceived{&Absent{ID: second - 1, Chunks: ids[6:8]}}, "StoreKeep")
	d.want(LocalKept{IDs: ids[:6]}, "StoreMissing")
	if d.s.Absent() != 2 {
		t.Errorf("%d counted as absent, want 2", d.s.Absent())
	}
	d.want(LocalMissing{IDs: ids[6:]}, "send want") // a third, while the second is answered
	for range 7 {
		d.want(chunk, "")
	}
	d.want(chunk, "StoreKeep")
	d.want(LocalKept{IDs: ids[8:16]}, "")
	d.want(DeviceReceived{&Absent{ID: second}}, "StoreMissing")
	d.want(LocalMissing{IDs: append(ids[6:8:8], ids[16:]...)}, "") // all of them asked for, or absent
	for range 4 {
		d.want(chunk, "")
	}
	d.want(DeviceReceived{&Absent{ID: second + 1}}, "StoreKeep")
	d.want(LocalKept{IDs: ids[16:]}, "StoreMissing")
	d.want(LocalMissing{IDs: ids[6:8]}, "DeviceSetTimer")

	d = begin()
	d.want(DeviceReceived{&Absent{ID: d.s.lastID, Chunks: ids[8:16]}}, fmt.Sprintf("close %d %v", RetryBackoff, &Error{Code: CodeOutOfOrder, Detail: "wants answered in another order"}))
	d = begin()
	for range 7 {
		d.want(chunk, "")
	}
	d.want(chunk, "StoreKeep")
	d.want(LocalKept{IDs: ids[:8]}, "")
	d.want(chunk, fmt.Sprintf("close %d %v", RetryBackoff, &Error{Code: CodeOutOfOrder, Detail: "a chunk that nobody wanted"}))
}

func TestDeviceSendsNoStoredChunkTwice(t *testing.T) {
	d, _ := liveDevice(t, testDeviceConfig(t))
	ids := []record.ChunkID{{1}, {2}, {3}}
	d.want(DeviceChanged{}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: sum(record.VersionID{15: 4})}, "StoreOffer")
	d.want(LocalOffered{ids}, "send have")
	d.want(DeviceReceived{&Need{ID: 2, Chunks: ids[1:]}}, "StoreChunksLost, StoreChunksAcked, StoreLoad")
	loaded := LocalLoaded{}
	for _, id := range ids[1:] {
		loaded.Chunks = append(loaded.Chunks, LoadedChunk{id, seal.Sealed{Header: []byte{1}, Body: []byte{1}}})
	}
	d.want(loaded, "send chunk, send chunk, StoreOffer")
	d.want(LocalOffered{}, "")
	d.want(DeviceReceived{&Stored{ids[1:2]}}, "StoreChunksAcked")
	d.want(DeviceChanged{}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: sum(record.VersionID{15: 4})}, "") // one is still on its way
	d.want(DeviceReceived{&Stored{ids[2:]}}, "StoreChunksAcked, StoreOffer")
}

// What is pushed while a sample is read overtakes what it asks for: another sample
// is taken, and the session ends, though no message follows that proof.
func TestDeviceTakesAnotherSampleWhenTheCloudChangedMeanwhile(t *testing.T) {
	c := testDeviceConfig(t)
	c.Once = true
	old, fresh := record.VersionID{15: 4}, record.VersionID{15: 5}
	state := KindState{Kind: record.Contacts, Count: 1, Sum: sum(old).Sum, Head: 10}
	d := opened(t, c, goodWelcome(state))
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 10, Own: sum(old)}}, Sample: true}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: sum(old)}, "StoreCloud, StoreTestify")
	d.want(LocalTestified{}, "send live")
	d.want(DeviceReceived{&Proof{ID: 1, Head: 10, Kinds: []KindState{state}}}, "StoreMissing")
	d.want(LocalMissing{}, "StoreOffer")
	d.want(LocalOffered{}, "StoreCompare")
	d.want(LocalCompared{}, "StorePick")
	for try := range sampleTriesMax {
		read := Sample{Versions: []KindRefs{{record.Contacts, []Ref{NewRef(record.ID{1}, old)}}}}
		d.want(LocalPicked{read}, "StoreOffer")
		d.want(LocalOffered{}, "send fetch")
		fetch := d.s.lastID
		state.Head, state.Sum = state.Head+1, sum(fresh).Sum
		b := &Batch{Kind: record.Contacts, Items: []BatchItem{{Seq: state.Head, Header: []byte{1}, Body: []byte{1}}}, Next: state.Head, State: &state}
		d.want(DeviceReceived{b}, "StoreApply")
		d.want(LocalApplied{Kind: record.Contacts, Changed: 1, Own: sum(fresh)}, "StoreCloud, StoreMissing")
		d.want(LocalMissing{}, "")
		d.want(DeviceReceived{&Batch{ID: fetch, Kind: record.Contacts}}, "StoreOpen")
		d.want(LocalOpened{}, "send prove")
		old, fresh = fresh, record.VersionID{14: byte(try), 15: 6}
		end := "StorePick"
		if try == sampleTriesMax-1 {
			end = fmt.Sprintf("send bye, close %d <nil>", RetryNever)
		}
		d.want(DeviceReceived{&Proof{ID: d.s.lastID, Head: state.Head, Kinds: []KindState{state}}}, end)
	}
}
