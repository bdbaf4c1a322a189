package agent

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// Times of one session.
const (
	dialMax      = 45 * time.Second
	handshakeMax = 30 * time.Second
	expireFirst  = time.Minute // in sync before the trash is looked at
	expireEvery  = 6 * time.Hour
	expireMax    = 200             // records purged at once
	farewellMax  = 2 * time.Second // for what is still to be sent when a session ends
)

// session is one connection: socket, machine and store joined in one loop. Only
// the goroutine of loop touches it, but for the channels and the keeper.
type session struct {
	a       *Agent
	conn    *ws.Conn
	machine *syncproto.DeviceSession
	leaf    *x509.Certificate // the server's, with TLS
	local   context.Context   // for the store: a session that is stopped ends its step

	inbox  chan inbound
	outbox chan [][]byte // messages that go out without a pause between them
	queued [][]byte      // for the next of them
	broken chan error    // the writer or the keeper found the connection dead; holds one
	timers chan syncproto.DeviceTimerID
	armed  map[syncproto.DeviceTimerID]*time.Timer
	set    func(syncproto.DeviceSetTimer) // of a Stepper: takes the timers instead
	keeper *keeper

	space      <-chan time.Time        // pieces of pictures wait for room; nil while there is some
	missed     map[record.Kind]*missed // versions that the cloud had and lost, as this session found
	lostPieces lostPieces              // pieces of pictures, alike
	chunks     loader                  // gives those that go out
	buffer     []byte                  // of the reader, for the next large message

	end   ending
	done  bool
	dead  bool  // the connection is lost: no farewell
	cause error // why the writer or the keeper gave the connection up
}

type inbound struct {
	m   syncproto.Message
	err error
}

// session opens one connection and stays in it until it ends.
func (a *Agent) session(ctx context.Context, what purpose) ending {
	a.setCloud(func(c *CloudStatus) { c.State, c.Retry = StateConnecting, nil })
	s := &session{
		a: a, local: context.WithoutCancel(ctx), inbox: make(chan inbound, 4), outbox: make(chan [][]byte, 64),
		broken: make(chan error, 1), timers: make(chan syncproto.DeviceTimerID, 4), armed: map[syncproto.DeviceTimerID]*time.Timer{},
		chunks: loader{store: a.cfg.Store, keys: a.keys},
	}
	defer a.cfg.Store.EndSession()
	began := time.Now()
	end := s.run(ctx, what)
	end.lasted = time.Since(began)
	switch syncproto.CodeOf(end.err) {
	case syncproto.CodeBadMessage, syncproto.CodeUnknownType, syncproto.CodeTooLarge, syncproto.CodeOutOfOrder, syncproto.CodeBadChunk:
		end.good = false
	}
	a.mu.Lock()
	a.lastErr = end.err
	a.mu.Unlock()
	a.setViews(nil)
	a.setCloud(func(c *CloudStatus) {
		c.State = StateConnecting
		if text := end.text(); text != "" {
			c.Error = text
			// What kept it from the cloud is over when the cloud lets it in. A full cloud,
			// or a full handset, is told until nothing is left to do.
			if end.lasting() {
				a.lasting = text
			}
		}
	})
	a.mailed(inbound{err: unserved(end.err)})
	return end
}

func (s *session) run(ctx context.Context, what purpose) ending {
	s.keeper = newKeeper(nil, s.a.memory.ping())
	conn, err := s.dial(ctx)
	if err != nil {
		return ending{err: err, retry: syncproto.RetryBackoff}
	}
	s.conn, s.keeper.conn = conn, conn
	// Only now: a token drawn for every attempt that reaches nobody would push
	// the one that the cloud may have stored off the list.
	if err := s.prepare(what); err != nil {
		conn.CloseNow()
		return ending{local: err, retry: syncproto.RetryBackoff}
	}
	ctx, cancel := context.WithCancel(ctx)
	background, stop := context.WithCancel(s.local)
	readerDone, writerDone, keeperDone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() { defer close(readerDone); s.read(background) }()
	go func() { defer close(writerDone); s.write(background) }()
	go func() { defer close(keeperDone); s.keeper.run(background, s.report) }()

	s.loop(ctx)
	s.chunks.wait()

	cancel()
	close(s.outbox)
	if !s.dead {
		select { // let the farewell out
		case <-writerDone:
			conn.Close(ws.StatusNormal, "")
		case <-time.After(farewellMax):
		}
	}
	stop()
	conn.CloseNow()
	<-readerDone
	<-writerDone
	<-keeperDone
	for _, t := range s.armed {
		t.Stop()
	}
	if err := s.a.memory.sawPing(s.keeper.learned()); err != nil {
		s.a.cfg.Log.Warn("keep the ping interval", "error", err)
	}
	return s.end
}

// prepare draws the claim and builds the machine.
func (s *session) prepare(what purpose) error {
	a := s.a
	claim, err := a.cfg.Store.BeginClaim(s.local)
	if err != nil {
		return err
	}
	held, err := a.held(s.local)
	if err != nil {
		return err
	}
	c := syncproto.DeviceClaim{Replica: claim.Replica, Counter: claim.Counter}
	if claim.Last != nil {
		c.Last = syncproto.Token(*claim.Last)
	}
	for _, t := range claim.Pending {
		c.Pending = append(c.Pending, syncproto.Token(t))
	}
	// Also when the agent began: a home that was copied, or lost its file, knows
	// at least its own chain.
	if _, err := a.known.Add(seal.StatementsOf(a.cfg.Identity.Chain)...); err != nil && !leftOut(err) {
		return err
	}
	s.machine = syncproto.NewDeviceSession(syncproto.DeviceConfig{
		Statements: a.known.Statements().Digest(), Doubt: a.known.Ended(a.cfg.Identity) != nil,
		Identity: a.cfg.Identity, Origin: a.target.origin, Versions: a.cfg.Versions, LeastVersion: a.memory.version(a.target.origin),
		// Who was in a session before holds data that a new cloud may lack.
		Create: a.cfg.Create || held.Epoch != syncproto.Epoch{}, Once: what != toFollow, Greet: what == toGreet, Claim: c, Admission: a.cfg.Admission,
		Held: held,
	})
	return nil
}

func (s *session) dial(ctx context.Context) (*ws.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialMax)
	defer cancel()
	dial := s.a.cfg.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	heard := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return heardConn{c, s.keeper.heard}, nil
	}
	conn, err := ws.Dial(ctx, s.a.target.url, ws.DialOptions{
		ReadLimit: syncproto.MessageBytesMax, TLS: s.a.tlsConfig(&s.leaf), DialContext: heard,
	})
	if err != nil {
		return nil, s.a.notDialed(err)
	}
	return conn, nil
}

// notDialed gives the error of a connection that did not come about.
func (a *Agent) notDialed(err error) error {
	if errors.Is(err, ws.ErrRedirect) || errors.Is(err, ws.ErrSubprotocol) {
		return fmt.Errorf("%w: %w: %w", ErrRefused, ErrNoCloud, err)
	}
	return a.unreachable(err)
}

// unreachable says why no connection came about, as far as a person can act on it.
func (a *Agent) unreachable(err error) error {
	var status *ws.StatusError
	var record tls.RecordHeaderError
	var cert *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &status) && status.Status < 500, errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: %w: %w", ErrNotReachable, ErrNoCloud, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w: %w: this device believes that it is %s: %w", ErrNotReachable, ErrCertificate, a.now().UTC().Format(time.DateOnly), err)
	case errors.As(err, &cert), errors.Is(err, ws.ErrPin):
		return fmt.Errorf("%w: %w: %w", ErrNotReachable, ErrCertificate, err)
	}
	return fmt.Errorf("%w: %w", ErrNotReachable, err)
}

// hello begins the session.
func (s *session) hello() {
	var nonce syncproto.Nonce
	if _, err := io.ReadFull(s.a.cfg.Rand, nonce[:]); err != nil {
		s.fault(fmt.Errorf("draw a nonce: %w", err))
		return
	}
	s.handle(syncproto.DeviceOpened{Nonce: nonce})
}

// loop feeds the machine until it closes or the connection is lost.
func (s *session) loop(ctx context.Context) {
	s.hello()
	stop := ctx.Done()
	var deadline <-chan time.Time
	handshake := time.NewTimer(handshakeMax)
	defer handshake.Stop()
	expire := time.NewTimer(expireFirst)
	defer expire.Stop()
	sample := time.NewTimer(sampleFirst)
	defer sample.Stop()
	for !s.done {
		s.keeper.expect(s.machine.Expecting())
		select {
		case in := <-s.inbox:
			if in.err != nil {
				s.lost(cmp.Or(s.cause, in.err))
				break
			}
			s.handle(syncproto.DeviceReceived{Message: in.m})
		case err := <-s.broken:
			// What was read before that is still handed over, then the end.
			s.cause = err
			s.conn.CloseNow()
		case <-s.a.cfg.Store.Wake():
			s.handle(syncproto.DeviceChanged{})
		case <-s.a.kicked:
			s.handle(syncproto.DeviceCheck{})
			if s.a.prove.Swap(false) {
				s.handle(syncproto.DeviceSample{})
			}
		case m := <-s.mailOut():
			s.handle(syncproto.DeviceMail{Message: m})
		case t := <-s.timers:
			s.handle(syncproto.DeviceTimer{Timer: t})
		case <-handshake.C:
			if len(s.machine.Kinds()) == 0 {
				s.lost(errors.New("no answer in the handshake"))
			}
		case <-expire.C:
			expire.Reset(s.expire())
		case <-sample.C:
			sample.Reset(s.sampleDue())
		case <-s.space:
			s.lookForRoom()
		case <-stop:
			stop = nil
			deadline = time.After(farewellMax)
			s.handle(syncproto.DeviceStop{})
		case <-deadline:
			s.lost(context.Cause(ctx))
		}
	}
}

// mailOut is the channel of messages of an invite; nil before there is a session.
func (s *session) mailOut() <-chan syncproto.Message {
	if s.machine.Epoch() == (syncproto.Epoch{}) {
		return nil
	}
	return s.a.mailOut
}

// expire empties the trash of what has been there long enough, if all is in
// sync, and returns when to look again.
func (s *session) expire() time.Duration {
	for _, v := range s.machine.Kinds() {
		if !v.Proven {
			return expireFirst
		}
	}
	if len(s.machine.Kinds()) == 0 {
		return expireFirst
	}
	n, err := s.a.cfg.Store.Expire(s.local, expireMax)
	if err != nil {
		s.fault(err)
		return expireEvery
	}
	if n == 0 {
		return expireEvery
	}
	s.handle(syncproto.DeviceChanged{})
	return expireFirst
}

// handle gives one event to the machine, and the results of what it asks for,
// until it has nothing more to ask.
func (s *session) handle(e syncproto.DeviceEvent) {
	for e != nil && !s.done {
		actions := s.machine.Handle(e)
		e = nil
		for _, a := range actions {
			if _, more := a.(syncproto.DeviceSend); !more {
				s.flush()
			}
			result, err := s.perform(a)
			if err != nil {
				s.fault(err)
				return
			}
			if result != nil {
				e = result
			}
		}
		s.flush()
	}
}

// fault ends the session because the store failed.
func (s *session) fault(err error) {
	if !s.done {
		s.done = true
		s.end.local, s.end.retry = err, syncproto.RetryBackoff
	}
}

// lost ends the session because the connection did.
func (s *session) lost(err error) {
	if s.done {
		return
	}
	for _, a := range s.machine.Handle(syncproto.DeviceLost{}) {
		if _, perr := s.perform(a); perr != nil {
			s.fault(perr)
			return
		}
	}
	s.done, s.dead = true, true
	s.end.err, s.end.retry = fmt.Errorf("%w: %w", ErrNotReachable, err), syncproto.RetryBackoff
	var protocol *syncproto.Error
	if errors.As(err, &protocol) {
		s.end.err = err
	}
}

// closed ends the session as the machine says.
func (s *session) closed(c syncproto.DeviceClose) {
	s.done = true
	s.end.retry, s.end.seconds = c.Retry, c.Seconds
	if c.Err == nil {
		return
	}
	switch syncproto.CodeOf(c.Err) {
	case syncproto.CodeVersion:
		s.end.err = fmt.Errorf("%w: %w: %w", ErrRefused, ErrVersion, c.Err)
	case syncproto.CodeRefused, syncproto.CodeLimits:
		s.end.err = fmt.Errorf("%w: %w", ErrRefused, c.Err)
	case syncproto.CodeRevoked:
		s.end.err = ErrRevoked
	case syncproto.CodeUnknownAccount:
		s.end.err = fmt.Errorf("%w: %w", ErrUnknownAccount, c.Err)
	default:
		s.end.err = c.Err
	}
}

// read hands messages to the loop. It alone reads the connection.
func (s *session) read(ctx context.Context) {
	for {
		// Waiting for a message is the keeper's; one that has begun must end.
		b, err := s.conn.ReadPaced(ctx, ws.Pace{
			Grace: writeLeast, BytesPerSecond: slowestBytesPerSecond,
			SmallBytes: smallBytes, Large: func() ([]byte, error) { return s.buffer, nil },
		})
		var in inbound
		if err != nil {
			in.err = err
		} else {
			in.m, in.err = syncproto.Decode(b)
			if cap(b) > cap(s.buffer) && cap(b) <= bufferMost { // a message shares nothing with what it was read from
				s.buffer = b
			}
		}
		s.keeper.progress()
		s.keeper.pause(true) // no pong is seen while nobody reads
		select {
		case s.inbox <- in:
		case <-ctx.Done():
			return
		}
		s.keeper.pause(false)
		if in.err != nil {
			return
		}
	}
}

// Messages above smallBytes are read into a buffer that is kept for the next one,
// up to bufferMost.
const (
	smallBytes = 8 << 10
	bufferMost = 128 << 10
)

// Slowest network on which a message still goes through, and what any gets.
const (
	slowestBytesPerSecond = 1024
	writeLeast            = 30 * time.Second
)

// messageMost is the time for a message of so many bytes, either way.
func messageMost(bytes int) time.Duration {
	return writeLeast + time.Duration(bytes/slowestBytesPerSecond)*time.Second
}

// write sends what the loop queued. It alone writes messages.
func (s *session) write(ctx context.Context) {
	for messages := range s.outbox {
		for _, b := range messages {
			s.keeper.pause(true) // a ping behind a large write would time out
			wctx, cancel := context.WithTimeout(ctx, messageMost(len(b)))
			err := s.conn.Write(wctx, b)
			cancel()
			s.keeper.pause(false)
			if err != nil {
				s.report(err)
				for range s.outbox { // the loop must not block
				}
				return
			}
			syncproto.Free(b)
		}
	}
}

// report tells the loop that the connection is dead; only the first counts.
func (s *session) report(err error) {
	if errors.Is(err, net.ErrClosed) {
		err = io.ErrUnexpectedEOF
	}
	select {
	case s.broken <- err:
	default:
	}
}

// send queues one message. The windows of the protocol keep the queue short.
func (s *session) send(m syncproto.Message) error {
	b, err := syncproto.Encode(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", m.Type(), err)
	}
	s.queued = append(s.queued, b)
	if chunk, ok := m.(*syncproto.Chunk); ok { // as the loader sealed it
		syncproto.Free(chunk.Body)
	}
	return nil
}

// flush hands what was queued to the writer.
func (s *session) flush() {
	if len(s.queued) > 0 {
		s.outbox <- s.queued
		s.queued = nil
	}
}

// arm starts a timer of the machine.
func (s *session) arm(t syncproto.DeviceSetTimer) {
	if s.set != nil {
		s.set(t)
		return
	}
	if old := s.armed[t.Timer]; old != nil {
		old.Stop()
	}
	s.armed[t.Timer] = time.AfterFunc(time.Duration(t.Millis)*time.Millisecond, func() {
		select {
		case s.timers <- t.Timer:
		default: // the loop is behind by more timers than there are
		}
	})
}
