package syncproto

// onEnter handles the first message of a guest. Nothing of any account is
// looked at: the mailbox is there or it is not.
func (s *CloudSession) onEnter(m *Enter) []CloudAction {
	if !m.speaks() {
		return s.fail(CodeVersion)
	}
	s.state = cloudEnters
	return s.do(m, DoEnterMailbox{m.Mailbox})
}

func (s *CloudSession) onPosted(ev Posted) []CloudAction {
	if s.state != cloudOpen && s.state != cloudGuest {
		return nil
	}
	return send(&Post{Sealed: ev.Sealed})
}

// onShut tells the session's device that its mailbox is closed. A guest has
// nothing else here.
func (s *CloudSession) onShut(c Code) []CloudAction {
	switch {
	case s.state == cloudOpen:
		return send(&Shut{Code: c})
	case s.state == cloudGuest && c == CodeNone:
		return s.hangUp(c, &Bye{})
	case s.state == cloudGuest:
		return s.fail(c)
	}
	return nil
}
