package syncproto

import "sidekeep/syncproto/seal"

// StoreStatements takes up statements that came, those that hold, and gives what
// is known then. Answered by LocalStatements.
type StoreStatements struct{ Add []seal.Statement }

// LocalStatements answers StoreStatements.
type LocalStatements struct {
	List    []seal.Statement
	Set     seal.StatementsDigest
	Trusted bool // this device is, by all that is known here
	Bad     bool // one of Add does not hold: no honest cloud says that
}

func (StoreStatements) deviceAction() {}
func (LocalStatements) deviceEvent()  {}

// statementsHeardMax bounds the statements that a cloud may say in a session.
const statementsHeardMax = 16 * seal.StatementsMax

// deviceStatements is what a session knows of both ends' sets.
type deviceStatements struct {
	told   told
	in     []seal.Statement // came, and wait for the store
	due    bool             // the store is to be asked
	cloud  seal.StatementsDigest
	sent   seal.StatementsDigest // the set that was last given to the cloud
	heard  int
	doubt  bool // not trusted by what is known here; no data moves
	asked  bool // the cloud owes an answer to what was sent
	pleads bool // the cloud was told, before a welcome, why this device is trusted
}

// heardStatements takes a message of the cloud.
func (s *DeviceSession) heardStatements(m *Statements) {
	st := &s.statements
	if st.heard += len(m.List) + 1; st.heard > statementsHeardMax {
		s.fail(CodeTooLarge, "statements without end")
		return
	}
	all, last, err := st.told.take(m)
	switch {
	case err != nil:
		s.fail(CodeOf(err), "statements")
	case last && s.phase == deviceAuth && st.pleads:
		s.fail(CodeOutOfOrder, "statements twice before the welcome")
	case last:
		st.asked = false
		st.in, st.due, st.cloud = append(st.in, all...), true, m.Set
		if s.phase == deviceAuth {
			s.askStatements()
		}
	}
}

func (s *DeviceSession) askStatements() {
	st := &s.statements
	add := st.in
	st.in, st.due = nil, false
	s.ask(StoreStatements{add})
}

// knownStatements takes what the store knows. A device that is not trusted by
// it, and so has the proof that it was revoked, ends the session; nothing that a
// cloud only says does that.
func (s *DeviceSession) knownStatements(l LocalStatements) {
	st := &s.statements
	if l.Bad {
		s.fail(CodeBadMessage, "a statement that does not hold")
		return
	}
	news := l.Set != st.cloud && l.Set != st.sent
	// A cloud that lets it in all the same may know better: hear it first.
	st.doubt = !l.Trusted && s.phase == deviceWork && news
	if !l.Trusted && !st.doubt {
		s.close(DeviceClose{Err: &Error{Code: CodeRevoked, Detail: "statements that hold say so"}, Retry: RetryBackoff})
		return
	}
	st.pleads = s.phase == deviceAuth
	if !news && st.pleads {
		s.close(DeviceClose{Err: &Error{Code: CodeRefused, Detail: "without a proof that holds"}, Retry: RetryBackoff})
	}
	if !news {
		return
	}
	st.sent, st.asked = l.Set, s.phase == deviceWork
	for _, m := range statementMessages(l.List, l.Set) {
		s.send(m)
	}
}
