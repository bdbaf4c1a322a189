package syncproto

import (
	"bytes"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// deviceBatch is a batch that waits for the store.
type deviceBatch struct {
	kind   *deviceKind
	items  []BatchItem
	cursor Seq
	walk   WalkPlace // up to where it was walked with this batch; zero: it was no walk, or that ends here
	state  *KindState
	last   bool // the answer ends here
}

// answer takes a message of the open session.
func (s *DeviceSession) answer(m Message) {
	switch m := m.(type) {
	case *Ack:
		if r := s.answered(m.ID, TypePush); r != nil {
			s.acked(m, r)
		}
	case *Batch:
		s.batch(m)
	case *Proof:
		if r := s.answered(m.ID, TypeLive, TypeProve, TypeAside); r != nil {
			s.proved(m, r)
		}
	case *Range:
		if r := s.answered(m.ID, TypeRange); r != nil {
			s.ranged(m, r)
		}
	case *Need:
		if s.answered(m.ID, TypeHave) != nil {
			s.up.needed(s, m.Chunks)
		}
	case *Stored:
		s.up.stored(s, m.Chunks)
	case *Chunk:
		if s.sample.wanting {
			s.sample.arrived(s, m)
		} else {
			s.down.arrived(s, m)
		}
	case *Statements:
		s.heardStatements(m)
	case *Absent:
		if r := s.answered(m.ID, TypeWant); r == nil {
		} else if r.sample {
			s.sample.wanting = false
		} else {
			s.down.end(s, r.want)
		}
	default:
		s.fail(CodeOutOfOrder, m.Type().String())
	}
}

// answered takes the request off the list. It closes the session and returns
// nil if there is none of these types under the id.
func (s *DeviceSession) answered(id RequestID, types ...Type) *deviceRequest {
	r := s.requests[id]
	if r != nil {
		for _, t := range types {
			if r.typ == t {
				delete(s.requests, id)
				return r
			}
		}
	}
	s.fail(CodeOutOfOrder, "an answer that nobody asked for")
	return nil
}

func (s *DeviceSession) pull(k *deviceKind) {
	k.wantPull = false
	k.asked = s.request(&deviceRequest{kind: k, typ: TypePull, after: k.cursor})
	s.send(&Pull{ID: k.asked, Kind: k.name, After: k.cursor, BytesMax: uint64(s.grain)})
}

// sendWalk asks for what comes after a place.
func (s *DeviceSession) sendWalk(k *deviceKind, after WalkPlace) {
	k.asked = s.request(&deviceRequest{kind: k, typ: TypeWalk, walk: after})
	s.send(&Walk{ID: k.asked, Kind: k.name, After: after.Upto, BytesMax: uint64(s.grain)})
}

func (s *DeviceSession) fetch(k *deviceKind) {
	n := min(len(k.need), FetchMax)
	k.asked = s.request(&deviceRequest{kind: k, typ: TypeFetch, left: n})
	s.send(&Fetch{ID: k.asked, Kind: k.name, Refs: k.need[:n:n]})
	k.need = k.need[n:]
}

// grow lets the next batch and push be larger, now that one went through: a
// link that breaks often gets on in small steps.
func (s *DeviceSession) grow() { s.grain = min(2*s.grain, grainMost) }

// batch queues what came for the store, and asks for the next page before that.
func (s *DeviceSession) batch(m *Batch) {
	b := deviceBatch{kind: s.kind(m.Kind), items: m.Items, cursor: m.Next, state: m.State, last: !m.More}
	if s.phase == deviceClosed {
		return
	}
	r := s.requests[m.ID]
	if m.Upto != (Ref{}) && (r == nil || r.typ != TypeWalk) {
		s.fail(CodeBadMessage, "a walk that nobody asked for")
		return
	}
	if m.ID == 0 {
		if !s.liveSent {
			s.fail(CodeOutOfOrder, "a live batch before live")
			return
		}
		b.last = false
		if len(b.items) == 0 && !s.wasted(1, 0) {
			return
		}
		s.arrived = append(s.arrived, b)
		return
	}
	switch {
	case r == nil || r.typ != TypePull && r.typ != TypeWalk && r.typ != TypeFetch || r.kind != b.kind:
		s.fail(CodeOutOfOrder, "a batch that nobody asked for")
		return
	case r.sample:
		s.sample.batch(s, m, r)
		return
	case r.typ == TypeFetch:
		b.cursor = 0
		if r.left -= len(m.Items); r.left < 0 || m.More && len(m.Items) == 0 {
			s.fail(CodeBadMessage, "a fetch that gives more than was asked")
			return
		}
		if !m.More {
			if !s.wasted(r.left, r.kind.own.Count) {
				return
			}
			delete(s.requests, m.ID)
		}
	case r.typ == TypeWalk:
		delete(s.requests, m.ID)
		s.grow()
		if m.Next != 0 || m.More && (bytes.Compare(m.Upto[:], r.walk.Upto[:]) <= 0 || len(m.Items) == 0) {
			s.fail(CodeBadMessage, "a walk that does not move")
			return
		}
		if b.cursor = r.walk.Base; m.More {
			b.cursor, b.walk = 0, WalkPlace{Base: r.walk.Base, Upto: m.Upto}
			s.sendWalk(b.kind, b.walk)
		} else { // what came into the log since the walk began is received before anything is minted
			b.kind.wantPull = m.State != nil && m.State.Head > r.walk.Base
		}
	default:
		delete(s.requests, m.ID)
		s.grow()
		if m.More {
			if m.Next <= r.after || len(m.Items) == 0 {
				s.fail(CodeBadMessage, "a pull that does not move")
				return
			}
			b.kind.asked = s.request(&deviceRequest{kind: b.kind, typ: TypePull, after: m.Next})
			s.send(&Pull{ID: b.kind.asked, Kind: b.kind.name, After: m.Next, BytesMax: uint64(s.grain)})
		}
	}
	s.arrived = append(s.arrived, b)
}

// apply hands the oldest batch to the store.
func (s *DeviceSession) apply() {
	b := &s.arrived[0]
	cursor := max(b.cursor, b.kind.cursor)
	if b.cursor == 0 || cursor == b.kind.saved {
		cursor = 0
	}
	if len(b.items) == 0 {
		s.finishBatch(cursor)
		s.plan()
		return
	}
	s.ask(StoreApply{Kind: b.kind.name, Items: b.items, Cursor: cursor, Walk: b.walk})
}

func (s *DeviceSession) applied(a LocalApplied) {
	if a.Fork {
		s.fork(ForkCounter)
		return
	}
	if len(s.arrived) == 0 {
		return
	}
	b := &s.arrived[0]
	k := b.kind
	s.changed = true
	k.own = a.Own
	k.lacking -= min(k.lacking, uint64(a.Overtaken))
	k.here = k.here || a.Changed > 0
	k.again = k.again || a.ToPush
	fresh := s.closedOnes(k, a.NotOpen)
	s.gained(k, a.Changed)
	s.witness.applied(s, k, a.Changed)
	if !s.wasted(len(b.items)-a.Changed-fresh, k.own.Count) {
		return
	}
	if a.Changed > 0 {
		s.down.look()
	}
	cursor := max(b.cursor, k.cursor)
	if b.cursor != 0 {
		k.saved = cursor
	}
	s.finishBatch(cursor)
	s.do(DeviceStateChanged{s.live})
}

// finishBatch takes the oldest batch off the queue and learns what it said of
// the cloud.
func (s *DeviceSession) finishBatch(cursor Seq) {
	b := s.arrived[0]
	s.arrived = s.arrived[1:]
	k := b.kind
	if b.cursor != 0 {
		k.cursor = max(k.cursor, cursor)
	}
	if b.state != nil {
		s.cloudSays(b.state, !s.live || b.last)
	}
	if b.last {
		k.asked = 0
		k.cursor = max(k.cursor, b.cursor)
	}
}

// push sends what is in the outbox of k, and reports whether something is still
// under way.
func (s *DeviceSession) push(k *deviceKind) bool {
	if k.again {
		k.again, k.minting = false, true // what is new comes at the outbox's end
	}
	// Before live a small push waits until it is known whether more follows: the
	// last one has live beside it.
	wait := !s.liveSent && k.minting && len(k.out) <= pushWaits
	for len(k.out) > 0 && !wait && s.mayPush() {
		s.sendPush(k)
	}
	if (len(k.out) == 0 || wait) && k.minting && s.mayPush() {
		s.ask(StoreMint{Kind: k.name, After: k.after, RecordsMax: s.limits.Get(LimitPushRecords), BytesMax: min(s.grain, s.limits.Get(LimitPushBytes))})
		return true
	}
	return k.pushing > 0 || len(k.out) > 0 || k.minting
}

// pushWaits is how many versions are few for a push.
const pushWaits = 16

// mayPush reports whether the cloud takes another push.
func (s *DeviceSession) mayPush() bool {
	pushing := 0
	for _, k := range s.kinds {
		pushing += k.pushing
	}
	return pushing < s.limits.Get(LimitPushWindow) && s.room()
}

func (s *DeviceSession) minted(m LocalMinted) {
	k := s.kind(m.Kind)
	k.own = m.Own
	k.minting = len(m.Versions) > 0
	for _, v := range m.Versions {
		k.after = max(k.after, v.Order)
		if !k.rejected[v.Ref] {
			k.out = append(k.out, v)
		}
	}
}

// sendPush sends as many versions of the queue as one push may hold.
func (s *DeviceSession) sendPush(k *deviceKind) {
	most, bytesMax := s.limits.Get(LimitPushRecords), s.limits.Get(LimitPushBytes)
	r := &deviceRequest{kind: k, typ: TypePush}
	p := &Push{ID: s.request(r)}
	size := 0
	for len(k.out) > 0 && len(p.Versions) < most {
		v := &k.out[0]
		sealed := SealedVersion{Header: v.Sealed.Header, Body: v.Sealed.Body}
		if size += sealed.size(); size > bytesMax && len(p.Versions) > 0 {
			break
		}
		p.Versions = append(p.Versions, sealed)
		r.refs = append(r.refs, v.Ref)
		k.out = k.out[1:]
	}
	k.pushing++
	s.changed = s.changed || k.name != record.Witness // its ack says enough, see acked
	k.proofFresh = false
	s.send(p)
	s.proveBeside()
}

func (s *DeviceSession) acked(m *Ack, r *deviceRequest) {
	k := r.kind
	k.pushing--
	s.grow()
	reseed := k.lacking > 0
	k.lacking -= min(k.lacking, uint64(len(r.refs)))
	for i := len(m.Rejects) - 1; i >= 0; i-- {
		j := int(m.Rejects[i].Index)
		if j >= len(r.refs) {
			s.fail(CodeBadMessage, "a reject of what was not pushed")
			return
		}
		ref := r.refs[j]
		k.rejected[ref] = true
		r.refs = append(r.refs[:j:j], r.refs[j+1:]...)
		if code := m.Rejects[i].Code; code == CodeQuota { // one for all: it is not about this record
			s.do(DeviceProblem{Kind: k.name, Code: ProblemQuota, Text: noRoom})
		} else {
			s.do(DeviceProblem{Kind: k.name, Code: ProblemRejected, Ref: &ref, Text: "the cloud refused a version: " + code.String()})
		}
	}
	if len(r.refs) > 0 {
		s.do(StoreAcked{Kind: k.name, Refs: r.refs})
		s.up.again() // the chunks of what was pushed
		if k.name != record.Witness {
			s.witness.changed(s)
		}
	}
	if k.name == record.Witness && m.Head != s.head+Seq(len(r.refs)) {
		s.changed = true // more than the statement moved the account
	}
	s.head = m.Head
	for i := range m.Kinds {
		st := &m.Kinds[i]
		own := s.cloudSays(st, !s.live)
		if st.Prev <= own.cursor {
			own.cursor = max(own.cursor, st.Head) // nobody else wrote in between
		}
	}
	switch { // the operator sees it move
	case reseed && s.live && s.room():
		s.prove(false)
	case reseed && !s.liveSent: // beside the next push, or live does
		s.proveDue = true
	}
	s.do(DeviceStateChanged{s.live})
}

func (s *DeviceSession) sendAside(k *deviceKind) {
	n := min(len(k.aside), AsideMax)
	k.asked = s.request(&deviceRequest{kind: k, typ: TypeAside})
	s.send(&Aside{ID: k.asked, Kind: k.name, Refs: k.aside[:n:n]})
	k.aside = k.aside[n:]
}

// reconcile begins to find by ranges what the two sides do not share.
func (s *DeviceSession) reconcile(k *deviceKind) {
	k.wantReconcile, k.wantWalk, k.wantPull = false, false, false
	k.reconciler = rangeset.NewReconciler(k.own.Count, k.cloud.Count)
	k.base, k.found = k.cloud.Head, false
	k.reconciles++
	if k.effort++; k.effort > effortMax {
		s.fail(CodeBadMessage, "a cloud that contradicts itself")
		return
	}
	s.ask(StoreRange{Kind: k.name, Reconciler: k.reconciler})
}

// askRange sends the next question of a reconcile.
func (s *DeviceSession) askRange(k *deviceKind) {
	k.asked = s.request(&deviceRequest{kind: k, typ: TypeRange})
	s.send(NewRange(k.asked, k.name, *k.next))
	k.next = nil
	s.proveBeside()
}

// proveBeside tells the cloud what is here, if that is due, beside a message that
// is sent anyway.
func (s *DeviceSession) proveBeside() {
	if s.proveDue && !s.liveSent && s.room() {
		s.proveDue = false
		s.prove(false)
	}
}

// ranged hands the cloud's answer to the store's end of the reconcile.
func (s *DeviceSession) ranged(m *Range, r *deviceRequest) {
	if m.Kind != r.kind.name {
		s.fail(CodeBadMessage, "ranges of another kind")
		return
	}
	answer := m.Message()
	r.kind.asked = 0
	s.ask(StoreRange{Kind: m.Kind, Reconciler: r.kind.reconciler, Answer: &answer})
}

func (s *DeviceSession) rangeStep(l LocalRanged) {
	k := s.kind(l.Kind)
	if l.Err != nil {
		s.close(DeviceClose{Err: &Error{Code: CodeBadMessage, Detail: l.Err.Error()}, Retry: RetryBackoff})
		return
	}
	for _, it := range l.Need {
		if r := NewRef(it.ID, it.Version); !k.notOpen[r] {
			k.need = append(k.need, r)
		}
		k.found = true
	}
	if l.Have > 0 {
		k.found, k.again = true, true
		k.lacking += uint64(l.Have)
		s.up.again()
	}
	if k.next = l.Next; k.next != nil {
		return
	}
	k.reconciler = nil
	k.cursor = k.base
	k.proofFresh = false
	if k.found {
		return
	}
	// The sets look equal, the digests do not: both sides count again (rule P1).
	k.recounted = true
	s.ask(StoreRecount{k.name})
}
