package agent

import (
	"context"

	"sidekeep/syncproto"
)

// Stepper drives one session by hand: no socket, no goroutine, no timer that
// runs. The caller carries the messages, says when timers run out, and decides
// when the connection is lost. What the machine asks of the store is done as in
// a session of Run, before Handle returns. It is how tests replay a schedule of
// messages exactly.
type Stepper struct {
	s      *session
	timers []syncproto.DeviceTimerID
}

// stepperOutboxMax is far above what one event can lead to: the windows of the
// protocol bound it.
const stepperOutboxMax = 4096

// Step begins a session and says hello. The caller sees to it that the agent
// has no other session. It returns an error of the store.
func (a *Agent) Step(ctx context.Context, once bool) (*Stepper, error) {
	s := &session{a: a, local: context.WithoutCancel(ctx), outbox: make(chan [][]byte, stepperOutboxMax), chunks: loader{store: a.cfg.Store, keys: a.keys}}
	st := &Stepper{s: s}
	s.set = func(t syncproto.DeviceSetTimer) { st.timers = append(st.timers, t.Timer) }
	what := toFollow
	if once {
		what = toSync
	}
	if err := s.prepare(what); err != nil {
		return nil, err
	}
	s.hello()
	return st, s.end.local
}

// Receive hands over one message from the cloud.
func (st *Stepper) Receive(b []byte) {
	m, err := syncproto.Decode(b)
	if err != nil {
		st.s.lost(err)
		return
	}
	st.s.handle(syncproto.DeviceReceived{Message: m})
}

// Handle hands over an event that is not a message.
func (st *Stepper) Handle(e syncproto.DeviceEvent) { st.s.handle(e) }

// Lost says that the connection is gone.
func (st *Stepper) Lost(err error) { st.s.lost(err) }

// Expire empties the trash of what has been there long enough, if all is in sync.
func (st *Stepper) Expire() { st.s.expire() }

// Sent takes the messages that are to be carried to the cloud.
func (st *Stepper) Sent() [][]byte {
	var all [][]byte
	for len(st.s.outbox) > 0 {
		all = append(all, <-st.s.outbox...)
	}
	return all
}

// Timers takes the timers that were set.
func (st *Stepper) Timers() []syncproto.DeviceTimerID {
	t := st.timers
	st.timers = nil
	return t
}

// Kinds returns what the session knows of each kind.
func (st *Stepper) Kinds() []syncproto.DeviceKindView { return st.s.machine.Kinds() }

// Done reports whether the session is over, and when to come back. local is an
// error of the store, remote what else ended it.
func (st *Stepper) Done() (done bool, retry syncproto.Retry, local, remote error) {
	return st.s.done, st.s.end.retry, st.s.end.local, st.s.end.err
}

// Close ends the session's right to write, as the end of a session does.
func (st *Stepper) Close() { st.s.a.cfg.Store.EndSession() }
