package syncproto

import "sidekeep/syncproto/seal"

// The cloud's end of statements: who is trusted is decided before the claim, by
// the chain that the device showed and all that the cloud knows.

// DoTrust asks whether a device that proved its key is trusted, after it is
// admitted. Told are the statements with which it contests that it is not: of
// these only those count that the root or a trusted device issued. Answers:
// Listed; Failed with CodeRefused if the account is not admitted, or a storage code.
type DoTrust struct {
	Account   seal.Account
	Device    seal.DeviceKey
	Chain     []seal.Cert
	Admission Admission
	Told      []seal.Statement
}

// DoList takes up what a trusted device knows, durably, and tells the other
// sessions. Answers: Listed or Failed.
type DoList struct{ Told []seal.Statement }

// Listed answers DoTrust and DoList.
type Listed struct {
	Trusted bool
	List    []seal.Statement // what the device lacks; everything if it is not trusted
	Set     seal.StatementsDigest
}

func (DoTrust) cloudAction() {}
func (DoList) cloudAction()  {}
func (Listed) cloudEvent()   {}

func (s *CloudSession) trust(m *Auth, told []seal.Statement) []CloudAction {
	h := s.hello
	return s.do(m, DoTrust{Account: h.Account, Device: h.Device, Chain: m.Certs(h.Account), Admission: h.Admission, Told: told})
}

// onListed takes the verdict before the claim: a device that is not trusted is
// shown why, and may contest it once.
func (s *CloudSession) onListed(m *Auth, ev Listed) []CloudAction {
	h := s.hello
	switch {
	case ev.Trusted:
		s.state = cloudClaims
		return s.do(m, DoClaim{Account: h.Account, Device: h.Device, Replica: h.Replica, Last: h.Last, Pending: h.Pending,
			Counter: h.Counter, Create: h.Create, Admission: h.Admission, State: m.State, Statements: ev.Set})
	case s.contested != nil:
		return s.fail(CodeRefused)
	}
	s.state, s.contested = cloudContested, m
	return sendAll(statementMessages(ev.List, ev.Set))
}

// onStatements takes what a device knows, when all of it has come.
func (s *CloudSession) onStatements(m *Statements) []CloudAction {
	all, last, err := s.told.take(m)
	if err != nil {
		return s.fail(CodeOf(err))
	}
	if !last {
		return nil
	}
	if s.state == cloudContested {
		s.state = cloudClaims
		return s.trust(s.contested, all)
	}
	return s.do(m, DoList{all})
}

// onTaken answers what an open session's device told. One that revoked itself
// goes.
func (s *CloudSession) onTaken(ev Listed) []CloudAction {
	out := sendAll(statementMessages(ev.List, ev.Set))
	if !ev.Trusted {
		out = append(out, s.fail(CodeRefused)...)
	}
	return out
}

// onMoved takes what other sessions of the account brought.
func (s *CloudSession) onMoved(ev Moved) []CloudAction {
	s.feed.moved(ev.Kinds)
	if s.state != cloudOpen {
		return nil
	}
	var out []CloudAction
	if len(ev.Statements) > 0 {
		out = sendAll(statementMessages(ev.Statements, ev.Set))
	}
	if ev.Ended {
		out = append(out, s.fail(CodeRefused)...)
	}
	return out
}

func sendAll(ms []Message) []CloudAction {
	out := make([]CloudAction, len(ms))
	for i, m := range ms {
		out[i] = SendToDevice{m}
	}
	return out
}
