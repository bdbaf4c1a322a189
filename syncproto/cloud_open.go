package syncproto

import (
	"slices"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// onRequest handles a message of an authenticated device.
func (s *CloudSession) onRequest(m Message) []CloudAction {
	if s.full(m) {
		return s.fail(CodeBusy)
	}
	switch m := m.(type) {
	case *Push:
		return s.onPush(m)
	case *Pull:
		return s.do(m, DoReadLog{Kind: m.Kind, After: m.After, BytesMax: int(min(m.BytesMax, BatchBytesMax))})
	case *Walk:
		if s.conf.Limits.Walk() == 0 {
			return s.fail(CodeUnknownType)
		}
		return s.do(m, DoWalk{Kind: m.Kind, After: m.After, RecordsMax: s.conf.Limits.Walk(), BytesMax: int(min(m.BytesMax, BatchBytesMax))})
	case *Fetch:
		s.fetches = append(s.fetches, m)
		return nil
	case *Live:
		return s.do(m, DoProve{Held: m.Kinds, Recount: s.recount(m.Kinds)})
	case *Prove:
		return s.do(m, DoProve{Held: m.Kinds, Recount: s.recount(m.Kinds)})
	case *Aside:
		if s.claim != ClaimAccepted {
			return send(&ErrorMessage{Code: CodeNotClaimed, Ref: m.ID})
		}
		return s.do(m, DoSetAside{Kind: m.Kind, Refs: m.Refs})
	case *Range:
		if slices.ContainsFunc(m.Spans, func(sp Span) bool { return sp.Mode == RangeList }) {
			return s.fail(CodeBadMessage) // only the cloud lists
		}
		s.ranged[m.Kind] = true
		return s.do(m, DoAnswerRange{m})
	case *Have:
		return s.do(m, DoFindMissing{m.Chunks})
	case *Chunk:
		return s.onChunk(m)
	case *Want:
		s.wants = append(s.wants, &wanted{id: m.ID, left: m.Chunks})
		return nil
	case *Offer:
		return s.do(m, DoOpenMailbox{ID: m.Mailbox, Note: m.Note})
	case *Post:
		return s.do(m, DoPost{m.Sealed})
	case *Shut:
		return s.do(m, DoShutMailbox{})
	case *Statements:
		return s.onStatements(m)
	case *Bye:
		return s.leave()
	case *ErrorMessage:
		return s.leave()
	}
	return s.fail(CodeOutOfOrder)
}

// full reports whether the device has more requests open than it may.
func (s *CloudSession) full(m Message) bool {
	switch m.(type) {
	case *Fetch, *Want:
		return len(s.fetches)+len(s.wants) >= RequestsMax
	case *Range:
		return len(s.ranged) >= KindsMax
	}
	return false
}

// recount lists the kinds that were reconciled since their last proof: their
// digest is counted again from the rows, in case it is the digest that is wrong.
func (s *CloudSession) recount(held []Held) []record.Kind {
	var kinds []record.Kind
	for _, h := range held {
		if s.ranged[h.Kind] {
			kinds = append(kinds, h.Kind)
			delete(s.ranged, h.Kind)
		}
	}
	return kinds
}

func (s *CloudSession) onPush(m *Push) []CloudAction {
	if s.claim != ClaimAccepted {
		return send(&ErrorMessage{Code: CodeNotClaimed, Ref: m.ID})
	}
	good, rejects := readVersions(m)
	if len(good) == 0 {
		// Nothing to commit; the account's state is not needed for the answer.
		return send(&Ack{ID: m.ID, Rejects: rejects})
	}
	return s.do(&pushing{m, good, rejects}, DoCommit{good})
}

// pushing is a push under way.
type pushing struct {
	*Push
	versions []CloudVersion
	rejects  []Reject
}

func (s *CloudSession) onChunk(m *Chunk) []CloudAction {
	if s.claim != ClaimAccepted {
		return s.fail(CodeNotClaimed)
	}
	h, err := seal.ParseChunkHeader(m.Header)
	if err != nil || h.Length+seal.Overhead != len(m.Body) {
		return s.fail(CodeBadChunk)
	}
	s.storing = append(s.storing, CloudChunk{ID: h.ID, Header: m.Header, Body: m.Body})
	if len(s.storing) >= ChunkWindowMax {
		return s.storeChunks()
	}
	return nil
}

func (s *CloudSession) storeChunks() []CloudAction {
	ids := make([]record.ChunkID, len(s.storing))
	for i := range s.storing {
		ids[i] = s.storing[i].ID
	}
	a := DoStoreChunks{s.storing}
	s.storing = nil
	return s.do(&Stored{ids}, a)
}

// step does one piece of the work that is left: chunks first, because the
// device waits for their window, then what others wrote, then answers.
func (s *CloudSession) step() []CloudAction {
	if s.state != cloudOpen {
		return nil
	}
	if len(s.storing) > 0 {
		return s.storeChunks()
	}
	if s.live {
		if k, ok := s.feed.next(); ok {
			s.feed.behind[k] = false
			return s.do(nil, DoReadLog{Kind: k, After: s.feed.cursors[k], BytesMax: BatchBytesMax})
		}
	}
	if len(s.fetches) > 0 {
		m := s.fetches[0]
		return s.do(m, DoFetch{Kind: m.Kind, Refs: m.Refs})
	}
	if len(s.wants) == 0 {
		return nil
	}
	if w := s.wants[0]; len(w.left) > 0 {
		return s.do(nil, DoReadChunk{w.left[0]})
	}
	w := s.wants[0]
	s.wants = s.wants[1:]
	return send(&Absent{ID: w.id, Chunks: w.absent})
}

// answered handles the result of a Do action.
func (s *CloudSession) answered(ev CloudEvent) []CloudAction {
	m := s.doing
	s.doing = nil
	switch ev := ev.(type) {
	case Claimed:
		return s.onClaimed(ev)
	case Listed:
		if a, ok := m.(*Auth); ok {
			return s.onListed(a, ev)
		}
		return s.onTaken(ev)
	case Failed:
		return s.onFailed(m, ev.Code)
	case Committed:
		p := m.(*pushing)
		s.feed.pushed(p.versions, ev.Seqs, ev.Kinds)
		return send(&Ack{ID: p.ID, Head: ev.Head, Rejects: mergeRejects(p.rejects, ev.Rejects), Kinds: ev.Kinds})
	case LogRead:
		return s.onLogRead(m, ev)
	case Walked:
		return s.onWalked(m.(*Walk), ev)
	case Fetched:
		return s.onFetched(m.(*Fetch), ev)
	case States:
		return s.onStates(m, ev)
	case RangeAnswered:
		return send(ev.Answer)
	case ChunksMissing:
		return send(&Need{ID: m.(*Have).ID, Chunks: ev.Chunks})
	case ChunksStored:
		return send(m)
	case ChunkRead:
		return s.onChunkRead(ev)
	case MailboxOpened:
		return send(&Opened{Seconds: ev.Seconds})
	case MailboxEntered:
		s.state = cloudGuest
		return send(&Post{Sealed: ev.Note})
	}
	return nil
}

func (s *CloudSession) onFailed(m Message, c Code) []CloudAction {
	if s.state != cloudOpen || m == nil {
		return s.fail(c)
	}
	switch m := m.(type) {
	case *Offer:
		return send(&Shut{Code: c})
	case *Fetch:
		s.fetches = s.fetches[1:]
	case *Stored, *Statements:
		return s.fail(c) // they have no request id: the device sees the close
	case *Range:
		if c == CodeBadMessage {
			return s.fail(c)
		}
		return send(&ErrorMessage{Code: c, Ref: m.ID})
	}
	return send(&ErrorMessage{Code: c, Ref: requestID(m)})
}

// requestID returns the id of a device's request.
func requestID(m Message) RequestID {
	switch m := m.(type) {
	case *pushing:
		return m.ID
	case *Pull:
		return m.ID
	case *Walk:
		return m.ID
	case *Fetch:
		return m.ID
	case *Live:
		return m.ID
	case *Prove:
		return m.ID
	case *Aside:
		return m.ID
	case *Range:
		return m.ID
	case *Have:
		return m.ID
	}
	return 0
}

func mergeRejects(a, b []Reject) []Reject {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y Reject) int { return int(x.Index) - int(y.Index) })
	return all
}

// onLogRead answers a pull, or sends what a live session has not been given.
func (s *CloudSession) onLogRead(m Message, ev LogRead) []CloudAction {
	batch := &Batch{Kind: ev.Kind, Items: s.feed.read(ev.Kind, ev.Items), Next: ev.Next, More: ev.More}
	if !ev.More {
		batch.State = &ev.State
	}
	if p, ok := m.(*Pull); ok {
		batch.ID = p.ID
		return send(batch)
	}
	told := !ev.More && s.feed.state[ev.Kind] == ev.State.State
	if ev.Next > s.feed.cursors[ev.Kind] || !ev.More && !told {
		s.feed.cursors[ev.Kind] = max(ev.Next, s.feed.cursors[ev.Kind])
		s.feed.state[ev.Kind] = ev.State.State
		if ev.More {
			s.feed.behind[ev.Kind] = true
		}
		return send(batch)
	}
	return nil
}

func (s *CloudSession) onWalked(m *Walk, ev Walked) []CloudAction {
	b := &Batch{ID: m.ID, Kind: ev.Kind, Items: ev.Items, Upto: ev.Upto, More: ev.Upto != (Ref{})}
	if !b.More {
		b.State = &ev.State
	}
	return send(b)
}

func (s *CloudSession) onFetched(m *Fetch, ev Fetched) []CloudAction {
	m.Refs = m.Refs[ev.Done:]
	more := len(m.Refs) > 0 && ev.Done > 0
	if !more {
		s.fetches = s.fetches[1:]
	}
	return send(&Batch{ID: m.ID, Kind: m.Kind, Items: ev.Items, More: more})
}

func (s *CloudSession) onStates(m Message, ev States) []CloudAction {
	if l, ok := m.(*Live); ok {
		s.live = true
		s.feed.begin(l.Kinds, ev.Kinds)
	}
	s.feed.tell(ev.Kinds)
	return send(&Proof{ID: requestID(m), Head: ev.Head, Kinds: ev.Kinds, Lost: ev.Lost, Devices: ev.Devices})
}

func (s *CloudSession) onChunkRead(ev ChunkRead) []CloudAction {
	w := s.wants[0]
	id := w.left[0]
	w.left = w.left[1:]
	if ev.Chunk == nil {
		w.absent = append(w.absent, id)
		return nil
	}
	return send(ev.Chunk)
}
