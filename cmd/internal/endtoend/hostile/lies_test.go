package hostile

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// What a lying cloud may cost one sync of the little device of these tests.
const (
	timeMost     = 30 * time.Second
	sessionsMost = 40
	messagesMost = 80_000 // either way, with those that were on their way when the device hung up
	bytesMost    = 48 << 20
	heapMost     = 128 << 20 // beyond what there was, of all tests that run beside this one
)

// lie is one way to lie.
type lie struct {
	name string
	make func(*scene) script
}

// scene is what a script may use: what the cloud ever got.
type scene struct {
	t    *testing.T
	old  []syncproto.BatchItem // every version that ever came to the cloud, oldest first
	last *syncproto.Welcome
}

func (s *scene) kindOf(it syncproto.BatchItem) record.Kind {
	h, err := seal.ParseHeader(it.Header)
	if err != nil {
		s.t.Fatal(err)
	}
	return h.Kind
}

// contacts are the old versions of that kind, with sequences from n on.
func (s *scene) contacts(n syncproto.Seq) []syncproto.BatchItem {
	var items []syncproto.BatchItem
	for _, it := range s.old {
		if s.kindOf(it) == record.Contacts {
			it.Seq = n + syncproto.Seq(len(items))
			items = append(items, it)
		}
	}
	return items
}

// forged makes a version that says what it likes, but was sealed by no key of
// the account: with tombstone, of a record that is dead.
func (s *scene) forged(of syncproto.BatchItem, dead bool) syncproto.BatchItem {
	h, err := seal.ParseHeader(of.Header)
	if err != nil {
		s.t.Fatal(err)
	}
	v := record.New()
	for r, c := range h.Vector {
		v.Vector[r] = c + 1000
	}
	var stranger seal.Secret
	rand.Read(stranger[:])
	keys := newKeys(s.t, stranger)
	if dead {
		v = record.Delete(v, &forger{})
	}
	sealed, err := keys.SealVersion(h.Kind, h.ID, v)
	if err != nil {
		s.t.Fatal(err)
	}
	of.Header, of.Body = sealed.Header, sealed.Body
	return of
}

// forger mints writes of a replica that nobody has.
type forger struct{ n uint64 }

func (f *forger) Next() record.Dot {
	f.n++
	return record.Dot{Replica: record.ReplicaID{6, 6, 6, 6}, Counter: f.n}
}

// onBatch changes the items of each batch on its way down.
func onBatch(change func(*syncproto.Batch)) script {
	return script{down: func(_ *talk, m syncproto.Message) bool {
		if b, ok := m.(*syncproto.Batch); ok {
			change(b)
		}
		return true
	}}
}

// states changes whatever the cloud says that it holds.
func states(change func(*syncproto.KindState)) func(syncproto.Message) {
	all := func(ks []syncproto.KindState) {
		for i := range ks {
			change(&ks[i])
		}
	}
	return func(m syncproto.Message) {
		switch m := m.(type) {
		case *syncproto.Welcome:
			all(m.Kinds)
		case *syncproto.Ack:
			all(m.Kinds)
		case *syncproto.Proof:
			all(m.Kinds)
		case *syncproto.Batch:
			if m.State != nil {
				change(m.State)
			}
		}
	}
}

func onState(change func(*syncproto.KindState)) script {
	f := states(change)
	return script{down: func(_ *talk, m syncproto.Message) bool { f(m); return true }}
}

// once calls f at the first message of a type that the cloud sends.
func once(typ syncproto.Type, f func(*talk)) script {
	return script{down: func(k *talk, m syncproto.Message) bool {
		if m.Type() != typ || k.memory["once"] != nil {
			return true
		}
		k.memory["once"] = true
		k.toDevice(m)
		f(k)
		return false
	}}
}

// answer replaces the answers to one type of request.
func answer(typ syncproto.Type, f func(*talk, syncproto.Message)) script {
	return script{up: func(k *talk, m syncproto.Message) bool {
		if m.Type() != typ {
			return true
		}
		f(k, m)
		return false
	}}
}

var lies = []lie{
	{name: "forged tombstones", make: func(s *scene) script {
		return onBatch(func(b *syncproto.Batch) {
			for i := range b.Items {
				b.Items[i] = s.forged(b.Items[i], true)
			}
		})
	}},
	{name: "forged versions live", make: func(s *scene) script {
		return once(syncproto.TypeProof, func(k *talk) {
			k.flood(func(i int) syncproto.Message {
				it := s.forged(s.old[i%len(s.old)], i%2 == 0)
				it.Seq = syncproto.Seq(10_000 + i)
				return &syncproto.Batch{Kind: s.kindOf(s.old[i%len(s.old)]), Items: []syncproto.BatchItem{it}, Next: it.Seq}
			})
		})
	}},
	{name: "replay of every old version", make: func(s *scene) script {
		return once(syncproto.TypeProof, func(k *talk) {
			items := s.contacts(10_000)
			k.toDevice(&syncproto.Batch{Kind: record.Contacts, Items: items, Next: 20_000})
		})
	}},
	{name: "replay for ever", make: func(s *scene) script {
		return once(syncproto.TypeProof, func(k *talk) {
			k.flood(func(i int) syncproto.Message {
				n := syncproto.Seq(10_000 + 1000*i)
				return &syncproto.Batch{Kind: record.Contacts, Items: s.contacts(n), Next: n + 999}
			})
		})
	}},
	{name: "payloads swapped between records", make: func(*scene) script {
		return onBatch(func(b *syncproto.Batch) {
			for i := 1; i < len(b.Items); i += 2 {
				b.Items[i].Body, b.Items[i-1].Body = b.Items[i-1].Body, b.Items[i].Body
			}
		})
	}},
	{name: "versions of another kind", make: func(s *scene) script {
		return onBatch(func(b *syncproto.Batch) {
			if b.Kind == record.Notes {
				b.Items = s.contacts(1)
				b.Next = max(b.Next, 10_000)
			}
		})
	}},
	{name: "false sums", make: func(*scene) script { return onState(func(k *syncproto.KindState) { k.Sum[3] ^= 0x55 }) }},
	{name: "false counts", make: func(*scene) script { return onState(func(k *syncproto.KindState) { k.Count = 1 << 62 }) }},
	{name: "other sums each time", make: func(*scene) script {
		return onState(func(k *syncproto.KindState) { rand.Read(k.Sum[:]); k.Count += 7 })
	}},
	{name: "endless empty pages", make: func(*scene) script {
		return answer(syncproto.TypePull, func(k *talk, m syncproto.Message) {
			p := m.(*syncproto.Pull)
			k.toDevice(&syncproto.Batch{ID: p.ID, Kind: p.Kind, Next: p.After + 1, More: true})
		})
	}},
	{name: "a cursor that does not move", make: func(s *scene) script {
		return answer(syncproto.TypePull, func(k *talk, m syncproto.Message) {
			p := m.(*syncproto.Pull)
			k.toDevice(&syncproto.Batch{ID: p.ID, Kind: p.Kind, Next: p.After, More: true})
		})
	}},
	{name: "the same versions for ever", make: func(s *scene) script {
		return answer(syncproto.TypePull, func(k *talk, m syncproto.Message) {
			p := m.(*syncproto.Pull)
			items := s.contacts(p.After + 1)
			k.toDevice(&syncproto.Batch{ID: p.ID, Kind: p.Kind, Items: items, Next: items[len(items)-1].Seq, More: true})
		})
	}},
	{name: "an answer to fetch without end", make: func(s *scene) script {
		sums := states(func(k *syncproto.KindState) { k.Sum[0]++ })
		return script{
			up: func(k *talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Range:
					sp := syncproto.Span{Mode: syncproto.RangeList, Items: ghosts(0, 600)}
					k.toDevice(&syncproto.Range{ID: m.ID, Kind: m.Kind, Lower: m.Lower, Spans: []syncproto.Span{sp}})
					return false
				case *syncproto.Fetch:
					k.flood(func(int) syncproto.Message {
						return &syncproto.Batch{ID: m.ID, Kind: m.Kind, Items: s.contacts(1), More: true}
					})
					return false
				}
				return true
			},
			down: func(_ *talk, m syncproto.Message) bool { sums(m); return true },
		}
	}},
	{name: "a list of what does not exist", make: func(*scene) script {
		sums := states(func(k *syncproto.KindState) { k.Sum[0]++; k.Count = 1 << 50 })
		return script{
			up: func(k *talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Range:
					n, _ := k.memory["n"].(int)
					k.memory["n"] = n + 1
					items := ghosts(n, 2000)
					sp := syncproto.Span{Upper: append(items[1999][:31:31], 0xff), Mode: syncproto.RangeList, Items: items}
					k.toDevice(&syncproto.Range{ID: m.ID, Kind: m.Kind, Lower: m.Lower, Spans: []syncproto.Span{sp}})
					return false
				case *syncproto.Fetch:
					k.toDevice(&syncproto.Batch{ID: m.ID, Kind: m.Kind})
					return false
				}
				return true
			},
			down: func(_ *talk, m syncproto.Message) bool { sums(m); return true },
		}
	}},
	{name: "ranges that shrink by nothing", make: func(*scene) script {
		sums := states(func(k *syncproto.KindState) { k.Sum[0]++; k.Count = 1 << 60 })
		return script{
			up: func(k *talk, m syncproto.Message) bool {
				r, ok := m.(*syncproto.Range)
				if !ok {
					return true
				}
				n, _ := k.memory["n"].(uint64)
				k.memory["n"] = n + 1
				upper := make([]byte, 32)
				binary.BigEndian.PutUint64(upper[24:], n+1)
				sp := syncproto.Span{Upper: upper, Mode: syncproto.RangeFingerprint, Count: 1 << 40, Sum: [16]byte{1}}
				if bytes.Compare(upper, r.Lower) <= 0 {
					return true
				}
				k.toDevice(&syncproto.Range{ID: r.ID, Kind: r.Kind, Lower: r.Lower, Spans: []syncproto.Span{sp}})
				return false
			},
			down: func(_ *talk, m syncproto.Message) bool { sums(m); return true },
		}
	}},
	{name: "a frame of 7 MiB", make: func(*scene) script {
		return once(syncproto.TypeWelcome, func(k *talk) { k.raw(make([]byte, 7<<20)) })
	}},
	{name: "malformed CBOR", make: func(*scene) script {
		return once(syncproto.TypeWelcome, func(k *talk) { k.raw([]byte{0x82, 8, 0xbf, 1, 1, 1, 1, 0xff}) })
	}},
	{name: "an array of four billion", make: func(*scene) script {
		return once(syncproto.TypeWelcome, func(k *talk) { k.raw([]byte{0x82, 8, 0xa1, 3, 0x9a, 0xff, 0xff, 0xff, 0xff}) })
	}},
	{name: "deep nesting", make: func(*scene) script {
		return once(syncproto.TypeWelcome, func(k *talk) { k.raw(append([]byte{0x82, 8}, bytes.Repeat([]byte{0x81}, 300_000)...)) })
	}},
	{name: "wait of ten years", make: func(*scene) script {
		return script{down: func(k *talk, m syncproto.Message) bool {
			if m.Type() != syncproto.TypeWelcome {
				return true
			}
			k.toDevice(&syncproto.Wait{Seconds: 10 * 365 * 86400, Code: syncproto.CodeBusy})
			return false
		}}
	}},
	{name: "acknowledged, not stored", make: func(s *scene) script {
		return script{
			up: func(k *talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Push:
					k.toDevice(&syncproto.Ack{ID: m.ID, Head: 1, Kinds: []syncproto.KindState{}})
					return false
				case *syncproto.Have:
					k.toDevice(&syncproto.Need{ID: m.ID})
					return false
				}
				return true
			},
		}
	}},
	{name: "echoes digests, stores nothing", make: func(s *scene) script {
		held := map[record.Kind]syncproto.Held{}
		echo := states(func(k *syncproto.KindState) {
			if h, ok := held[k.Kind]; ok {
				k.Count, k.Sum = h.Count, h.Sum
			}
		})
		return script{
			up: func(k *talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Push:
					k.toDevice(&syncproto.Ack{ID: m.ID, Kinds: []syncproto.KindState{}})
					return false
				case *syncproto.Have:
					k.toDevice(&syncproto.Need{ID: m.ID})
					return false
				case *syncproto.Live:
					for _, h := range m.Kinds {
						held[h.Kind] = h
					}
				case *syncproto.Prove:
					for _, h := range m.Kinds {
						held[h.Kind] = h
					}
				}
				return true
			},
			down: func(_ *talk, m syncproto.Message) bool { echo(m); return true },
		}
	}},
	{name: "acknowledged what was not sent", make: func(*scene) script {
		return once(syncproto.TypeProof, func(k *talk) { k.toDevice(&syncproto.Ack{ID: 4_000_000, Kinds: []syncproto.KindState{}}) })
	}},
	{name: "chunks stored that were not sent", make: func(*scene) script {
		return once(syncproto.TypeProof, func(k *talk) { k.toDevice(&syncproto.Stored{Chunks: []record.ChunkID{{1}}}) })
	}},
	{name: "everything rejected", make: func(*scene) script {
		return answer(syncproto.TypePush, func(k *talk, m syncproto.Message) {
			p := m.(*syncproto.Push)
			a := &syncproto.Ack{ID: p.ID, Kinds: []syncproto.KindState{}}
			for i := range p.Versions {
				a.Rejects = append(a.Rejects, syncproto.Reject{Index: uint64(i), Code: syncproto.CodeQuota})
			}
			k.toDevice(a)
		})
	}},
	{name: "unsolicited chunks", make: func(*scene) script {
		return once(syncproto.TypeProof, func(k *talk) {
			k.flood(func(int) syncproto.Message { return &syncproto.Chunk{Header: []byte{1}, Body: make([]byte, 65_000)} })
		})
	}},
	{name: "a bomb of chunks", make: func(s *scene) script {
		return answer(syncproto.TypeWant, func(k *talk, m syncproto.Message) {
			k.flood(func(int) syncproto.Message { return &syncproto.Chunk{Header: []byte{1}, Body: make([]byte, 65_000)} })
		})
	}},
	{name: "chunks of another blob", make: func(*scene) script {
		return script{down: func(k *talk, m syncproto.Message) bool {
			if c, ok := m.(*syncproto.Chunk); ok {
				c.Body[len(c.Body)/2] ^= 1
			}
			return true
		}}
	}},
	{name: "restoring for ever", make: func(*scene) script {
		return onState(func(k *syncproto.KindState) { k.State = syncproto.KindRestoring })
	}},
	{name: "heads far ahead", make: func(*scene) script {
		return onState(func(k *syncproto.KindState) { k.Head = 1<<63 + 5 })
	}},
	{name: "heads far behind", make: func(*scene) script { return onState(func(k *syncproto.KindState) { k.Head, k.Prev = 1, 0 }) }},
	{name: "another epoch each time", make: func(*scene) script {
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				rand.Read(w.Epoch[:])
			}
			return true
		}}
	}},
	{name: "empty at each session", make: func(*scene) script {
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				rand.Read(w.Epoch[:])
				w.Kinds, w.Head = nil, 0
			}
			return true
		}}
	}},
	{name: "ever new kinds", make: func(*scene) script {
		return once(syncproto.TypeProof, func(k *talk) {
			k.flood(func(i int) syncproto.Message {
				kind := record.Kind(fmt.Sprint("kind-", i))
				return &syncproto.Batch{Kind: kind, Next: 5, State: &syncproto.KindState{Kind: kind, Count: 5, Head: 5}}
			})
		})
	}},
	{name: "states without end", make: func(*scene) script {
		return once(syncproto.TypeProof, func(k *talk) {
			k.flood(func(i int) syncproto.Message {
				n := syncproto.Seq(10_000 + i)
				return &syncproto.Batch{Kind: record.Contacts, Next: n, State: &syncproto.KindState{Kind: record.Contacts, Count: uint64(i), Head: n}}
			})
		})
	}},
	{name: "another device's claim", make: func(s *scene) script {
		// Answers with what it told another replica: more writes seen than there are.
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Seen = 1 << 40
			}
			return true
		}}
	}},
	{name: "a stale claim each time", make: func(*scene) script {
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Claim = syncproto.ClaimStale
			}
			return true
		}}
	}},
	{name: "an unknown replica each time", make: func(*scene) script {
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Claim = syncproto.ClaimUnknown
			}
			return true
		}}
	}},
	{name: "limits of nothing", make: func(*scene) script {
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Limits = syncproto.Limits{syncproto.LimitPushRecords: 0}
			}
			return true
		}}
	}},
	{name: "a version that was not offered", make: func(*scene) script {
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if c, ok := m.(*syncproto.Challenge); ok {
				c.Version = 9
			}
			return true
		}}
	}},
	{name: "says that it is another cloud", make: func(*scene) script {
		return script{down: func(k *talk, m syncproto.Message) bool {
			if m.Type() == syncproto.TypeWelcome {
				k.toDevice(&syncproto.ErrorMessage{Code: syncproto.CodeUnknownAccount})
				return false
			}
			return true
		}}
	}},
	{name: "bye to everything", make: func(*scene) script {
		return script{down: func(k *talk, m syncproto.Message) bool {
			if m.Type() == syncproto.TypeWelcome {
				k.toDevice(&syncproto.Bye{})
				return false
			}
			return true
		}}
	}},
	{name: "the device's own messages", make: func(*scene) script {
		return script{up: func(k *talk, m syncproto.Message) bool {
			if m.Type() > syncproto.TypeWelcome {
				k.toDevice(m)
			}
			return true
		}}
	}},
}

// ghosts are n refs that nobody has, above those of rounds before.
func ghosts(round, n int) []syncproto.Ref {
	refs := make([]syncproto.Ref, n)
	for i := range refs {
		binary.BigEndian.PutUint64(refs[i][:], uint64(round)<<32|uint64(i)<<8)
		refs[i][31] = 1
	}
	return refs
}

// TestNoLieHarms has a device sync with a cloud that lies in one way, and then
// with the same cloud when it has become honest.
func TestNoLieHarms(t *testing.T) {
	for _, l := range lies {
		t.Run(strings.ReplaceAll(l.name, " ", "-"), func(t *testing.T) { l.run(t) })
	}
}

func (l lie) run(t *testing.T) {
	t.Parallel()
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	s := &scene{t: t}
	// An honest past, written down by a proxy that has no script.
	recorder := newLiar(t, cloud.Addr, script{up: func(_ *talk, m syncproto.Message) bool {
		if p, ok := m.(*syncproto.Push); ok {
			for _, v := range p.Versions {
				s.old = append(s.old, syncproto.BatchItem{Seq: 1, Header: v.Header, Body: v.Body})
			}
		}
		return true
	}})
	a := person.join(t, "a", cloud.URL)
	b := person.join(t, "b", cloud.URL, recorder.through)
	for i := range 40 {
		b.add(record.Contacts, fmt.Sprint("contact-", i), "FN", fmt.Sprint("Person ", i))
	}
	b.add(record.Notes, "note", "SUMMARY", "first")
	b.sync()
	for i := range 10 {
		b.set(fmt.Sprint("contact-", i), "NOTE", "second")
	}
	picture := b.picture("beach", 150_000)
	b.remove("contact-39")
	b.sync()
	a.sync()
	same(t, a, b)
	// What each does not know of the other when the lies begin.
	for i := range 12 {
		b.add(record.Contacts, fmt.Sprint("late-", i), "FN", "Late")
		b.add(record.Notes, fmt.Sprint("noted-", i), "SUMMARY", "Late")
	}
	late := b.picture("late", 100_000)
	b.sync()
	a.set("contact-1", "ORG", "edited before the lies")
	a.add(record.Events, "event", "SUMMARY", "made before the lies")
	a.remove("contact-38")
	own := a.picture("own", 130_000)
	before := a.shown()

	hostile := newLiar(t, cloud.Addr, l.make(s))
	a.through(hostile.through)
	var top atomic.Uint64
	stop := watchHeap(&top)
	began := time.Now()
	err := a.trySync(timeMost)
	took := time.Since(began)
	stop()
	sessions, up, down, bytesUp, bytesDown := hostile.seen()
	t.Logf("%v, %d sessions, %d messages and %d KB up, %d and %d KB down, %d KB of heap: %v",
		took.Round(time.Millisecond), sessions, up, bytesUp>>10, down, bytesDown>>10, top.Load()>>10, err)
	if took > timeMost+5*time.Second || sessions > sessionsMost || up+down > messagesMost || bytesUp+bytesDown > bytesMost || top.Load() > heapMost {
		t.Errorf("more than a lie may cost")
	}
	if lost := missing(before, a.shown()); len(lost) > 0 {
		t.Errorf("the lie changed %d records:\n%s", len(lost), strings.Join(lost, "\n"))
	}
	hostile.cut()
	if err == nil { // it said that it is in sync: then that was true
		d := person.join(t, "d", cloud.URL)
		d.sync()
		if got, want := d.shown(), a.shown(); !slices.Equal(got, want) {
			t.Errorf("called in sync falsely:\n%s\n---\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		sameBytes(t, "a picture of this device", d.pictureBytes("own"), own)
	}

	a.through(nil)
	a.sync()
	b.sync()
	a.sync()
	c := person.join(t, "c", cloud.URL)
	c.sync()
	a.sync()
	same(t, a, b, c)
	if lost := missing(before, c.shown()); len(lost) > 0 {
		t.Errorf("%d records did not come through:\n%s", len(lost), strings.Join(lost, "\n"))
	}
	sameBytes(t, "a picture", c.pictureBytes("beach"), picture)
	sameBytes(t, "a picture of the other device", a.pictureBytes("late"), late)
	sameBytes(t, "a picture of this device", c.pictureBytes("own"), own)
}

// watchHeap keeps the most heap beyond what there is now.
func watchHeap(top *atomic.Uint64) (stop func()) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base := m.HeapInuse
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			runtime.ReadMemStats(&m)
			if m.HeapInuse > base && m.HeapInuse-base > top.Load() {
				top.Store(m.HeapInuse - base)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// missing returns the lines of before that are not in after.
func missing(before, after []string) []string {
	has := map[string]bool{}
	for _, l := range after {
		has[l] = true
	}
	var lost []string
	for _, l := range before {
		if !has[l] {
			lost = append(lost, l)
		}
	}
	return lost
}
