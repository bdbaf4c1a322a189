package syncproto

import (
	"crypto/sha256"
	"slices"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// DeviceConfig is what a device brings to a session.
type DeviceConfig struct {
	Identity *seal.Identity
	Origin   string   // configured address of the cloud: scheme://host:port
	Versions []uint64 // spoken; nil means ProtocolVersion only
	// LeastVersion is the newest version that this cloud ever chose: an older
	// one is a downgrade and refused. 0 before the first session.
	LeastVersion uint64
	Create       bool // make the account if the cloud does not know it
	Once         bool // close when everything is proven, instead of staying live
	Greet        bool // close as soon as the claim is accepted
	Claim        DeviceClaim
	Admission    Admission             // from the cloud's operator; zero if there is none
	Statements   seal.StatementsDigest // of what is known about the account's devices
	Doubt        bool                  // by which this one is not trusted
	Held         DeviceHeld            // is told with auth: a cloud in the same state has nothing to compare
}

// DeviceHeld is what a device holds before a session, and how far it has read.
type DeviceHeld struct {
	Epoch Epoch // of the cursors; zero before the first session
	Kinds []LocalKind
}

// states returns what a cloud in the same state would say.
func (h *DeviceHeld) states() []KindState {
	out := make([]KindState, len(h.Kinds))
	for i, k := range h.Kinds {
		out[i] = KindState{Kind: k.Kind, Count: k.Own.Count, Sum: k.Own.Sum, Head: k.Cursor}
	}
	return out
}

// DeviceClaim is the claim of one hello (SPEC.md section "Claims"). It was
// durable before the session began.
type DeviceClaim struct {
	Replica record.ReplicaID
	Last    Token // zero before the first accepted one
	Pending []Token
	Counter uint64
}

type devicePhase uint8

const (
	deviceNew    devicePhase = iota
	deviceHello              // hello sent, challenge awaited
	deviceAuth               // auth sent, welcome awaited
	deviceBegin              // claim accepted, the store makes it durable
	deviceWork               // pull, push, prove
	deviceClosed             // nothing more is said or done
)

// DeviceSession is the device's end of one connection, as a pure machine: the
// driver reports events and carries out the actions it gets, in order. It never
// blocks, and has no clock; SPEC.md section "States" has its states.
//
// After every event it looks at what it knows of each kind and asks for what is
// missing, most important kind first: reconcile or pull, then push, then the
// comparison of digests; when all kinds are at rest it goes live, and only then
// moves chunks. At most one store operation with a result is under way.
type DeviceSession struct {
	cfg    DeviceConfig
	phase  devicePhase
	hello  *Hello
	epoch  Epoch
	limits Limits
	head   Seq
	grain  int // bytes of the next batch or push

	kinds    []*deviceKind // in order of priority
	requests map[RequestID]*deviceRequest
	lastID   RequestID
	arrived  []deviceBatch // batches that wait for the store
	busy     bool          // a store operation with a result is under way
	live     bool          // live was asked for and answered
	liveSent bool
	seen     []DeviceSeen // as a welcome told that was a proof, too
	resting  bool         // the rest timer runs
	stopping bool         // bye is due as soon as the store is idle
	changed  bool         // something was received or sent since the cloud was last told what is here
	proveDue bool         // an operator wants to know what there is before it comes
	cautious bool         // the cloud claims to know own writes that are unknown here: read all before writing
	mailbox  bool         // offered, and not shut
	waste    deviceWaste
	up       deviceUpload
	down     deviceDownload
	witness  deviceWitness
	sample   deviceSample

	statements deviceStatements

	actions []DeviceAction
}

// deviceRequest is a request whose answer has not arrived.
type deviceRequest struct {
	kind  *deviceKind // of push, pull, fetch, range, aside
	typ   Type
	refs  []Ref       // of a push
	after Seq         // of a pull
	walk  WalkPlace   // of a walk
	want  *deviceWant // of a want
	left  int         // of a fetch: versions that were asked for and have not come
	final bool        // of a prove: the session ends if nothing differs
	// sample says that a fetch or want only looks whether the cloud has what it says.
	sample bool
}

// NewDeviceSession returns the machine of one connection.
func NewDeviceSession(c DeviceConfig) *DeviceSession {
	if len(c.Versions) == 0 {
		c.Versions = []uint64{ProtocolVersion}
	}
	c.Versions = slices.DeleteFunc(slices.Clone(c.Versions), func(v uint64) bool { return v < c.LeastVersion })
	return &DeviceSession{cfg: c, grain: grainFirst, requests: map[RequestID]*deviceRequest{}}
}

// Handle takes one event and returns what the driver must do, in order.
func (s *DeviceSession) Handle(e DeviceEvent) []DeviceAction {
	s.actions = nil
	if s.phase == deviceClosed {
		return nil
	}
	switch e := e.(type) {
	case DeviceOpened:
		s.open(e)
	case DeviceReceived:
		s.receive(e.Message)
	case DeviceChanged:
		for _, k := range s.kinds {
			k.again = true
		}
		s.up.again()
	case DeviceTimer:
		s.fired(e.Timer)
	case DeviceStop:
		s.stopping = true
	case DeviceCheck:
		s.check()
	case DeviceMail:
		s.mail(e.Message)
	case DeviceSample:
		s.sample.begin()
	case DeviceLost:
		s.down.keep(s)
		s.phase = deviceClosed
		return s.actions
	default:
		s.busy = false
		s.result(e)
	}
	if s.phase == deviceWork {
		s.plan()
	} else if s.stopping && s.phase != deviceClosed {
		s.close(DeviceClose{Retry: RetryNever})
	}
	return s.actions
}

// Expecting reports whether an answer is due: silence now is a sign of a dead
// network, while a live session without requests may be silent for hours.
func (s *DeviceSession) Expecting() bool {
	switch s.phase {
	case deviceHello, deviceAuth:
		return true
	case deviceWork:
		return len(s.requests) > 0 || len(s.up.flying) > 0 || s.statements.asked
	}
	return false
}

func (s *DeviceSession) do(a DeviceAction) { s.actions = append(s.actions, a) }

func (s *DeviceSession) send(m Message) { s.do(DeviceSend{m}) }

// ask has the store do something whose result comes back as an event.
func (s *DeviceSession) ask(a DeviceAction) {
	s.busy = true
	s.do(a)
}

func (s *DeviceSession) close(c DeviceClose) {
	s.phase = deviceClosed
	s.do(c)
}

// fail closes because the cloud broke the protocol.
func (s *DeviceSession) fail(code Code, detail string) {
	s.close(DeviceClose{Err: &Error{Code: code, Detail: detail}, Retry: RetryBackoff})
}

func (s *DeviceSession) open(e DeviceOpened) {
	if s.phase != deviceNew {
		return
	}
	if len(s.cfg.Versions) == 0 {
		s.fail(CodeVersion, "the cloud spoke a newer version before than this program does")
		return
	}
	c := s.cfg.Claim
	s.hello = &Hello{
		Versions: s.cfg.Versions, Account: s.cfg.Identity.Account, Device: s.cfg.Identity.Device(), Replica: c.Replica, Nonce: e.Nonce,
		Last: c.Last, Pending: c.Pending, Counter: c.Counter, Create: s.cfg.Create, Admission: s.cfg.Admission,
	}
	s.phase = deviceHello
	s.send(s.hello)
}

func (s *DeviceSession) receive(m Message) {
	switch m := m.(type) {
	case *Wait:
		s.close(DeviceClose{Err: &Error{Code: m.Code, Detail: "the cloud asks to come back later"}, Retry: RetryAfter, Seconds: m.Capped()})
		return
	case *ErrorMessage:
		if r := s.requests[m.Ref]; r != nil && r.typ == TypeHave && m.Code == CodeQuota {
			delete(s.requests, m.Ref)
			s.up.halt(s)
			return
		}
		if m.Code == CodeRevoked { // that needs a proof, not a word
			m = &ErrorMessage{Code: CodeRefused}
		}
		s.close(DeviceClose{Err: &Error{Code: m.Code, Detail: "said by the cloud"}, Retry: RetryBackoff})
		return
	case *Bye:
		s.close(DeviceClose{Err: &Error{Code: CodeShutdown, Detail: "the cloud said bye"}, Retry: RetryBackoff})
		return
	}
	switch s.phase {
	case deviceHello:
		if c, ok := m.(*Challenge); ok {
			s.challenged(c)
			return
		}
	case deviceAuth:
		switch m := m.(type) {
		case *Welcome:
			s.welcomed(m)
			return
		case *Statements:
			s.heardStatements(m)
			return
		}
	case deviceWork:
		if !s.mailed(m) {
			s.answer(m)
		}
		return
	}
	s.fail(CodeOutOfOrder, m.Type().String())
}

func (s *DeviceSession) challenged(c *Challenge) {
	if !slices.Contains(s.cfg.Versions, c.Version) {
		s.fail(CodeVersion, "the cloud chose a version that was not offered")
		return
	}
	hello, err := Encode(s.hello)
	if err == nil {
		var challenge []byte
		challenge, err = Encode(c)
		hello = append(hello, challenge...)
	}
	if err != nil {
		s.close(DeviceClose{Err: err, Retry: RetryBackoff})
		return
	}
	id := s.cfg.Identity
	sig := id.Authenticate(seal.AuthInput{
		DeviceNonce: s.hello.Nonce, CloudNonce: c.Nonce, Account: id.Account, Device: id.Device(), Replica: s.hello.Replica,
		Token: s.hello.Newest(), Transcript: sha256.Sum256(hello), Origin: s.cfg.Origin,
	})
	a := &Auth{Signature: [64]byte(sig), Chain: NewLinks(id.Chain)}
	if h := &s.cfg.Held; h.Epoch != (Epoch{}) {
		a.State = NewStateDigest(h.Epoch, s.cfg.Statements, h.states())
	}
	s.phase = deviceAuth
	s.cfg.LeastVersion = c.Version
	s.send(a)
}

func (s *DeviceSession) welcomed(w *Welcome) {
	if err := w.Limits.Check(); err != nil {
		s.close(DeviceClose{Err: err, Retry: RetryBackoff})
		return
	}
	if w.Same {
		if w.Epoch != s.cfg.Held.Epoch || w.Epoch == (Epoch{}) {
			s.fail(CodeBadMessage, "the same state as none")
			return
		}
		w.Kinds, w.Statements = s.cfg.Held.states(), s.cfg.Statements
	}
	s.do(DeviceWelcomed{Version: s.cfg.LeastVersion, Time: w.Time, Epoch: w.Epoch})
	switch w.Claim {
	case ClaimStale:
		s.fork(ForkStale)
		return
	case ClaimUnknown:
		s.fork(ForkUnknown)
		return
	}
	s.epoch, s.limits, s.head = w.Epoch, w.Limits, w.Head
	s.live, s.liveSent, s.seen = w.Same, w.Same, w.Devices
	s.statements.cloud = w.Statements
	s.statements.due = w.Statements != s.cfg.Statements || s.statements.pleads || s.cfg.Doubt
	s.phase = deviceBegin
	// The cloud may only claim to have seen more of this replica; a version that
	// opens shows it (rule C3), so they are all looked for before anything is minted.
	s.cautious = w.Seen > s.cfg.Claim.Counter
	for i := range w.Kinds {
		k := s.kind(w.Kinds[i].Kind)
		k.cloud, k.wantReconcile = w.Kinds[i], s.cautious
	}
	s.ask(StoreBegin{Token: s.hello.Newest(), Epoch: w.Epoch})
}

// fork gives up this replica id and asks to come back at once with a fresh one.
func (s *DeviceSession) fork(why ForkReason) {
	s.do(StoreFork{why})
	s.send(&Bye{})
	s.close(DeviceClose{Retry: RetryAtOnce})
}

func (s *DeviceSession) began(b LocalBegan) {
	if s.cfg.Greet {
		s.send(&Bye{})
		s.close(DeviceClose{Retry: RetryNever})
		return
	}
	for _, l := range b.Kinds {
		k := s.kind(l.Kind)
		k.own, k.cursor, k.saved, k.here, k.proven = l.Own, l.Cursor, l.Cursor, true, l.Proven
		if l.Cursor == 0 {
			k.walk = l.Walk
		}
	}
	differs := false
	for _, k := range s.kinds {
		k.start(s.limits.Walk())
		differs = differs || k.wantReconcile
	}
	s.down.wanted = true
	s.witness.due, s.witness.look = true, true
	if b.Sample && s.cfg.Once {
		s.sample.begin()
	}
	s.phase = deviceWork
	if s.live { // the welcome was the proof
		s.do(DeviceStateChanged{true})
		s.do(DeviceProved{s.seen})
	}
	s.proveDue = differs
}

// kind returns the state of a kind, made at its place in the order if it is new.
func (s *DeviceSession) kind(name record.Kind) *deviceKind {
	i, ok := slices.BinarySearchFunc(s.kinds, name, func(k *deviceKind, n record.Kind) int { return compareKinds(k.name, n) })
	if !ok {
		if len(s.kinds) >= kindsKept {
			return s.tooManyKinds(name)
		}
		s.kinds = slices.Insert(s.kinds, i, newDeviceKind(name))
	}
	return s.kinds[i]
}

// kindsKept bounds the kinds of a session: all that this device may have, and as
// many that only the cloud knows.
const kindsKept = 2 * KindsMax

func newDeviceKind(name record.Kind) *deviceKind {
	return &deviceKind{name: name, cloud: KindState{Kind: name}, rejected: map[Ref]bool{}, notOpen: map[Ref]bool{}}
}

// SortKinds sorts by priority, then name.
func SortKinds(kinds []record.Kind) { slices.SortFunc(kinds, compareKinds) }

func compareKinds(a, b record.Kind) int {
	switch pa, pb := a.Priority(), b.Priority(); {
	case pa != pb:
		return pa - pb
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// request notes that an answer is due and returns the id to ask under.
func (s *DeviceSession) request(r *deviceRequest) RequestID {
	s.lastID++
	s.requests[s.lastID] = r
	return s.lastID
}

// room reports whether the cloud takes another request.
func (s *DeviceSession) room() bool { return len(s.requests) < s.limits.Get(LimitRequests) }

// held lists what this device holds of every kind, for live and prove.
func (s *DeviceSession) held(cursors bool) []Held {
	hs := make([]Held, 0, len(s.kinds))
	flying := map[*deviceKind]uint64{} // the cloud takes them before it hears this
	for _, r := range s.requests {
		if r.typ == TypePush {
			flying[r.kind] += uint64(len(r.refs))
		}
	}
	for _, k := range s.kinds {
		h := Held{Kind: k.name, Count: k.own.Count, Sum: k.own.Sum, Lacking: k.lacking - min(k.lacking, flying[k])}
		k.lackingTold = h.Lacking
		if cursors {
			h.After = k.cursor
		}
		hs = append(hs, h)
	}
	return hs[:min(len(hs), KindsMax)]
}

// Epoch returns the cloud's epoch, zero before the welcome.
func (s *DeviceSession) Epoch() Epoch { return s.epoch }

// Live reports whether the cloud sends what others write.
func (s *DeviceSession) Live() bool { return s.live }

// AtRest reports whether the session is live with nothing left to do: every kind
// is equal to the cloud's or given up, and no chunk is under way or due. Those that
// the cloud lacks are waited for.
func (s *DeviceSession) AtRest() bool {
	return s.live && s.settled() && s.up.done() && s.down.idle() && !s.down.wanted
}

// DeviceKindView is what a session knows of one kind.
type DeviceKindView struct {
	Kind   record.Kind
	Own    rangeset.Digest
	Cloud  rangeset.Digest
	Head   Seq  // of the cloud's kind
	Proven bool // both were equal as of Head, the cloud says it is whole, and nothing may wait to be sent
	// Restoring says that the cloud declares the kind not to be complete yet.
	Restoring bool
	Fault     string // why equality was given up, "" otherwise
}

// Kinds returns what the session knows, in order of priority. It is empty
// before the claim was accepted.
func (s *DeviceSession) Kinds() []DeviceKindView {
	if s.phase < deviceWork {
		return nil
	}
	views := make([]DeviceKindView, len(s.kinds))
	for i, k := range s.kinds {
		views[i] = DeviceKindView{k.name, k.own, k.cloudDigest(), k.cloud.Head, k.equal() && !k.restoring() && !k.again && !k.minting, k.restoring(), k.fault}
	}
	return views
}
