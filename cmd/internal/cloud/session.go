package cloud

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

const (
	// A cloud that is full asks the first to come back after busyLeast, and each
	// other busyStep later; all spread.
	busyLeast = 30 * time.Second
	busyStep  = 20 * time.Millisecond
)

// session drives one connection.
type session struct {
	server  *Server
	conn    *ws.Conn
	machine *syncproto.CloudSession
	guard   *guarded // the connection below; nil without a front
	hint    *hint
	inbox   chan inbound
	reading seal.Account // the account, for the reader; set before a large message can come
	inHub   bool
	roster  *roster          // of the account's devices; nil before authentication
	brought []seal.Statement // by the device, to be kept when its claim is decided
	answer  *share           // for the answer that is read and sent; may be nil
	message inbound          // that is being handled

	ctx    context.Context
	cancel context.CancelFunc
	newer  chan struct{} // closed when a newer session of the replica begins
	once   sync.Once     // closes newer
	done   chan struct{} // closed when the session has ended

	live bool     // counted in the gauge
	mail *mailEnd // its end of an invite's mailbox, or nil

	step *Stepper // takes the place of conn, loop and goroutines; nil when served
}

// inbound is one message from the device.
type inbound struct {
	data  []byte
	share *share // of the memory for messages; nil for a small one
}

// done gives back what a message took. Nothing of its bytes is used any more.
func (m inbound) done() {
	if m.share != nil {
		m.share.release()
		largeBuffers.Put(&m.data)
	}
}

// largeBuffers holds buffers for messages that are not small.
var largeBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, syncproto.MessageBytesMax+1)
	return &b
}}

func newSession(s *Server, conn *ws.Conn, guard *guarded, nonce syncproto.Nonce) *session {
	c := &session{
		server: s, conn: conn, guard: guard, hint: newHint(), inbox: make(chan inbound, syncproto.RequestsMax),
		machine: syncproto.NewCloudSession(syncproto.CloudConfig{Nonce: nonce, Origins: s.origins, Limits: s.conf.Protocol}),
		newer:   make(chan struct{}), done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// run serves the connection until it ends. wait is not 0 if the cloud is full.
func (c *session) run(wait time.Duration) {
	m := c.server.metrics
	m.sessions.Inc()
	c.server.track(c, true)
	readerDone := make(chan struct{})
	go func() {
		defer close(readerDone)
		c.read()
	}()
	code := syncproto.CodeNone
	defer func() {
		if broken := recover(); broken != nil {
			// One client's message must not end everybody's sessions.
			m.broken.Inc()
			c.server.conf.Log.Error("a session broke", "panic", fmt.Sprint(broken), "stack", string(debug.Stack()))
		}
		c.cancel()
		c.conn.CloseNow()
		<-readerDone
		for m := range c.inbox {
			m.done()
		}
		c.handled()
		c.answered()
		c.leave()
		m.sessions.Dec()
		m.ended.WithLabelValues(code.String()).Inc()
		c.server.conf.Log.Debug("session ended", "reason", code.String())
		c.server.track(c, false)
		close(c.done)
	}()
	code = c.loop(wait)
}

// leave takes the session out of what counts or reaches it.
func (c *session) leave() {
	c.leaveMailbox()
	if c.inHub && c.server.hub.leave(c, c.machine.Account()) {
		c.server.reseeds.left(c.machine.Account())
	}
	if c.roster != nil {
		c.server.rosters.leave(c.roster)
	}
	if c.live {
		c.server.metrics.live.Dec()
	}
}

// read puts messages into the inbox until the connection ends.
func (c *session) read() {
	defer close(c.inbox)
	for {
		m, err := c.receive()
		if err != nil {
			return
		}
		select {
		case c.inbox <- m:
		case <-c.ctx.Done():
			m.done()
			return
		}
	}
}

// receive reads one message. A message that is not small waits for its account's
// share of memory before the rest of it is read.
func (c *session) receive() (m inbound, err error) {
	m.data, err = c.conn.ReadPaced(c.ctx, ws.Pace{
		Grace: c.server.conf.Limits.MessageGrace, BytesPerSecond: c.server.conf.Limits.BytesPerSecond, SmallBytes: smallBytes,
		Large: func() (b []byte, err error) {
			c.server.reseeds.queued(c.reading, time.Now())
			m.share, err = c.server.receiving.take(c.ctx, c.reading, receiveBytes, smallBytes)
			c.server.reseeds.served(c.reading, time.Now())
			if err != nil {
				return nil, err
			}
			return *largeBuffers.Get().(*[]byte), nil
		},
	})
	if err != nil && m.share != nil {
		m.share.release() // and the buffer is the garbage collector's
	}
	return m, err
}

// loop feeds events to the machine until the session is over.
func (c *session) loop(wait time.Duration) syncproto.Code {
	if wait > 0 {
		c.server.metrics.waits.WithLabelValues("sessions").Inc()
		_, code := c.handle(syncproto.Refused{Seconds: seconds(wait)})
		return code
	}
	deadline := time.NewTimer(syncproto.PreAuthSeconds * time.Second)
	defer deadline.Stop()
	for {
		ev, message, ok := c.next(deadline.C)
		if !ok {
			return syncproto.CodeNone
		}
		c.message = message
		over, code := c.handle(ev)
		c.handled()
		if over {
			return code
		}
	}
}

// next waits for the next event. When the machine has work left, it only takes
// what is there already.
func (c *session) next(deadline <-chan time.Time) (ev syncproto.CloudEvent, message inbound, ok bool) {
	select {
	case <-c.server.draining:
		return syncproto.Draining{}, message, true
	case <-c.newer:
		return syncproto.Superseded{}, message, true
	case <-c.hint.ended:
		return c.hint.take(), message, true
	default:
	}
	var idle chan struct{}
	if c.machine.Busy() {
		idle = closedChannel
		select {
		case message, ok = <-c.inbox:
			return c.received(message.data), message, ok
		case <-c.hint.ready:
			return c.hint.take(), message, true
		default:
		}
	}
	select {
	case message, ok = <-c.inbox:
		return c.received(message.data), message, ok
	case <-c.hint.ready:
		return c.hint.take(), message, true
	case ev := <-c.mailArrives():
		return ev, message, true
	case <-idle:
		return syncproto.Continue{}, message, true
	case <-deadline:
		return syncproto.Deadline{}, message, true
	case <-c.server.draining:
		return syncproto.Draining{}, message, true
	case <-c.hint.ended:
		return c.hint.take(), message, true
	case <-c.newer:
		return syncproto.Superseded{}, message, true
	}
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *session) received(b []byte) syncproto.CloudEvent {
	if t, ok := syncproto.TypeOf(b); ok && t.Known() {
		c.server.metrics.message("in", t, len(b))
	}
	return syncproto.Received{Data: b}
}

// handle feeds one event and everything that follows from it. over says that
// the session has ended.
func (c *session) handle(ev syncproto.CloudEvent) (over bool, code syncproto.Code) {
	defer c.answered()
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

// handled gives back what the message took that was handled.
func (c *session) handled() {
	c.message.done()
	c.message = inbound{}
}

// answered gives back what the answer took that was sent.
func (c *session) answered() {
	c.answer.release()
	c.answer = nil
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
	// What was read from the store for it is garbage now.
	c.answer.shrink(int64(len(b)))
	if c.reading == (seal.Account{}) && (m.Type() == syncproto.TypeWelcome || m.Type() == syncproto.TypeStatements) { // the device showed its key
		c.guard.authenticated()
		c.reading = c.machine.Account()
		c.conn.SetReadLimit(syncproto.MessageBytesMax)
	}
	l := c.server.conf.Limits
	ctx, cancel := context.WithTimeout(c.ctx, l.MessageGrace+time.Duration(len(b)/l.BytesPerSecond)*time.Second)
	defer cancel()
	if err := c.conn.Write(ctx, b); err != nil {
		return err
	}
	c.server.metrics.message("out", m.Type(), len(b))
	syncproto.Free(b)
	if chunk, ok := m.(*syncproto.Chunk); ok { // as the store gave it
		syncproto.Free(chunk.Body)
	}
	return nil
}

// hangUp does the closing handshake. The reader goes on meanwhile, so that the
// device's last messages do not block its close. A device may take its time for
// it: memory that others wait for is given back before.
func (c *session) hangUp(code syncproto.Code) {
	c.handled()
	c.answered()
	if c.step != nil {
		return
	}
	go func() {
		for m := range c.inbox {
			m.done()
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
