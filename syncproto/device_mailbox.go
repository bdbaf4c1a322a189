package syncproto

// mail passes on what the driver of an invite wants to send. The session itself
// knows nothing of invites but whether a mailbox is open.
func (s *DeviceSession) mail(m Message) {
	_, offer := m.(*Offer)
	if s.phase != deviceWork || !offer && !s.mailbox {
		s.do(DeviceMailed{&Shut{Code: CodeOutOfOrder}})
		return
	}
	_, shut := m.(*Shut)
	s.mailbox = !shut
	s.send(m)
}

// mailed hands on what the cloud says of the mailbox, and reports whether m was
// about one. What comes after the mailbox was shut was on its way already; it is
// waste.
func (s *DeviceSession) mailed(m Message) bool {
	switch m.(type) {
	case *Opened, *Post, *Shut:
	default:
		return false
	}
	if !s.mailbox {
		s.wasted(1, 0)
		return true
	}
	if _, ok := m.(*Shut); ok {
		s.mailbox = false
	}
	s.do(DeviceMailed{m})
	return true
}
