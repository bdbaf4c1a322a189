package hostile

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

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
	{name: "restoring, and writes of this device seen", make: func(*scene) script {
		restoring := states(func(k *syncproto.KindState) { k.State = syncproto.KindRestoring })
		return script{down: func(_ *talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Seen = 1 << 40
			}
			restoring(m)
			return true
		}}
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
