package cloud

import (
	"fmt"
	"io"

	"sidekeep/syncproto"
)

// Stepper drives one session by hand: no socket, no goroutine, no timer. The
// caller carries the messages and says when the session may go on with what it
// has left to do, all sessions of a server from one goroutine. It is how tests
// replay a schedule of messages exactly.
type Stepper struct {
	c    *session
	sent [][]byte
	over bool
}

// Step begins a session that waits for hello.
func (s *Server) Step() (*Stepper, error) {
	var nonce syncproto.Nonce
	if _, err := io.ReadFull(s.conf.Rand, nonce[:]); err != nil {
		return nil, fmt.Errorf("draw a nonce: %w", err)
	}
	st := &Stepper{c: newSession(s, nil, nil, nonce)}
	st.c.step = st
	return st, nil
}

// Receive hands over one message from the device.
func (st *Stepper) Receive(b []byte) { st.handle(st.c.received(b)) }

// Work lets the session do one step of what it has left to do, and reports
// whether there was any.
func (st *Stepper) Work() bool {
	if st.over {
		return false
	}
	select {
	case <-st.c.hint.ready:
		st.handle(st.c.hint.take())
		return true
	default:
	}
	if !st.c.machine.Busy() {
		return false
	}
	st.handle(syncproto.Continue{})
	return true
}

// Lost says that the connection is gone.
func (st *Stepper) Lost() { st.end() }

// Sent takes the messages that are to be carried to the device.
func (st *Stepper) Sent() [][]byte {
	all := st.sent
	st.sent = nil
	return all
}

// Over reports whether the session has ended.
func (st *Stepper) Over() bool { return st.over }

func (st *Stepper) handle(ev syncproto.CloudEvent) {
	if st.over {
		return
	}
	if over, _ := st.c.handle(ev); over {
		st.end()
	}
}

func (st *Stepper) end() {
	if !st.over {
		st.over = true
		st.c.cancel()
		st.c.leave()
	}
}
