package hostile

import (
	"crypto/rand"
	"encoding/binary"
	"testing"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// lie is one way to lie.
type lie struct {
	name string
	make func(*scene) script
}

// scene is what a script may use: what the cloud ever got.
type scene struct {
	t   *testing.T
	old []syncproto.BatchItem // every version that ever came to the cloud, oldest first
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

// ghosts are n refs that nobody has, above those of rounds before.
func ghosts(round, n int) []syncproto.Ref {
	refs := make([]syncproto.Ref, n)
	for i := range refs {
		binary.BigEndian.PutUint64(refs[i][:], uint64(round)<<32|uint64(i)<<8)
		refs[i][31] = 1
	}
	return refs
}
