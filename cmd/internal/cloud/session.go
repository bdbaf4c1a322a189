package cloud

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/ws"
)

const (
	// writeTimeout is for a small message; larger ones get a second for each
	// writeBytesPerSecond bytes more. A link slower than that is cut.
	writeTimeout        = 30 * time.Second
	writeBytesPerSecond = 1024
	// A cloud that is full asks to come back after this time, spread so that the
	// devices do not all return at once.
	busySeconds = 30
)

// session drives one connection.
type session struct {
	server  *Server
	conn    *ws.Conn
	machine *syncproto.CloudSession
	hint    *hint
	inbox   chan []byte
	entered bool // in the hub

	ctx    context.Context
	cancel context.CancelFunc
	newer  chan struct{} // closed when a newer session of the replica begins
	once   sync.Once     // closes newer
	done   chan struct{} // closed when the session has ended

	live bool // counted in the gauge

	step *Stepper // takes the place of conn, loop and goroutines; nil when served
}

func newSession(s *Server, conn *ws.Conn, nonce syncproto.Nonce) *session {
	c := &session{
		server: s, conn: conn, hint: newHint(), inbox: make(chan []byte, syncproto.RequestsMax),
		machine: syncproto.NewCloudSession(syncproto.CloudConfig{Nonce: nonce, Origins: s.origins}),
		newer:   make(chan struct{}), done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// run serves the connection until it ends.
func (c *session) run(full bool) {
	m := c.server.metrics
	m.sessions.Inc()
	c.server.track(c, true)
	defer c.server.track(c, false)
	readerDone := make(chan struct{})
	go func() {
		defer close(readerDone)
		c.read()
	}()
	code := c.loop(full)
	c.cancel()
	c.conn.CloseNow()
	<-readerDone
	c.leave()
	m.sessions.Dec()
	m.ended.WithLabelValues(code.String()).Inc()
	c.server.conf.Log.Debug("session ended", "reason", code.String())
	close(c.done)
}

// leave takes the session out of what counts or reaches it.
func (c *session) leave() {
	if c.entered {
		c.server.hub.leave(c, c.machine.Account())
	}
	if c.live {
		c.server.metrics.live.Dec()
	}
}

// read puts messages into the inbox until the connection ends.
func (c *session) read() {
	defer close(c.inbox)
	for {
		b, err := c.conn.Read(c.ctx)
		if err != nil {
			return
		}
		select {
		case c.inbox <- b:
		case <-c.ctx.Done():
			return
		}
	}
}

// loop feeds events to the machine until the session is over.
func (c *session) loop(full bool) syncproto.Code {
	if full {
		seconds := busySeconds + rand.Uint64N(busySeconds)
		_, code := c.handle(syncproto.Refused{Seconds: seconds})
		return code
	}
	deadline := time.NewTimer(syncproto.PreAuthSeconds * time.Second)
	defer deadline.Stop()
	for {
		ev, ok := c.next(deadline.C)
		if !ok {
			return syncproto.CodeNone
		}
		if over, code := c.handle(ev); over {
			return code
		}
	}
}

// next waits for the next event. When the machine has work left, it only takes
// what is there already.
func (c *session) next(deadline <-chan time.Time) (syncproto.CloudEvent, bool) {
	select {
	case <-c.server.draining:
		return syncproto.Draining{}, true
	case <-c.newer:
		return syncproto.Superseded{}, true
	default:
	}
	var idle chan struct{}
	if c.machine.Busy() {
		idle = closedChannel
		select {
		case b, ok := <-c.inbox:
			return c.received(b), ok
		case <-c.hint.ready:
			return syncproto.Moved{Kinds: c.hint.take()}, true
		default:
		}
	}
	select {
	case b, ok := <-c.inbox:
		return c.received(b), ok
	case <-c.hint.ready:
		return syncproto.Moved{Kinds: c.hint.take()}, true
	case <-idle:
		return syncproto.Continue{}, true
	case <-deadline:
		return syncproto.Deadline{}, true
	case <-c.server.draining:
		return syncproto.Draining{}, true
	case <-c.newer:
		return syncproto.Superseded{}, true
	}
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *session) received(b []byte) syncproto.CloudEvent {
	if t, ok := syncproto.TypeOf(b); ok && t <= syncproto.TypeAside {
		c.server.metrics.message("in", t, len(b))
	}
	return syncproto.Received{Data: b}
}

// handle feeds one event and everything that follows from it. over says that
// the session has ended.
func (c *session) handle(ev syncproto.CloudEvent) (over bool, code syncproto.Code) {
	queue := c.machine.Handle(ev)
	for len(queue) > 0 {
		a := queue[0]
		queue = queue[1:]
		switch a := a.(type) {
		case syncproto.SendToDevice:
			if err := c.send(a.Message); err != nil {
				return true, syncproto.CodeNone
			}
		case syncproto.HangUp:
			c.hangUp(a.Code)
			return true, a.Code
		default:
			queue = append(c.machine.Handle(c.perform(a)), queue...)
		}
	}
	if c.machine.Live() && !c.live {
		c.live = true
		c.server.metrics.live.Inc()
	}
	return false, syncproto.CodeNone
}

func (c *session) send(m syncproto.Message) error {
	b, err := syncproto.Encode(m)
	if err != nil {
		c.server.conf.Log.Error("a message of our own breaks the protocol", "error", err)
		return err
	}
	if c.step != nil {
		c.step.sent = append(c.step.sent, b)
		return nil
	}
	if m.Type() == syncproto.TypeWelcome {
		c.conn.SetReadLimit(syncproto.MessageBytesMax)
	}
	ctx, cancel := context.WithTimeout(c.ctx, writeTimeout+time.Duration(len(b)/writeBytesPerSecond)*time.Second)
	defer cancel()
	if err := c.conn.Write(ctx, b); err != nil {
		return err
	}
	c.server.metrics.message("out", m.Type(), len(b))
	return nil
}

// hangUp does the closing handshake. The reader goes on meanwhile, so that the
// device's last messages do not block its close.
func (c *session) hangUp(code syncproto.Code) {
	if c.step != nil {
		return
	}
	go func() {
		for range c.inbox {
		}
	}()
	c.conn.Close(closeStatus(code), "")
}

func closeStatus(code syncproto.Code) ws.StatusCode {
	switch code {
	case syncproto.CodeNone:
		return ws.StatusNormal
	case syncproto.CodeShutdown:
		return ws.StatusGoingAway
	case syncproto.CodeBusy:
		return ws.StatusTryAgain
	case syncproto.CodeTooLarge:
		return ws.StatusTooBig
	case syncproto.CodeBadMessage, syncproto.CodeUnknownType, syncproto.CodeOutOfOrder, syncproto.CodeVersion:
		return ws.StatusProtocol
	case syncproto.CodeReadOnly, syncproto.CodeDiskFull, syncproto.CodeStorage:
		return ws.StatusInternal
	}
	return ws.StatusPolicy
}

// supersede ends the session because a newer one of its replica begins, and
// returns when it has ended.
func (c *session) supersede() {
	if c.step != nil {
		c.step.handle(syncproto.Superseded{})
		return
	}
	c.once.Do(func() { close(c.newer) })
	select {
	case <-c.done:
		return
	case <-time.After(supersedeGrace):
		c.cancel()
	}
	<-c.done
}
