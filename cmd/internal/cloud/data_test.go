package cloud_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// big returns a sealed version whose body is about n bytes: text that does not
// compress.
func (d *device) big(id record.ID, n int) syncproto.SealedVersion {
	d.t.Helper()
	b := make([]byte, n)
	rand.Read(b)
	return d.seal(record.Notes, id, d.edit(record.New(), "DESCRIPTION:"+string(b)))
}

func TestRejectsAreSingle(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	good := a.seal(record.Notes, record.ID{1}, a.edit(record.New(), "x"))
	short := good
	short.Body = good.Body[1:]
	future := syncproto.SealedVersion{Header: bytes.Clone(good.Header), Body: good.Body}
	future.Header[0]++ // the format
	noise := syncproto.SealedVersion{Header: []byte("noise"), Body: []byte("noise")}
	ack := a.push(noise, good, short, future)
	want := []syncproto.Reject{{Index: 0, Code: syncproto.CodeBadHeader}, {Index: 2, Code: syncproto.CodeBadHeader}, {Index: 3, Code: syncproto.CodeBadHeader}}
	if !slices.Equal(ack.Rejects, want) || ack.Head != 1 {
		t.Errorf("ack %+v", ack)
	}
	if ack = a.push(noise); len(ack.Rejects) != 1 || len(ack.Kinds) != 0 {
		t.Errorf("ack %+v", ack)
	}
}

func TestPullPages(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	const n = 30
	for i := range byte(n) {
		a.push(a.big(record.ID{i}, 20_000))
	}
	b := a.sibling().enter(c)
	items, last := b.pull(record.Notes, 0)
	if len(items) != n || last.State.Count != n || b.request < 3 {
		t.Errorf("%d items in %d batches, %+v", len(items), b.request, last.State)
	}
	// What a device pushed in this session is not sent back to it.
	if items, last := a.pull(record.Notes, 0); len(items) != 0 || last.Next != n || last.State == nil {
		t.Errorf("own: %d items, %+v", len(items), last)
	}
	var refs []syncproto.Ref
	for _, it := range items {
		o := b.open(it.Header, it.Body)
		refs = append(refs, syncproto.NewRef(o.ID, o.VersionID))
	}
	refs = append(refs, syncproto.Ref{9})
	id := b.next()
	b.send(&syncproto.Fetch{ID: id, Kind: record.Notes, Refs: refs})
	fetched, batches := 0, 0
	for {
		batch := expect[*syncproto.Batch](b)
		fetched += len(batch.Items)
		batches++
		if batch.ID != id || batch.Next != 0 || batch.State != nil {
			t.Errorf("batch %+v", batch)
		}
		if !batch.More {
			break
		}
	}
	if fetched != n || batches < 3 {
		t.Errorf("fetched %d in %d batches", fetched, batches)
	}
}

// TestLargestVersion: a version as large as one may be goes up and comes down.
func TestLargestVersion(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	s := a.big(record.ID{1}, record.EncodedBytesMax-200)
	if len(s.Body) < record.EncodedBytesMax-400 {
		t.Fatalf("body of %d bytes", len(s.Body))
	}
	if ack := a.push(s); len(ack.Rejects) > 0 {
		t.Fatalf("ack %+v", ack)
	}
	items, _ := a.sibling().enter(c).pull(record.Notes, 0)
	if len(items) != 1 || !bytes.Equal(items[0].Body, s.Body) {
		t.Errorf("%d items", len(items))
	}
}

// TestLiveBothWays: two live devices write in turns and at once. Each is sent
// everything of the other's, in order, and nothing of its own; the last state
// that each was sent is the cloud's.
func TestLiveBothWays(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	b := a.sibling().enter(c)
	const n = 25
	type end struct {
		d     *device
		items int
		state syncproto.KindState
		err   error
	}
	ends := []*end{{d: a}, {d: b}}
	for _, e := range ends {
		e.d.send(&syncproto.Live{ID: e.d.next()})
		expect[*syncproto.Proof](e.d)
	}
	done := make(chan *end)
	for i, e := range ends {
		go func() {
			defer func() { done <- e }()
			acks, sent := 0, 0
			var cursor syncproto.Seq
			for acks < n || e.items < n {
				if sent == acks && sent < n {
					s, err := e.d.keys.SealVersion(record.Notes, record.ID{byte(i), byte(sent)}, e.d.edit(record.New(), fmt.Sprint(sent)))
					if err != nil {
						e.err = err
						return
					}
					e.d.send(&syncproto.Push{ID: e.d.next(), Versions: []syncproto.SealedVersion{{Header: s.Header, Body: s.Body}}})
					sent++
				}
				m, err := e.d.try(10 * time.Second)
				if err != nil {
					e.err = err
					return
				}
				switch m := m.(type) {
				case *syncproto.Ack:
					acks++
					e.state = m.Kinds[0]
					if cursor == e.state.Prev {
						cursor = e.state.Head
					}
				case *syncproto.Batch:
					for _, it := range m.Items {
						h, err := seal.ParseHeader(it.Header)
						if err != nil || h.ID[0] == byte(i) {
							e.err = fmt.Errorf("own version, or %v", err)
						}
					}
					if m.Next <= cursor {
						e.err = fmt.Errorf("batch to %d, after %d", m.Next, cursor)
					}
					e.items += len(m.Items)
					cursor = m.Next
					if m.State != nil {
						e.state = *m.State
					}
				}
			}
		}()
	}
	for range ends {
		if e := <-done; e.err != nil || e.items != n {
			t.Errorf("%d items, %v", e.items, e.err)
		}
	}
	a.send(&syncproto.Prove{ID: a.next()})
	if p := expect[*syncproto.Proof](a); p.Kinds[0].Count != 2*n || p.Head != 2*n {
		t.Errorf("proof %+v", p)
	}
}

// TestSlowReader: a live session that reads nothing for a while costs the cloud
// no queue, holds nobody up, and is told everything in the end.
func TestSlowReader(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	slow := a.sibling().enter(c)
	slow.send(&syncproto.Live{ID: slow.next()})
	expect[*syncproto.Proof](slow)
	const n = 150 // 15 MB: more than sockets buffer
	began := time.Now()
	for i := range byte(n) {
		a.push(a.big(record.ID{i}, 100_000))
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the writer was held up: %v", took)
	}
	items := 0
	for {
		b := expect[*syncproto.Batch](slow)
		items += len(b.Items)
		if b.Next == n && b.State != nil {
			break
		}
	}
	if items != n {
		t.Errorf("%d items", items)
	}
}

func TestReconcileOverTheWire(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	var own itemSet
	var vs []syncproto.SealedVersion
	for i := range 400 {
		s := a.seal(record.Notes, record.ID{byte(i * 7), byte(i), byte(i >> 8)}, a.edit(record.New(), "x"))
		h, _ := seal.ParseHeader(s.Header)
		if i != 123 {
			own = append(own, rangeset.Item{ID: h.ID, Version: h.VersionID})
		}
		vs = append(vs, s)
	}
	a.push(vs...)
	slices.SortFunc(own, rangeset.Item.Compare)
	r := rangeset.NewReconciler(uint64(len(own)), uint64(len(vs)))
	var diff rangeset.Diff
	for {
		ask, done, err := r.Next(own)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		a.send(syncproto.NewRange(a.next(), record.Notes, ask))
		d, err := r.Handle(own, expect[*syncproto.Range](a).Message())
		if err != nil {
			t.Fatal(err)
		}
		diff.Need, diff.Have = append(diff.Need, d.Need...), append(diff.Have, d.Have...)
	}
	if len(diff.Need) != 1 || len(diff.Have) != 0 {
		t.Errorf("%d needed, %d not in the cloud", len(diff.Need), len(diff.Have))
	}
}

type itemSet []rangeset.Item

func (s itemSet) Scan(lower, upper rangeset.Bound, visit func(rangeset.Item) bool) error {
	for _, it := range s {
		if rangeset.Contains(lower, upper, it) && !visit(it) {
			return nil
		}
	}
	return nil
}

func (d *device) chunk(plain []byte) *syncproto.Chunk {
	d.t.Helper()
	s, err := d.keys.SealChunk(plain)
	if err != nil {
		d.t.Fatal(err)
	}
	return &syncproto.Chunk{Header: s.Header, Body: s.Body}
}

// TestChunks: what is stored is not asked for again, also after the connection
// broke; a chunk comes back as it went.
func TestChunks(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	var ids []record.ChunkID
	var chunks []*syncproto.Chunk
	for i := range 20 {
		plain := bytes.Repeat([]byte{byte(i)}, syncproto.ChunkBytes)
		ids = append(ids, a.keys.ChunkID(plain))
		chunks = append(chunks, a.chunk(plain))
	}
	need := func(want int) {
		t.Helper()
		a.send(&syncproto.Have{ID: a.next(), Chunks: ids})
		if n := expect[*syncproto.Need](a); len(n.Chunks) != want || want > 0 && !slices.Equal(n.Chunks, ids[len(ids)-want:]) {
			t.Fatalf("%d needed, want %d", len(n.Chunks), want)
		}
	}
	give := func(list []*syncproto.Chunk) {
		t.Helper()
		for _, ch := range list {
			a.send(ch)
		}
		for stored := 0; stored < len(list); {
			stored += len(expect[*syncproto.Stored](a).Chunks)
		}
	}
	need(20)
	give(chunks[:8])
	a.conn.CloseNow()
	a.enter(c)
	need(12)
	give(chunks[8:16])
	give(chunks[16:])
	need(0)

	b := a.sibling().enter(c)
	b.send(&syncproto.Want{ID: b.next(), Chunks: append(slices.Clone(ids[:3]), record.ChunkID{9})})
	for i := range 3 {
		if got := expect[*syncproto.Chunk](b); !bytes.Equal(got.Body, chunks[i].Body) || !bytes.Equal(got.Header, chunks[i].Header) {
			t.Errorf("chunk %d came back changed", i)
		}
	}
	if got := expect[*syncproto.Absent](b); got.ID != b.request || !slices.Equal(got.Chunks, []record.ChunkID{{9}}) {
		t.Errorf("absent %+v", got)
	}
	bad := chunks[0]
	b.send(&syncproto.Chunk{Header: bad.Header, Body: bad.Body[1:]})
	b.closed(syncproto.CodeBadChunk)
}

// TestEditOvertakesPictures: while chunks come down, an edit of another device
// is not behind them.
func TestEditOvertakesPictures(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	var ids []record.ChunkID
	for i := range 200 {
		plain := bytes.Repeat([]byte{byte(i), 1}, syncproto.ChunkBytes/2)
		ids = append(ids, a.keys.ChunkID(plain))
		a.send(a.chunk(plain))
		if i%syncproto.ChunkWindowMax == syncproto.ChunkWindowMax-1 {
			for stored := 0; stored < syncproto.ChunkWindowMax; {
				stored += len(expect[*syncproto.Stored](a).Chunks)
			}
		}
	}
	b := a.sibling().enter(c)
	b.send(&syncproto.Live{ID: b.next()})
	expect[*syncproto.Proof](b)
	b.send(&syncproto.Want{ID: b.next(), Chunks: ids})
	expect[*syncproto.Chunk](b)
	a.push(a.seal(record.Contacts, record.ID{1}, a.edit(record.New(), "x")))
	chunks, batchAt := 1, 0
	for {
		switch b.recv().(type) {
		case *syncproto.Chunk:
			chunks++
			continue
		case *syncproto.Batch:
			batchAt = chunks
			continue
		case *syncproto.Absent:
		}
		break
	}
	if chunks != len(ids) || batchAt == 0 || batchAt == chunks {
		t.Errorf("%d chunks, the edit after %d", chunks, batchAt)
	}
}

// TestSetAsideReachesLiveSessions: when a version that does not open is set
// aside, live devices are told the kind's new state and what came back.
func TestSetAsideReachesLiveSessions(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	b := a.sibling().enter(c)
	v := a.edit(record.New(), "FN:true")
	ack := a.push(a.seal(record.Notes, record.ID{1}, v))
	want := stateOf(ack, record.Notes)
	forged := b.seal(record.Notes, record.ID{1}, b.edit(v, "FN:forged"))
	forged.Body[len(forged.Body)-1] ^= 1
	b.push(forged)
	for _, d := range []*device{a, b} {
		d.send(&syncproto.Live{ID: d.next(), Kinds: []syncproto.Held{{Kind: record.Notes, After: 2}}})
		expect[*syncproto.Proof](d)
	}
	h, _ := seal.ParseHeader(forged.Header)
	a.send(&syncproto.Aside{ID: a.next(), Kind: record.Notes, Refs: []syncproto.Ref{syncproto.NewRef(h.ID, h.VersionID)}})
	if p := expect[*syncproto.Proof](a); p.Kinds[0].Count != 1 || p.Kinds[0].Sum != want.Sum {
		t.Errorf("proof %+v, want %+v", p, want)
	}
	for _, d := range []*device{a, b} {
		batch := expect[*syncproto.Batch](d)
		if len(batch.Items) != 1 || batch.State == nil || batch.State.Sum != want.Sum || batch.State.Count != 1 {
			t.Errorf("batch %+v", batch)
		}
		d.open(batch.Items[0].Header, batch.Items[0].Body)
	}
}

func TestTooManyRequests(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	plain := make([]byte, syncproto.ChunkBytes)
	a.send(a.chunk(plain))
	expect[*syncproto.Stored](a)
	ids := slices.Repeat([]record.ChunkID{a.keys.ChunkID(plain)}, syncproto.HaveMax)
	for range syncproto.RequestsMax + 1 {
		a.send(&syncproto.Want{ID: a.next(), Chunks: ids})
	}
	for {
		m := a.recv()
		if _, ok := m.(*syncproto.Chunk); ok {
			continue
		}
		wantRefused(t, m, syncproto.CodeBusy)
		break
	}
}
