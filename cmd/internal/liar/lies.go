package liar

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Lies are all ways to lie.
var Lies = []Lie{
	{Name: "forged tombstones", make: func(past *Past) Script {
		return onBatch(func(b *syncproto.Batch) {
			for i := range b.Items {
				b.Items[i] = past.forge(b.Items[i], true)
			}
		})
	}},
	{Name: "forged versions live", make: func(past *Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) {
			k.Flood(func(i int) syncproto.Message {
				it := past.forge(past.old[i%len(past.old)], i%2 == 0)
				it.Seq = syncproto.Seq(10_000 + i)
				return &syncproto.Batch{Kind: past.kinds[i%len(past.old)], Items: []syncproto.BatchItem{it}, Next: it.Seq}
			})
		})
	}},
	{Name: "replay of every old version", make: func(past *Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) {
			items := past.contacts(10_000)
			k.ToDevice(&syncproto.Batch{Kind: record.Contacts, Items: items, Next: 20_000})
		})
	}},
	{Name: "replay for ever", make: func(past *Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) {
			k.Flood(func(i int) syncproto.Message {
				n := syncproto.Seq(10_000 + 1000*i)
				return &syncproto.Batch{Kind: record.Contacts, Items: past.contacts(n), Next: n + 999}
			})
		})
	}},
	{Name: "payloads swapped between records", make: func(*Past) Script {
		return onBatch(func(b *syncproto.Batch) {
			for i := 1; i < len(b.Items); i += 2 {
				b.Items[i].Body, b.Items[i-1].Body = b.Items[i-1].Body, b.Items[i].Body
			}
		})
	}},
	{Name: "versions of another kind", make: func(past *Past) Script {
		return onBatch(func(b *syncproto.Batch) {
			if b.Kind == record.Notes {
				b.Items = past.contacts(1)
				b.Next = max(b.Next, 10_000)
			}
		})
	}},
	{Name: "false sums", make: func(*Past) Script { return onState(func(k *syncproto.KindState) { k.Sum[3] ^= 0x55 }) }},
	{Name: "false counts", make: func(*Past) Script { return onState(func(k *syncproto.KindState) { k.Count = 1 << 62 }) }},
	{Name: "other sums each time", make: func(*Past) Script {
		return onState(func(k *syncproto.KindState) { rand.Read(k.Sum[:]); k.Count += 7 })
	}},
	{Name: "endless empty pages", make: func(*Past) Script {
		return answer(syncproto.TypePull, func(k *Talk, m syncproto.Message) {
			p := m.(*syncproto.Pull)
			k.ToDevice(&syncproto.Batch{ID: p.ID, Kind: p.Kind, Next: p.After + 1, More: true})
		})
	}},
	{Name: "a cursor that does not move", make: func(past *Past) Script {
		return answer(syncproto.TypePull, func(k *Talk, m syncproto.Message) {
			p := m.(*syncproto.Pull)
			k.ToDevice(&syncproto.Batch{ID: p.ID, Kind: p.Kind, Next: p.After, More: true})
		})
	}},
	{Name: "the same versions for ever", make: func(past *Past) Script {
		return answer(syncproto.TypePull, func(k *Talk, m syncproto.Message) {
			p := m.(*syncproto.Pull)
			items := past.contacts(p.After + 1)
			k.ToDevice(&syncproto.Batch{ID: p.ID, Kind: p.Kind, Items: items, Next: items[len(items)-1].Seq, More: true})
		})
	}},
	{Name: "a walk that stands still", make: func(past *Past) Script {
		return onWalk(func(*syncproto.Walk) *syncproto.Batch {
			return &syncproto.Batch{Items: past.contacts(1), More: true, Upto: syncproto.Ref{1}}
		})
	}},
	{Name: "a walk without end", make: func(past *Past) Script {
		return onWalk(func(m *syncproto.Walk) *syncproto.Batch {
			upto := m.After
			binary.BigEndian.PutUint64(upto[:], binary.BigEndian.Uint64(upto[:])+1)
			return &syncproto.Batch{Items: past.contacts(1), More: true, Upto: upto}
		})
	}},
	{Name: "an answer to fetch without end", make: func(past *Past) Script {
		sums := states(func(k *syncproto.KindState) { k.Sum[0]++ })
		return Script{
			Up: func(k *Talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Range:
					sp := syncproto.Span{Mode: syncproto.RangeList, Items: ghosts(0, 600)}
					k.ToDevice(&syncproto.Range{ID: m.ID, Kind: m.Kind, Lower: m.Lower, Spans: []syncproto.Span{sp}})
					return false
				case *syncproto.Fetch:
					k.Flood(func(int) syncproto.Message {
						return &syncproto.Batch{ID: m.ID, Kind: m.Kind, Items: past.contacts(1), More: true}
					})
					return false
				}
				return true
			},
			Down: func(_ *Talk, m syncproto.Message) bool { sums(m); return true },
		}
	}},
	{Name: "a list of what does not exist", make: func(*Past) Script {
		sums := states(func(k *syncproto.KindState) { k.Sum[0]++; k.Count = 1 << 50 })
		return Script{
			Up: func(k *Talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Range:
					n, _ := k.memory["n"].(int)
					k.memory["n"] = n + 1
					items := ghosts(n, 2000)
					sp := syncproto.Span{Upper: append(items[1999][:31:31], 0xff), Mode: syncproto.RangeList, Items: items}
					k.ToDevice(&syncproto.Range{ID: m.ID, Kind: m.Kind, Lower: m.Lower, Spans: []syncproto.Span{sp}})
					return false
				case *syncproto.Fetch:
					k.ToDevice(&syncproto.Batch{ID: m.ID, Kind: m.Kind})
					return false
				}
				return true
			},
			Down: func(_ *Talk, m syncproto.Message) bool { sums(m); return true },
		}
	}},
	{Name: "ranges that shrink by nothing", make: func(*Past) Script {
		sums := states(func(k *syncproto.KindState) { k.Sum[0]++; k.Count = 1 << 60 })
		return Script{
			Up: func(k *Talk, m syncproto.Message) bool {
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
				k.ToDevice(&syncproto.Range{ID: r.ID, Kind: r.Kind, Lower: r.Lower, Spans: []syncproto.Span{sp}})
				return false
			},
			Down: func(_ *Talk, m syncproto.Message) bool { sums(m); return true },
		}
	}},
	{Name: "a frame of 7 MiB", make: func(*Past) Script {
		return once(syncproto.TypeWelcome, func(k *Talk) { k.raw(make([]byte, 7<<20)) })
	}},
	{Name: "malformed CBOR", make: func(*Past) Script {
		return once(syncproto.TypeWelcome, func(k *Talk) { k.raw([]byte{0x82, 8, 0xbf, 1, 1, 1, 1, 0xff}) })
	}},
	{Name: "an array of four billion", make: func(*Past) Script {
		return once(syncproto.TypeWelcome, func(k *Talk) { k.raw([]byte{0x82, 8, 0xa1, 3, 0x9a, 0xff, 0xff, 0xff, 0xff}) })
	}},
	{Name: "deep nesting", make: func(*Past) Script {
		return once(syncproto.TypeWelcome, func(k *Talk) { k.raw(append([]byte{0x82, 8}, bytes.Repeat([]byte{0x81}, 300_000)...)) })
	}},
	{Name: "wait of ten years", make: func(*Past) Script {
		return Script{Down: func(k *Talk, m syncproto.Message) bool {
			if m.Type() != syncproto.TypeWelcome {
				return true
			}
			k.ToDevice(&syncproto.Wait{Seconds: 10 * 365 * 86400, Code: syncproto.CodeBusy})
			return false
		}}
	}},
	{Name: "never acknowledged", Silent: true, make: func(*Past) Script {
		return Script{Up: func(_ *Talk, m syncproto.Message) bool {
			return m.Type() != syncproto.TypePush && m.Type() != syncproto.TypeHave
		}}
	}},
	{Name: "silent after the welcome", Silent: true, make: func(*Past) Script {
		return Script{Down: func(_ *Talk, m syncproto.Message) bool { return m.Type() <= syncproto.TypeWelcome }}
	}},
	{Name: "acknowledged, not stored", make: func(past *Past) Script {
		return Script{
			Up: func(k *Talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Push:
					k.ToDevice(&syncproto.Ack{ID: m.ID, Head: 1, Kinds: []syncproto.KindState{}})
					return false
				case *syncproto.Have:
					k.ToDevice(&syncproto.Need{ID: m.ID})
					return false
				}
				return true
			},
		}
	}},
	{Name: "echoes digests, stores nothing", make: func(past *Past) Script {
		held := map[record.Kind]syncproto.Held{}
		echo := states(func(k *syncproto.KindState) {
			if h, ok := held[k.Kind]; ok {
				k.Count, k.Sum = h.Count, h.Sum
			}
		})
		return Script{
			Up: func(k *Talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Push:
					k.ToDevice(&syncproto.Ack{ID: m.ID, Kinds: []syncproto.KindState{}})
					return false
				case *syncproto.Have:
					k.ToDevice(&syncproto.Need{ID: m.ID})
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
			Down: func(_ *Talk, m syncproto.Message) bool { echo(m); return true },
		}
	}},
	{Name: "calls every state the same, stores nothing", make: func(*Past) Script {
		return Script{
			State: true,
			Up: func(k *Talk, m syncproto.Message) bool {
				switch m := m.(type) {
				case *syncproto.Auth:
					k.memory["state"] = m.State != syncproto.StateDigest{}
				case *syncproto.Push:
					k.ToDevice(&syncproto.Ack{ID: m.ID, Kinds: []syncproto.KindState{}})
					return false
				case *syncproto.Have:
					k.ToDevice(&syncproto.Need{ID: m.ID})
					return false
				}
				return true
			},
			Down: func(k *Talk, m syncproto.Message) bool {
				if w, ok := m.(*syncproto.Welcome); ok && k.memory["state"] == true {
					w.Same, w.Kinds, w.Statements = true, nil, seal.StatementsDigest{}
				}
				return true
			},
		}
	}},
	{Name: "acknowledged what was not sent", make: func(*Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) { k.ToDevice(&syncproto.Ack{ID: 4_000_000, Kinds: []syncproto.KindState{}}) })
	}},
	{Name: "chunks stored that were not sent", make: func(*Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) { k.ToDevice(&syncproto.Stored{Chunks: []record.ChunkID{{1}}}) })
	}},
	{Name: "everything rejected", make: func(*Past) Script {
		return answer(syncproto.TypePush, func(k *Talk, m syncproto.Message) {
			p := m.(*syncproto.Push)
			a := &syncproto.Ack{ID: p.ID, Kinds: []syncproto.KindState{}}
			for i := range p.Versions {
				a.Rejects = append(a.Rejects, syncproto.Reject{Index: uint64(i), Code: syncproto.CodeQuota})
			}
			k.ToDevice(a)
		})
	}},
	{Name: "unsolicited chunks", make: func(*Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) {
			k.Flood(func(int) syncproto.Message { return &syncproto.Chunk{Header: []byte{1}, Body: make([]byte, 65_000)} })
		})
	}},
	{Name: "a bomb of chunks", make: func(past *Past) Script {
		return answer(syncproto.TypeWant, func(k *Talk, m syncproto.Message) {
			k.Flood(func(int) syncproto.Message { return &syncproto.Chunk{Header: []byte{1}, Body: make([]byte, 65_000)} })
		})
	}},
	{Name: "chunks of another blob", make: func(*Past) Script {
		return Script{Down: func(k *Talk, m syncproto.Message) bool {
			if c, ok := m.(*syncproto.Chunk); ok {
				c.Body[len(c.Body)/2] ^= 1
			}
			return true
		}}
	}},
	{Name: "restoring for ever", make: func(*Past) Script {
		return onState(func(k *syncproto.KindState) { k.State = syncproto.KindRestoring })
	}},
	{Name: "restoring, and writes of this device seen", make: func(*Past) Script {
		restoring := states(func(k *syncproto.KindState) { k.State = syncproto.KindRestoring })
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Seen = 1 << 40
			}
			restoring(m)
			return true
		}}
	}},
	{Name: "heads far ahead", make: func(*Past) Script {
		return onState(func(k *syncproto.KindState) { k.Head = 1<<63 + 5 })
	}},
	{Name: "heads far behind", make: func(*Past) Script { return onState(func(k *syncproto.KindState) { k.Head, k.Prev = 1, 0 }) }},
	{Name: "another epoch each time", make: func(*Past) Script {
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				rand.Read(w.Epoch[:])
			}
			return true
		}}
	}},
	{Name: "empty at each session", make: func(*Past) Script {
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				rand.Read(w.Epoch[:])
				w.Kinds, w.Head = nil, 0
			}
			return true
		}}
	}},
	{Name: "ever new kinds", make: func(*Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) {
			k.Flood(func(i int) syncproto.Message {
				kind := record.Kind(fmt.Sprint("kind-", i))
				return &syncproto.Batch{Kind: kind, Next: 5, State: &syncproto.KindState{Kind: kind, Count: 5, Head: 5}}
			})
		})
	}},
	{Name: "states without end", make: func(*Past) Script {
		return once(syncproto.TypeProof, func(k *Talk) {
			k.Flood(func(i int) syncproto.Message {
				n := syncproto.Seq(10_000 + i)
				return &syncproto.Batch{Kind: record.Contacts, Next: n, State: &syncproto.KindState{Kind: record.Contacts, Count: uint64(i), Head: n}}
			})
		})
	}},
	{Name: "another device's claim", make: func(past *Past) Script {
		// Answers with what it told another replica: more writes seen than there are.
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Seen = 1 << 40
			}
			return true
		}}
	}},
	{Name: "a stale claim each time", make: func(*Past) Script {
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Claim = syncproto.ClaimStale
			}
			return true
		}}
	}},
	{Name: "an unknown replica each time", make: func(*Past) Script {
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Claim = syncproto.ClaimUnknown
			}
			return true
		}}
	}},
	{Name: "limits of nothing", make: func(*Past) Script {
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok {
				w.Limits = syncproto.Limits{syncproto.LimitPushRecords: 0}
			}
			return true
		}}
	}},
	{Name: "a version that was not offered", make: func(*Past) Script {
		return Script{Down: func(_ *Talk, m syncproto.Message) bool {
			if c, ok := m.(*syncproto.Challenge); ok {
				c.Version = 9
			}
			return true
		}}
	}},
	{Name: "says that it is another cloud", make: func(*Past) Script {
		return Script{Down: func(k *Talk, m syncproto.Message) bool {
			if m.Type() == syncproto.TypeWelcome {
				k.ToDevice(&syncproto.ErrorMessage{Code: syncproto.CodeUnknownAccount})
				return false
			}
			return true
		}}
	}},
	{Name: "bye to everything", make: func(*Past) Script {
		return Script{Down: func(k *Talk, m syncproto.Message) bool {
			if m.Type() == syncproto.TypeWelcome {
				k.ToDevice(&syncproto.Bye{})
				return false
			}
			return true
		}}
	}},
	{Name: "the device's own messages", make: func(*Past) Script {
		return Script{Up: func(k *Talk, m syncproto.Message) bool {
			if m.Type() > syncproto.TypeWelcome {
				k.ToDevice(m)
			}
			return true
		}}
	}},
}
