package syncproto

import (
	"fmt"
	"reflect"
	"testing"

	"sidekeep/localstore/record"
)

// sampling takes a machine that syncs once, with one version that is equal on
// both sides, to where it has asked for that version and a chunk.
func sampling(t *testing.T) (d *deviceUnderTest, state KindState, read Sample) {
	t.Helper()
	c := testDeviceConfig(t)
	c.Once = true
	vid := record.VersionID{15: 4}
	state = KindState{Kind: record.Contacts, Count: 1, Sum: sum(vid).Sum, Head: 10}
	d = opened(t, c, goodWelcome(state))
	d.want(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts, Cursor: 10, Own: sum(vid)}}, Sample: true}, "StoreMint")
	d.want(LocalMinted{Kind: record.Contacts, Own: sum(vid)}, "StoreCloud, StoreTestify")
	d.want(LocalTestified{}, "send live")
	d.want(DeviceReceived{&Proof{ID: 1, Head: 10, Kinds: []KindState{state}}}, "StoreMissing")
	d.want(LocalMissing{}, "StoreOffer")
	d.want(LocalOffered{}, "StoreCompare")
	d.want(LocalCompared{}, "StorePick")
	read = Sample{Versions: []KindRefs{{record.Contacts, []Ref{NewRef(record.ID{1}, vid)}}}, Chunks: []record.ChunkID{{7}}}
	d.want(LocalPicked{read}, "StoreOffer")
	d.want(LocalOffered{}, "send fetch, send want")
	return d, state, read
}

// The requests of sampling.
const sampleFetch, sampleWant = 2, 3

var bye = fmt.Sprintf("send bye, close %d <nil>", RetryNever)

// outcome gives the machine an event that it answers with the outcome of the sample.
func (d *deviceUnderTest) outcome(e DeviceEvent) (got StoreSampled) {
	d.t.Helper()
	for _, a := range d.s.Handle(e) {
		if o, ok := a.(StoreSampled); ok {
			return o
		}
	}
	d.t.Fatalf("%T: the sample has no outcome", e)
	return got
}

func (d *deviceUnderTest) given(read Sample) LocalOpened {
	d.t.Helper()
	item := BatchItem{Seq: 10, Header: []byte{1}, Body: []byte{1}}
	d.want(DeviceReceived{&Batch{ID: sampleFetch, Kind: record.Contacts, Items: []BatchItem{item}}}, "")
	d.want(DeviceReceived{&Chunk{Header: []byte{1}, Body: []byte{1}}}, "")
	d.want(DeviceReceived{&Absent{ID: sampleWant}}, "StoreOpen")
	return LocalOpened{Opened: read}
}

func TestSampleThatIsWhole(t *testing.T) {
	d, _, read := sampling(t)
	if got := d.outcome(d.given(read)); !reflect.DeepEqual(got.Read, read) || !got.Missing.Empty() {
		t.Errorf("outcome %+v", got)
	}
	d.want(LocalSampled{}, bye)
}

// What is missing counts only after a proof in which nothing has changed, and
// then all is given again.
func TestSampleThatLacksSomething(t *testing.T) {
	other := []KindRefs{{record.Contacts, []Ref{NewRef(record.ID{9}, record.VersionID{9})}}}
	for _, c := range []struct {
		name             string
		opened           func(read Sample) Sample
		versions, chunks int // missing
	}{
		{"all", func(Sample) Sample { return Sample{} }, 1, 1},
		{"a version", func(r Sample) Sample { return Sample{Chunks: r.Chunks} }, 1, 0},
		{"a chunk", func(r Sample) Sample { return Sample{Versions: r.Versions} }, 0, 1},
		{"another version came", func(r Sample) Sample { return Sample{Versions: other, Chunks: r.Chunks} }, 1, 0},
	} {
		d, state, read := sampling(t)
		l := d.given(read)
		l.Opened = c.opened(read)
		d.want(l, "send prove")
		got := d.outcome(DeviceReceived{&Proof{ID: d.s.lastID, Head: 10, Kinds: []KindState{state}}})
		if len(got.Missing.Versions) != c.versions || len(got.Missing.Chunks) != c.chunks {
			t.Errorf("%s: missing %+v", c.name, got.Missing)
		}
		d.want(LocalSampled{}, "StoreMint") // what was missing goes out again
	}
}

// A cloud that says itself which chunk it lost is no liar: another sample follows.
func TestSampleOfAChunkThatTheCloudOwnsToHaveLost(t *testing.T) {
	d, state, read := sampling(t)
	l := d.given(read)
	l.Opened.Chunks = nil
	d.want(l, "send prove")
	d.want(DeviceReceived{&Proof{ID: d.s.lastID, Head: 10, Kinds: []KindState{state}, Lost: read.Chunks}}, "StoreChunksLost, StoreOffer")
	d.want(LocalOffered{}, "StorePick")
}

// A cloud can not give more than was asked for.
func TestSampleIsBounded(t *testing.T) {
	item := BatchItem{Seq: 10, Header: []byte{1}, Body: []byte{1}}
	for name, m := range map[string][]Message{
		"two versions for one":    {&Batch{ID: sampleFetch, Kind: record.Contacts, Items: []BatchItem{item, {Seq: 11, Header: []byte{2}, Body: []byte{1}}}}},
		"more of nothing":         {&Batch{ID: sampleFetch, Kind: record.Contacts, More: true}},
		"two chunks for one":      {&Chunk{Header: []byte{1}, Body: []byte{1}}, &Chunk{Header: []byte{1}, Body: []byte{1}}},
		"an answer that is twice": {&Batch{ID: sampleFetch, Kind: record.Contacts}, &Batch{ID: sampleFetch, Kind: record.Contacts}},
	} {
		d, _, _ := sampling(t)
		for _, m := range m {
			d.s.Handle(DeviceReceived{m})
		}
		if d.s.phase != deviceClosed {
			t.Errorf("%s: the session goes on", name)
		}
	}
}

// Nothing was acknowledged yet: nothing is asked for, and the session ends.
func TestSampleOfNothing(t *testing.T) {
	d, _ := liveDevice(t, testDeviceConfig(t))
	d.want(DeviceSample{}, "StorePick")
	d.want(LocalPicked{}, "StoreOffer")
	d.want(LocalOffered{}, "")
}
