package syncproto

import (
	"maps"
	"slices"

	"sidekeep/localstore/record"
)

// How chunks are asked for and kept.
const (
	wantMax         = 8         // chunks asked for in one want
	wantsMax        = 2         // wants under way: the cloud need not wait for the next, and a cut costs no more chunks than they name
	keepMax         = 8         // chunks stored in one commit
	wantFirstMillis = 50        // before chunks that the cloud lacked are asked for again
	wantMaxMillis   = 5 * 60000 // the longest time between two such questions
	lostMax         = 1 << 18   // chunks that a cloud may say in one session that it lost
	wantOnceTries   = 6         // such questions in a row before a single sync gives up
)

// deviceUpload offers and sends the chunks that the cloud lacks.
type deviceUpload struct {
	fresh  bool                    // the store may have more to offer than was looked at
	after  record.ChunkID          // looked at up to here
	more   bool                    // the store has not been read to its end
	offer  []record.ChunkID        // offered, answer awaited
	queue  []record.ChunkID        // the cloud lacks these
	flying map[record.ChunkID]bool // sent, not yet stored
	told   map[record.ChunkID]bool // the cloud said that it lost these
	ask    bool                    // it may have lost more than it could name
	halted bool                    // the cloud has no room for chunks of this account
}

func (u *deviceUpload) again() { u.fresh = true }

// lost takes what the cloud says that it does not hold although its versions
// refer to it. Each chunk counts once a session: a cloud that says so for ever
// gets it once.
func (u *deviceUpload) lost(s *DeviceSession, ids []record.ChunkID) {
	var fresh []record.ChunkID
	for _, id := range ids {
		if u.told[id] || u.flying[id] || len(u.told) >= lostMax {
			continue
		}
		if u.told == nil {
			u.told = map[record.ChunkID]bool{}
		}
		u.told[id] = true
		fresh = append(fresh, id)
	}
	if len(fresh) == 0 {
		return
	}
	u.ask = len(ids) >= HaveMax
	s.do(StoreChunksLost{fresh})
	u.again()
}

// halt ends the upload of this session: records go on.
func (u *deviceUpload) halt(s *DeviceSession) {
	u.halted, u.offer, u.queue = true, nil, nil
	s.do(DeviceProblem{Code: ProblemQuota, Text: noRoom})
	s.do(DeviceStateChanged{s.live})
}

func (u *deviceUpload) done() bool {
	return u.halted && len(u.flying) == 0 || !u.fresh && !u.more && len(u.offer) == 0 && len(u.queue) == 0 && len(u.flying) == 0
}

// plan takes the next step of the upload.
func (u *deviceUpload) plan(s *DeviceSession) {
	if u.halted {
		return
	}
	window := s.limits.Get(LimitChunkWindow)
	if len(u.queue) > 0 {
		if n := min(window-len(u.flying), len(u.queue)); n > 0 {
			ids := u.queue[:n:n]
			u.queue = u.queue[n:]
			s.ask(StoreLoad{IDs: ids, Next: slices.Clone(u.queue[:min(len(u.queue), window)])})
		}
		return
	}
	if len(u.offer) > 0 || !s.room() {
		return
	}
	if u.fresh && !u.more && len(u.flying) == 0 {
		u.fresh, u.more, u.after = false, true, record.ChunkID{}
	}
	if u.more {
		s.ask(StoreOffer{After: u.after, Max: s.limits.Get(LimitHave)})
	}
}

func (u *deviceUpload) offered(s *DeviceSession, l LocalOffered) {
	if len(l.IDs) == 0 {
		u.more = false
		s.do(DeviceStateChanged{s.live})
		return
	}
	u.after = l.IDs[len(l.IDs)-1]
	ids := slices.DeleteFunc(slices.Clone(l.IDs), func(id record.ChunkID) bool { return u.flying[id] })
	if len(ids) == 0 {
		return
	}
	u.offer = ids
	s.send(&Have{ID: s.request(&deviceRequest{typ: TypeHave}), Chunks: ids})
}

// needed takes the cloud's answer: it holds the chunks that it does not name.
func (u *deviceUpload) needed(s *DeviceSession, need []record.ChunkID) {
	lacks := make(map[record.ChunkID]bool, len(need))
	for _, id := range need {
		lacks[id] = true
	}
	var has, lost []record.ChunkID
	for _, id := range u.offer {
		if lacks[id] {
			lost = append(lost, id)
		} else {
			has = append(has, id)
		}
	}
	u.offer, u.queue = nil, append(u.queue, lost...)
	if len(lost) > 0 { // the store knows which of them it ever had
		s.do(StoreChunksLost{lost})
	}
	if len(has) > 0 {
		s.do(StoreChunksAcked{has})
		s.do(DeviceStateChanged{s.live})
	}
}

func (u *deviceUpload) send(s *DeviceSession, l LocalLoaded) {
	if u.flying == nil {
		u.flying = map[record.ChunkID]bool{}
	}
	for _, c := range l.Chunks {
		u.flying[c.ID] = true
		s.changed = true
		s.send(&Chunk{Header: c.Sealed.Header, Body: c.Sealed.Body})
	}
}

func (u *deviceUpload) stored(s *DeviceSession, ids []record.ChunkID) {
	for _, id := range ids {
		if !u.flying[id] {
			s.fail(CodeOutOfOrder, "a chunk stored that was not sent")
			return
		}
		delete(u.flying, id)
	}
	s.do(StoreChunksAcked{ids})
	s.do(DeviceStateChanged{s.live})
}

// deviceDownload asks for the chunks that are missing here.
type deviceDownload struct {
	wanted  bool                    // the store may miss some that were not asked for
	wants   []*deviceWant           // under way, in their order
	absent  map[record.ChunkID]bool // the cloud did not give these when last asked
	buffer  []*Chunk                // arrived, to be kept
	waiting bool                    // the want timer runs
	tries   int
}

// deviceWant is a want under way. Wants are answered one after the other.
type deviceWant struct {
	asked map[record.ChunkID]bool // not yet stored
	left  int                     // chunks that may still come for it
	came  int                     // chunks of it in the buffer
	ended bool                    // the answer has ended
}

// Absent counts the chunks that are missing here and that the cloud did not have
// when it was last asked for them.
func (s *DeviceSession) Absent() int { return len(s.down.absent) }

// look has the store asked again what is missing, as after new versions: their
// author may be sending the chunks just now.
func (d *deviceDownload) look() {
	d.wanted = true
	d.tries, d.waiting = 0, false
}

// retry asks again for what the cloud did not hold.
func (d *deviceDownload) retry() {
	d.waiting = false
	d.wanted = true
	d.absent = nil
}

func (d *deviceDownload) done() bool {
	if d.wanted || !d.idle() {
		return false
	}
	return len(d.absent) == 0 || d.tries > wantOnceTries
}

// idle reports whether nothing is under way.
func (d *deviceDownload) idle() bool { return len(d.wants) == 0 && len(d.buffer) == 0 }

// plan takes the next step of the download.
func (d *deviceDownload) plan(s *DeviceSession) {
	ended := len(d.wants) > 0 && d.wants[0].ended
	switch {
	case len(d.buffer) >= keepMax, ended && d.wants[0].came > 0:
		n := min(len(d.buffer), keepMax)
		chunks := d.buffer[:n:n]
		d.buffer = d.buffer[n:]
		for _, w := range d.wants {
			taken := min(n, w.came)
			w.came, n = w.came-taken, n-taken
		}
		s.ask(StoreKeep{chunks})
	case ended:
		if d.absent == nil {
			d.absent = map[record.ChunkID]bool{}
		}
		maps.Copy(d.absent, d.wants[0].asked)
		d.wants, d.wanted = d.wants[1:], true
		s.do(DeviceStateChanged{s.live})
	}
	if s.busy || len(d.wants) >= wantsMax || s.sample.wanting || !s.room() {
		return
	}
	if d.wanted {
		s.ask(StoreMissing{Max: len(d.absent) + wantsMax*wantMax})
		return
	}
	if len(d.absent) > 0 && !d.waiting && d.idle() {
		d.waiting = true
		d.tries++
		s.do(DeviceSetTimer{TimerWant, min(uint64(wantFirstMillis)<<min(d.tries, 16), wantMaxMillis)})
	}
}

func (d *deviceDownload) missing(s *DeviceSession, l LocalMissing) {
	ids := slices.DeleteFunc(slices.Clone(l.IDs), func(id record.ChunkID) bool {
		return d.absent[id] || slices.ContainsFunc(d.wants, func(w *deviceWant) bool { return w.asked[id] })
	})
	most := min(wantMax, s.limits.Get(LimitHave))
	d.wanted = len(ids) > most
	ids = ids[:min(len(ids), most)]
	if len(l.IDs) == 0 {
		d.absent = nil
	}
	if len(ids) == 0 {
		s.do(DeviceStateChanged{s.live})
		return
	}
	w := &deviceWant{left: len(ids), asked: make(map[record.ChunkID]bool, len(ids))}
	for _, id := range ids {
		w.asked[id] = true
	}
	d.wants = append(d.wants, w)
	s.send(&Want{ID: s.request(&deviceRequest{typ: TypeWant, want: w}), Chunks: ids})
}

// current is the want that is being answered, or nil.
func (d *deviceDownload) current() *deviceWant {
	for _, w := range d.wants {
		if !w.ended {
			return w
		}
	}
	return nil
}

func (d *deviceDownload) arrived(s *DeviceSession, c *Chunk) {
	w := d.current()
	if w == nil || w.left == 0 {
		s.fail(CodeOutOfOrder, "a chunk that nobody wanted")
		return
	}
	w.left--
	w.came++
	d.buffer = append(d.buffer, c)
}

// end takes the end of the answer to a want.
func (d *deviceDownload) end(s *DeviceSession, w *deviceWant) {
	if w != d.current() {
		s.fail(CodeOutOfOrder, "wants answered in another order")
		return
	}
	w.ended = true
}

// kept takes what was stored of what arrived.
func (d *deviceDownload) kept(s *DeviceSession, l LocalKept) {
	for _, id := range l.IDs {
		for _, w := range d.wants {
			delete(w.asked, id)
		}
		d.tries = 0
	}
	if l.Bad > 0 {
		s.do(DeviceProblem{Code: ProblemBadChunk, Text: "a chunk of the cloud does not open"})
	}
	s.do(DeviceStateChanged{s.live})
}

// keep stores what arrived when the connection ends in the middle of an answer.
func (d *deviceDownload) keep(s *DeviceSession) {
	if len(d.buffer) > 0 {
		s.do(StoreKeep{d.buffer})
		d.buffer = nil
	}
}

// planChunks moves chunks, when all records are on their way.
func (s *DeviceSession) planChunks() {
	if !s.busy {
		s.down.plan(s)
	}
	if !s.busy {
		s.up.plan(s)
	}
	if s.up.ask && s.up.done() && s.room() {
		s.up.ask = false
		s.prove(false)
	}
}

// result takes what the store answered.
func (s *DeviceSession) result(e DeviceEvent) {
	switch e := e.(type) {
	case LocalBegan:
		s.began(e)
		s.up.again()
	case LocalStatements:
		s.knownStatements(e)
	case LocalApplied:
		s.applied(e)
	case LocalMinted:
		s.minted(e)
	case LocalRanged:
		s.rangeStep(e)
	case LocalRecounted:
		s.kind(e.Kind).own = e.Own
		s.kind(e.Kind).proofFresh = false
	case LocalOffered:
		s.up.offered(s, e)
	case LocalLoaded:
		s.up.send(s, e)
	case LocalMissing:
		s.down.missing(s, e)
	case LocalKept:
		s.down.kept(s, e)
	case LocalTestified:
		s.witness.testified(s, e)
	case LocalCompared:
		s.witness.compared(s, e)
	case LocalPicked:
		s.sample.picked(s, e)
	case LocalOpened:
		s.sample.opened(s, e)
	case LocalSampled:
		s.sample.sampled(s)
	}
}
