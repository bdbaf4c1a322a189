package syncproto

import (
	"slices"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// CloudConfig is what one session of a cloud needs to know.
type CloudConfig struct {
	Nonce   Nonce    // fresh randomness
	Origins []string // the cloud's own: scheme://host:port
	Limits  Limits   // nil means DefaultLimits
}

// CloudSession is the cloud's end of one session: SPEC.md section "The cloud's
// states". It is pure: Handle takes an event and returns what to do.
type CloudSession struct {
	conf       CloudConfig
	state      cloudState
	hello      *Hello
	transcript [32]byte // of hello and challenge
	claim      ClaimState

	doing   Message // the request whose Do action is under way
	live    bool
	feed    feed
	ranged  map[record.Kind]bool // reconciled since the last proof
	storing []CloudChunk         // received, not yet stored
	fetches []*Fetch             // not yet answered in full
	wants   []*wanted

	told      told
	contested *Auth // of a device that was shown why it is not trusted
}

type cloudState int

const (
	cloudWaitsHello cloudState = iota
	cloudWaitsAuth
	cloudClaims
	cloudContested // not trusted, shown why: may contest it
	cloudOpen
	cloudEnters // a guest asks for a mailbox
	cloudGuest  // in a mailbox
	cloudClosed
)

func (s cloudState) String() string {
	return [...]string{"waits for hello", "waits for auth", "claims", "contested", "open", "enters", "guest", "closed"}[s]
}

// wanted is a want that is not yet answered in full.
type wanted struct {
	id     RequestID
	left   []record.ChunkID
	absent []record.ChunkID
}

// NewCloudSession returns a session that waits for hello.
func NewCloudSession(c CloudConfig) *CloudSession {
	if c.Limits == nil {
		c.Limits = DefaultLimits()
	}
	return &CloudSession{conf: c, feed: newFeed(), ranged: map[record.Kind]bool{}}
}

// Account returns the account of an authenticated session.
func (s *CloudSession) Account() seal.Account { return seal.Account(s.hello.Account) }

// Device returns the device of an authenticated session.
func (s *CloudSession) Device() seal.DeviceKey { return seal.DeviceKey(s.hello.Device) }

// Replica returns the replica of an authenticated session.
func (s *CloudSession) Replica() record.ReplicaID { return s.hello.Replica }

// Live reports whether the session follows the log.
func (s *CloudSession) Live() bool { return s.live }

// Busy reports whether the session has work left for a Continue event. Messages
// that wait should be handled first.
func (s *CloudSession) Busy() bool {
	return s.state == cloudOpen && (len(s.storing) > 0 || s.live && s.feed.lagging() || len(s.fetches) > 0 || len(s.wants) > 0)
}

// Handle takes one event and returns the actions it leads to.
func (s *CloudSession) Handle(ev CloudEvent) []CloudAction {
	if s.state == cloudClosed {
		return nil
	}
	switch ev := ev.(type) {
	case Received:
		return s.receive(ev.Data)
	case Continue:
		return s.step()
	case Moved:
		return s.onMoved(ev)
	case Deadline:
		if s.state == cloudOpen || s.state == cloudGuest {
			return nil
		}
		return s.fail(CodeTimeout)
	case Draining:
		return s.hangUp(CodeShutdown, &Bye{})
	case Superseded:
		return s.fail(CodeSuperseded)
	case Posted:
		return s.onPosted(ev)
	case MailboxShut:
		return s.onShut(ev.Code)
	case Refused:
		return s.hangUp(CodeBusy, &Wait{Seconds: ev.Seconds, Code: CodeBusy})
	default:
		return s.answered(ev)
	}
}

// fail sends an error and closes.
func (s *CloudSession) fail(c Code) []CloudAction { return s.hangUp(c, &ErrorMessage{Code: c}) }

func (s *CloudSession) hangUp(c Code, last Message) []CloudAction {
	s.state = cloudClosed
	return []CloudAction{SendToDevice{last}, HangUp{c}}
}

func send(m Message) []CloudAction { return []CloudAction{SendToDevice{m}} }

func (s *CloudSession) do(request Message, a CloudAction) []CloudAction {
	s.doing = request
	return []CloudAction{a}
}

func (s *CloudSession) receive(data []byte) []CloudAction {
	if s.state != cloudOpen && s.state != cloudContested && len(data) > PreAuthBytesMax {
		return s.fail(CodeTooLarge)
	}
	m, err := Decode(data)
	if err != nil {
		return s.fail(CodeOf(err))
	}
	switch s.state {
	case cloudWaitsHello:
		if m, ok := m.(*Hello); ok {
			return s.onHello(m, data)
		}
		if m, ok := m.(*Enter); ok {
			return s.onEnter(m)
		}
	case cloudWaitsAuth:
		if m, ok := m.(*Auth); ok {
			return s.onAuth(m)
		}
	case cloudContested:
		if m, ok := m.(*Statements); ok {
			return s.onStatements(m)
		}
	case cloudOpen:
		return s.onRequest(m)
	case cloudGuest:
		if m, ok := m.(*Post); ok {
			return s.do(m, DoPost{m.Sealed})
		}
	}
	if _, ok := m.(*Bye); ok {
		return s.leave()
	}
	return s.fail(CodeOutOfOrder)
}

func (s *CloudSession) leave() []CloudAction {
	s.state = cloudClosed
	return []CloudAction{HangUp{CodeNone}}
}

func (s *CloudSession) onHello(m *Hello, data []byte) []CloudAction {
	if !slices.Contains(m.Versions, ProtocolVersion) {
		return s.fail(CodeVersion)
	}
	challenge := &Challenge{Version: ProtocolVersion, Nonce: s.conf.Nonce}
	b, err := Encode(challenge)
	if err != nil {
		return s.fail(CodeBadMessage)
	}
	s.hello = m
	s.transcript = seal.Transcript(data, b)
	s.state = cloudWaitsAuth
	return send(challenge)
}

// onAuth checks the signature first, then the chain, and only then looks at
// anything that is stored.
func (s *CloudSession) onAuth(m *Auth) []CloudAction {
	h := s.hello
	in := seal.AuthInput{
		DeviceNonce: h.Nonce, CloudNonce: s.conf.Nonce, Account: h.Account, Device: h.Device,
		Replica: h.Replica, Token: h.Newest(), Transcript: s.transcript,
	}
	signed := slices.ContainsFunc(s.conf.Origins, func(origin string) bool {
		in.Origin = origin
		return seal.VerifyAuth(in, m.Signature[:])
	})
	if !signed || seal.VerifyChain(h.Account, h.Device, m.Certs(h.Account)) != nil {
		return s.fail(CodeRefused)
	}
	s.state = cloudClaims
	return s.trust(m, nil)
}

func (s *CloudSession) onClaimed(ev Claimed) []CloudAction {
	s.state, s.claim = cloudOpen, ev.State
	w := &Welcome{Epoch: ev.Epoch, Head: ev.Head, Claim: ev.State, Seen: ev.Seen, Limits: s.conf.Limits.Declared(), Time: ev.Time}
	if w.Same = ev.Same; w.Same {
		s.live = true
		s.feed.same(ev.Kinds)
		w.Devices = ev.Devices[:min(len(ev.Devices), welcomeDevicesMax)]
	} else {
		w.Kinds, w.Statements = ev.Kinds, ev.Statements
	}
	return send(w)
}

// readVersions reads the headers of a push, and rejects the versions whose
// header can not be read or does not fit the body.
func readVersions(m *Push) (good []CloudVersion, rejects []Reject) {
	for i, v := range m.Versions {
		h, err := seal.ParseHeader(v.Header)
		if err != nil || h.Length+seal.Overhead != len(v.Body) || !h.Kind.Valid() {
			rejects = append(rejects, Reject{Index: uint64(i), Code: CodeBadHeader})
			continue
		}
		good = append(good, CloudVersion{Index: i, Kind: h.Kind, Ref: NewRef(h.ID, h.VersionID), Vector: h.Vector,
			Dead: h.Dead(), Header: v.Header, Body: v.Body})
	}
	return good, rejects
}
