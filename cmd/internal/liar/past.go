package liar

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Lie is one way to lie.
type Lie struct {
	Name   string
	Silent bool // the device can do nothing but wait
	make   func(*Past) Script
}

// Script returns how a cloud with this past lies.
func (l Lie) Script(past *Past) Script { return l.make(past) }

// Past is what a cloud ever got, which a lie may use.
type Past struct {
	old   []syncproto.BatchItem // oldest first
	kinds []record.Kind         // of each of old
	keys  *seal.Keys            // of nobody's account
}

// NewPast takes versions, oldest first, of which there is at least one.
func NewPast(old []syncproto.BatchItem) (*Past, error) {
	p := &Past{old: old}
	if len(old) == 0 {
		return nil, fmt.Errorf("a past without versions")
	}
	for _, it := range old {
		h, err := seal.ParseHeader(it.Header)
		if err != nil {
			return nil, fmt.Errorf("a past: %w", err)
		}
		p.kinds = append(p.kinds, h.Kind)
	}
	secret, err := seal.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	stranger, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		return nil, err
	}
	p.keys = stranger.Keys()
	return p, nil
}

// contacts are the old versions of that kind, with sequences from n on.
func (p *Past) contacts(n syncproto.Seq) []syncproto.BatchItem {
	var items []syncproto.BatchItem
	for i, it := range p.old {
		if p.kinds[i] == record.Contacts {
			it.Seq = n + syncproto.Seq(len(items))
			items = append(items, it)
		}
	}
	return items
}

// forge makes a version that says what it likes, but was sealed by no key of
// the account: with tombstone, of a record that is dead.
func (p *Past) forge(of syncproto.BatchItem, dead bool) syncproto.BatchItem {
	h, err := seal.ParseHeader(of.Header)
	if err != nil {
		panic("a lie forges what a hostile cloud has made up: " + err.Error())
	}
	v := record.New()
	for r, c := range h.Vector {
		v.Vector[r] = c + 1000
	}
	if dead {
		v = record.Delete(v, &Forger{})
	}
	sealed, err := p.keys.SealVersion(h.Kind, h.ID, v)
	if err != nil {
		panic("seal a forged version: " + err.Error())
	}
	of.Header, of.Body = sealed.Header, sealed.Body
	return of
}

// Forger mints writes of a replica that nobody has.
type Forger struct{ n uint64 }

// Next implements record.Minter.
func (f *Forger) Next() record.Dot {
	f.n++
	return record.Dot{Replica: record.ReplicaID{6, 6, 6, 6}, Counter: f.n}
}

// onBatch changes the items of each batch on its way down.
func onBatch(change func(*syncproto.Batch)) Script {
	return Script{Down: func(_ *Talk, m syncproto.Message) bool {
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

func onState(change func(*syncproto.KindState)) Script {
	f := states(change)
	return Script{Down: func(_ *Talk, m syncproto.Message) bool { f(m); return true }}
}

// onWalk lures a device into walking a kind that nobody has, and gives the answers.
func onWalk(page func(*syncproto.Walk) *syncproto.Batch) Script {
	const lure = record.Tasks
	return Script{
		Up: func(k *Talk, m syncproto.Message) bool {
			w, ok := m.(*syncproto.Walk)
			if !ok || w.Kind != lure {
				return true
			}
			b := page(w)
			b.ID, b.Kind = w.ID, w.Kind
			k.ToDevice(b)
			return false
		},
		Down: func(_ *Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok && !w.Same {
				w.Limits[syncproto.LimitWalk] = 1
				w.Kinds = append(w.Kinds, syncproto.KindState{Kind: lure, Count: 1 << 40, Head: 1 << 40})
			}
			return true
		},
	}
}

// once calls f at the first message of a type that the cloud sends.
func once(typ syncproto.Type, f func(*Talk)) Script {
	return Script{Down: func(k *Talk, m syncproto.Message) bool {
		if m.Type() != typ || k.memory["once"] != nil {
			return true
		}
		k.memory["once"] = true
		k.ToDevice(m)
		f(k)
		return false
	}}
}

// answer replaces the answers to one type of request.
func answer(typ syncproto.Type, f func(*Talk, syncproto.Message)) Script {
	return Script{Up: func(k *Talk, m syncproto.Message) bool {
		if m.Type() != typ {
			return true
		}
		f(k, m)
		return false
	}}
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
