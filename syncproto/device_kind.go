package syncproto

import (
	"fmt"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// Bounds of one session's attempts to make a kind equal.
const (
	pullsMax      = 3 // pulls to the end that left digests different, since they last were equal
	reconcilesMax = 3 // reconciles that found something and left digests different
	restMillis    = 1500
	grainFirst    = 32 * 1024 // bytes of the first batch and push of a session
	grainMost     = BatchBytesMax
)

// deviceKind is what a session knows of one kind.
type deviceKind struct {
	name   record.Kind
	own    rangeset.Digest // of the versions here
	cloud  KindState       // as the cloud last told
	cursor Seq             // everything of the kind up to here is here
	saved  Seq             // the cursor as the store has it
	here   bool            // the store has records of it
	proven bool            // the cloud held the same when it last told
	told   KindState       // what the store was told of the cloud
	asked  RequestID       // pull, fetch, range or aside under way; 0 for none

	wantPull      bool
	walk          WalkPlace // how far it was walked, until it was walked to the end
	wantWalk      bool
	wantReconcile bool
	reconciler    *rangeset.Reconciler
	next          *rangeset.Message // question of the reconcile to be asked
	base          Seq               // the cloud's head when the reconcile began
	found         bool              // the reconcile showed a difference
	need          []Ref             // shown by reconcile, to be fetched

	again    bool  // the outbox may have grown
	minting  bool  // the outbox has not been read to its end
	after    int64 // place in the outbox
	out      []MintedVersion
	pushing  int // pushes without ack
	rejected map[Ref]bool
	notOpen  map[Ref]bool
	aside    []Ref // to be reported as not opening

	lacking     uint64 // shown by reconcile to be lacking at the cloud, not yet given
	lackingTold uint64 // as the cloud was last told

	proofFresh bool // cloud is as of a moment after the last change here
	pulls      int
	reconciles int
	effort     int // reconciles of this session, or since a person asked
	recounted  bool
	fault      string // why equality was given up, "" otherwise
}

func (k *deviceKind) cloudDigest() rangeset.Digest {
	return rangeset.Digest{Count: k.cloud.Count, Sum: k.cloud.Sum}
}

func (k *deviceKind) equal() bool { return k.own.Equal(k.cloudDigest()) }

// restoring reports whether the cloud says that it does not have all of the
// kind yet. Until it has, nothing is concluded from what it holds: it is not
// read, not reconciled and not called in sync. Edits are still given to it.
func (k *deviceKind) restoring() bool { return k.cloud.State == KindRestoring }

// restored begins to compare again when the cloud says that it has everything.
func (k *deviceKind) restored() {
	k.fault, k.pulls, k.reconciles, k.recounted = "", 0, 0, false
	k.wantReconcile = !k.equal()
}

// explained reports whether versions that do not open are the whole difference.
func (k *deviceKind) explained() bool {
	d := k.own
	for r := range k.notOpen {
		d.Add(r.Version())
	}
	return len(k.notOpen) > 0 && d.Equal(k.cloudDigest())
}

// start decides how to begin, from the cursor and what the welcome said. A kind of
// which nothing is here is walked if it has more than walkLeast versions, unless
// that is 0: those come in one batch anyway.
func (k *deviceKind) start(walkLeast int) {
	k.again = true
	k.proofFresh = true
	switch {
	case k.equal(), k.restoring():
		k.wantReconcile = false
	case k.wantReconcile:
	case walkLeast > 0 && k.walk.Base > 0 && k.walk.Base <= k.cloud.Head:
		k.wantWalk = true
	case walkLeast > 0 && k.cursor == 0 && k.own.Count == 0 && k.cloud.Count > uint64(walkLeast):
		k.wantWalk, k.walk = true, WalkPlace{Base: k.cloud.Head}
	case k.cursor > k.cloud.Head, k.cursor == 0 && k.own.Count > 0, k.proven && k.cloud.Count < k.own.Count:
		k.wantReconcile = true // the cloud is behind, or another one, or lost something
	default:
		k.wantPull = k.cloud.Head > k.cursor
	}
}

// plan asks for whatever is missing, as far as the windows allow.
func (s *DeviceSession) plan() {
	if s.busy {
		return
	}
	if s.statements.due { // before any data
		s.askStatements()
		return
	}
	if s.statements.doubt && !s.stopping {
		return
	}
	if len(s.arrived) > 0 {
		s.apply()
		return
	}
	if s.stopping {
		s.down.keep(s)
		s.send(&Bye{})
		s.close(DeviceClose{Retry: RetryNever})
		return
	}
	for _, k := range s.kinds {
		if s.cautious && k.restoring() {
			s.fork(ForkStale) // what can not be looked for may be there; a bare word, as below
			return
		}
		if s.cautious && !s.read(k) {
			return
		}
	}
	if s.cautious { // nothing shows it, but what would may be damaged: bounded like a stale claim
		s.fork(ForkStale)
		return
	}
	rest, given := true, true
	for _, k := range s.kinds {
		if s.planKind(k) {
			continue
		}
		rest = false
		if s.busy || s.phase == deviceClosed {
			return
		}
		if k.given() {
			continue
		}
		given = false
		// What a reconcile asks is small: the other kinds need not wait for it.
		if k.reconciler == nil && !s.live {
			return
		}
	}
	if rest && s.witness.testify(s) {
		return
	}
	if !s.liveSent && given { // the cloud takes what is on its way before it
		s.liveSent, s.changed = true, false
		s.send(&Live{ID: s.request(&deviceRequest{typ: TypeLive}), Kinds: s.held(true)})
	}
	if !s.live {
		return
	}
	s.planChunks()
	if rest && !s.busy && s.planTrust() && s.cfg.Once {
		s.planEnd()
	}
}

// given reports whether all that is left to do for the kind is to wait for acks.
func (k *deviceKind) given() bool {
	read := k.asked == 0 && k.next == nil && len(k.need) == 0 && len(k.aside) == 0 && !k.wantReconcile && !k.wantWalk && !k.wantPull
	return k.pushing > 0 && read && !k.again && !k.minting && len(k.out) == 0
}

// planTrust looks for lies when every kind is at rest. It reports whether
// nothing is left to do.
func (s *DeviceSession) planTrust() bool {
	return s.witness.compare(s) && s.sample.plan(s) && s.phase == deviceWork
}

// planKind takes the next step for k. It reports whether k is at rest: equal to
// the cloud, or given up, and nothing of it under way.
func (s *DeviceSession) planKind(k *deviceKind) bool {
	if !s.read(k) || s.push(k) {
		return false
	}
	if k.lackingTold > 0 && s.live && s.room() {
		k.lacking = 0
		s.prove(false) // the last that the cloud hears of a reseed
	}
	if k.equal() || k.fault != "" || k.restoring() {
		s.settle(k)
		return true
	}
	return s.differ(k)
}

// read asks for what is known to be missing here. It reports whether nothing is.
func (s *DeviceSession) read(k *deviceKind) bool {
	switch {
	case k.restoring():
		return k.asked == 0
	case k.asked != 0 || !s.room():
	case len(k.aside) > 0:
		s.sendAside(k)
	case len(k.need) >= FetchMax, len(k.need) > 0 && k.next == nil:
		s.fetch(k)
	case k.next != nil:
		s.askRange(k)
	case k.wantReconcile:
		s.reconcile(k)
	case k.wantWalk:
		k.wantWalk = false
		s.sendWalk(k, k.walk)
	case k.wantPull:
		s.pull(k)
	default:
		return true
	}
	return false
}

// settle tells the store what the cloud holds and where the cursor is, once.
func (s *DeviceSession) settle(k *deviceKind) {
	proven := k.equal() && !k.restoring()
	if proven {
		k.pulls, k.reconciles, k.recounted, k.fault = 0, 0, false, ""
		// All versions up to the head are here, whoever wrote them.
		k.cursor = max(k.cursor, k.cloud.Head)
	}
	var move Seq
	if k.cursor != k.saved {
		move, k.saved = k.cursor, k.cursor
	}
	if k.told == k.cloud && move == 0 {
		return
	}
	k.told = k.cloud
	if k.here { // names that only the cloud knows would fill the store
		s.do(StoreCloud{State: k.cloud, Proven: proven, Cursor: move})
	}
	s.do(DeviceStateChanged{s.live})
}

// differ decides what to try when digests differ although nothing is under way.
// It reports whether it gave up.
func (s *DeviceSession) differ(k *deviceKind) bool {
	switch {
	case len(k.rejected) > 0:
		s.giveUp(k, "the cloud refused some versions")
	case k.explained():
		s.giveUp(k, "some versions of the cloud do not open")
	case !k.proofFresh && !s.live:
		if !s.liveSent { // else its proof is on its way
			s.prove(false)
		}
		return false
	case !k.proofFresh:
		// A live batch may be on its way: wait a moment, then ask.
		if !s.resting {
			s.resting = true
			s.do(DeviceSetTimer{TimerRest, restMillis})
		}
		return false
	case k.cloud.Head > k.cursor && k.pulls < pullsMax:
		k.pulls++
		s.pull(k)
		return false
	case k.reconciles < reconcilesMax && !k.recounted:
		s.reconcile(k)
		return false
	default:
		s.giveUp(k, fmt.Sprintf("digests differ after %d reconciles and a recount", k.reconciles))
	}
	s.settle(k)
	return true
}

// giveUp leaves k unequal for the rest of this session, and says so.
func (s *DeviceSession) giveUp(k *deviceKind, why string) {
	k.fault = why
	s.do(DeviceProblem{Kind: k.name, Code: ProblemDiffers, Text: why})
	s.do(DeviceStateChanged{s.live})
}

// fired handles a timer.
func (s *DeviceSession) fired(t DeviceTimerID) {
	switch t {
	case TimerRest:
		s.resting = false
		if s.phase == deviceWork && s.live && s.room() {
			s.prove(false)
		}
	case TimerWant:
		s.down.retry()
	case TimerWitness:
		s.witness.armed, s.witness.due = false, true
	}
}

// check asks for a fresh proof, and tries again what was given up.
func (s *DeviceSession) check() {
	for _, k := range s.kinds {
		k.fault, k.pulls, k.reconciles, k.effort, k.recounted, k.again = "", 0, 0, 0, false, true
		if len(k.rejected) > 0 && k.pushing == 0 && len(k.out) == 0 {
			clear(k.rejected)
			k.after = 0
		}
	}
	s.up.again()
	s.down.retry()
	s.statements.due = true
	if s.phase == deviceWork && s.live && s.room() {
		s.prove(false)
	}
}

// prove asks what the cloud holds now, unless that is asked already. final says
// that the session ends if nothing differs.
func (s *DeviceSession) prove(final bool) {
	for _, r := range s.requests {
		if r.typ == TypeProve {
			return
		}
	}
	s.changed = false
	s.send(&Prove{ID: s.request(&deviceRequest{typ: TypeProve, final: final}), Kinds: s.held(false)})
}

// cloudSays takes a kind state that the cloud told. fresh says that it was
// asked for when nothing of the kind was under way.
func (s *DeviceSession) cloudSays(st *KindState, fresh bool) *deviceKind {
	k := s.kind(st.Kind)
	if s.phase == deviceClosed {
		return k
	}
	if st.Head < k.cloud.Head && st.Head != 0 {
		return k // an answer that was overtaken
	}
	was := k.restoring()
	k.cloud = *st
	k.cloud.Prev = 0
	if was && !k.restoring() {
		k.restored()
	}
	k.proofFresh = fresh && k.pushing == 0
	return k
}

func (s *DeviceSession) proved(p *Proof, r *deviceRequest) {
	s.head = p.Head
	s.witness.proof = max(s.witness.proof, p.ID)
	s.sample.proof, s.sample.lost = p.ID, p.Lost
	named := map[record.Kind]bool{}
	for i := range p.Kinds {
		s.cloudSays(&p.Kinds[i], true)
		named[p.Kinds[i].Kind] = true
	}
	for _, k := range s.kinds {
		if !named[k.name] {
			was := k.restoring()
			k.cloud = KindState{Kind: k.name}
			k.proofFresh = k.pushing == 0
			if was {
				k.restored()
			}
		}
	}
	switch r.typ {
	case TypeLive:
		s.live = true
		s.do(DeviceStateChanged{true})
	case TypeAside:
		r.kind.asked = 0
	}
	s.do(DeviceProved{p.Devices})
	s.up.lost(s, p.Lost)
	if r.final {
		s.changed = s.changed || !s.settled()
		s.stopping = !s.changed
	}
}

// settled reports whether every kind is equal to the cloud or given up, with
// nothing left to send.
func (s *DeviceSession) settled() bool {
	for _, k := range s.kinds {
		if !k.equal() && k.fault == "" && !k.restoring() || k.again || k.minting || k.pushing > 0 || len(k.out) > 0 {
			return false
		}
	}
	return true
}

// planEnd ends a session that was opened once, when nothing more can be done in it.
func (s *DeviceSession) planEnd() {
	if len(s.requests) > 0 || s.statements.asked || !s.up.done() || !s.down.done() {
		return
	}
	if s.changed {
		s.prove(true)
		return
	}
	s.send(&Bye{})
	s.close(DeviceClose{Retry: RetryNever})
}
