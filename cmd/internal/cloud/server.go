package cloud

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// Defaults of Config.
const (
	DrainTimeDefault = 10 * time.Second
	expireEvery      = 24 * time.Hour
	requestTimeout   = 10 * time.Second
	headerBytesMax   = 4 * 1024 // and what net/http adds
	// The device keeps the connection alive, at the pace that its network needs;
	// the cloud only finds out in the end about those that vanished.
	keepAliveIdle = 30 * time.Minute
)

// Config is what a server needs. Store, and Origins or a loopback listener, are
// required; the rest has defaults.
type Config struct {
	Store cloudstore.Store
	// Origins are the addresses that devices are configured with, such as
	// wss://cloud.example.org. A device signs the one it was given.
	Origins   []string
	Admit     Admitter      // nil means AdmitNone
	Metrics   bool          // serve /metrics beside /sync
	Limits    Limits        // what clients can make the server hold
	DrainTime time.Duration // for sessions to end; 0 means DrainTimeDefault
	// Proxies are the addresses of reverse proxies whose X-Forwarded-For is
	// believed. Nil means that every client's own address counts.
	Proxies []netip.Prefix
	// ScrubEvery is the time between two passes of the scrub, 0 means
	// ScrubEveryDefault, negative never; ScrubBytes is what it reads in a second,
	// 0 means ScrubBytesDefault.
	ScrubEvery time.Duration
	ScrubBytes int
	// MailboxTime is how long the mailbox of an invite is open: 0 means the
	// MailboxSeconds of the protocol, more than that is not.
	MailboxTime time.Duration
	// Protocol is what the cloud declares in its welcome, and keeps; nil means
	// syncproto.DefaultLimits.
	Protocol syncproto.Limits
	Log      *slog.Logger // nil means silence
	Rand     io.Reader    // nil means crypto/rand
}

// Server is a cloud. Its methods may be called from any goroutine.
type Server struct {
	conf      Config
	origins   []string
	hub       *hub
	rosters   *rosters
	mailboxes *mailboxes
	metrics   *metrics
	draining  chan struct{}

	// What accounts share: memory for messages that come, for commits and for
	// answers that go out, and the places of those that write in bulk.
	receiving, committing, sending *fair
	reseeds                        *reseeds

	mu       sync.Mutex // guards what follows
	stopping bool
	open     int // connections
	turns    turns
	sessions map[*session]bool
	all      sync.WaitGroup
}

// ErrOrigins is wrapped by New's error when no origin is configured.
var ErrOrigins = errors.New("no origin is configured")

// New returns a server that listens nowhere yet.
func New(c Config) (*Server, error) {
	if c.Admit == nil {
		c.Admit = AdmitNone{}
	}
	var err error
	if c.Limits, err = c.Limits.Filled(); err != nil {
		return nil, fmt.Errorf("new server: %w", err)
	}
	if c.DrainTime == 0 {
		c.DrainTime = DrainTimeDefault
	}
	if c.ScrubEvery == 0 {
		c.ScrubEvery = ScrubEveryDefault
	}
	if c.ScrubBytes <= 0 {
		c.ScrubBytes = ScrubBytesDefault
	}
	if c.MailboxTime <= 0 || c.MailboxTime > syncproto.MailboxSeconds*time.Second {
		c.MailboxTime = syncproto.MailboxSeconds * time.Second
	}
	if c.Protocol == nil { // one for all sessions
		c.Protocol = syncproto.DefaultLimits()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	l := c.Limits
	s := &Server{conf: c, hub: newHub(), rosters: newRosters(c.Store), mailboxes: newMailboxes(), metrics: newMetrics(), draining: make(chan struct{}), sessions: map[*session]bool{},
		receiving: newFair(l.receive(), max(l.receive()/8, receiveBytes)), sending: newFair(l.send(), max(l.send()/8, sendBytes)),
		committing: newFair(l.commit(), max(l.commit()/4, commitBytesEach)), reseeds: newReseeds(l.Reseeds, l.BulkQuiet), turns: turns{least: busyLeast}}
	if len(c.Origins) == 0 {
		return nil, fmt.Errorf("new server: %w", ErrOrigins)
	}
	for _, o := range c.Origins {
		origin, err := seal.Origin(o)
		if err != nil {
			return nil, fmt.Errorf("new server: origin %s: %w", o, err)
		}
		s.origins = append(s.origins, origin)
	}
	return s, nil
}

// LoopbackOrigins returns the origins under which a device on the same machine
// reaches a loopback listener, or nil if addr is not a loopback address.
func LoopbackOrigins(addr net.Addr, secure bool) []string {
	a, ok := addr.(*net.TCPAddr)
	if !ok || !a.IP.IsLoopback() {
		return nil
	}
	scheme := "ws"
	if secure {
		scheme = "wss"
	}
	var origins []string
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
		origins = append(origins, fmt.Sprintf("%s://%s:%d", scheme, host, a.Port))
	}
	return origins
}

// Listen opens a TCP listener for Run.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: time.Minute, Count: 5}}
	return lc.Listen(ctx, "tcp", addr)
}

// Handler returns the handler of /sync, /healthz and, if configured, /metrics.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sync", s.serveSync)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	if s.conf.Metrics {
		mux.Handle("GET /metrics", s.metrics.handler())
	}
	return mux
}

// MetricsHandler returns the handler of metrics alone, for another listener.
func (s *Server) MetricsHandler() http.Handler { return s.metrics.handler() }

// Run serves a listener until ctx ends, then drains: no new session, a bye to
// each that is open, and returns when all have ended. tlsConf is nil for plain
// connections. The store stays open.
func (s *Server) Run(ctx context.Context, l net.Listener, tlsConf *tls.Config) error {
	l = newFront(l, s.conf.Limits, s.conf.Proxies, s.metrics)
	if tlsConf != nil {
		tlsConf = tlsConf.Clone()
		tlsConf.MinVersion = tls.VersionTLS13
		tlsConf.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, tlsConf)
	}
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: requestTimeout, MaxHeaderBytes: headerBytesMax, IdleTimeout: requestTimeout,
		ConnContext:  withGuard,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:     slog.NewLogLogger(s.conf.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	expire, stopExpire := context.WithCancel(ctx)
	var house sync.WaitGroup
	house.Go(func() { s.expire(expire) })
	house.Go(func() { s.scrub(expire) })
	house.Go(func() { s.watch(expire) })
	var err error
	select {
	case err = <-served:
		s.Drain()
	case <-ctx.Done():
		s.Drain()
		stop, cancel := context.WithTimeout(context.Background(), time.Second)
		server.Shutdown(stop)
		cancel()
		<-served
	}
	server.Close()
	stopExpire()
	house.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// Drain ends all sessions with a bye, refuses new ones, and returns when all
// have ended. A session that takes longer than DrainTime is cut. Draining twice
// is harmless.
func (s *Server) Drain() {
	s.mu.Lock()
	if !s.stopping {
		s.stopping = true
		close(s.draining)
	}
	s.mu.Unlock()
	late := time.AfterFunc(s.conf.DrainTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.sessions {
			c.cancel()
		}
	})
	defer late.Stop()
	s.all.Wait()
}

func (s *Server) track(c *session, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.sessions[c] = true
		collect(len(s.sessions), true)
	} else {
		delete(s.sessions, c)
		collect(len(s.sessions), false)
	}
}

// expire removes what was kept long enough, now and once a day.
func (s *Server) expire(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		if n, err := s.conf.Store.Expire(ctx); err != nil && ctx.Err() == nil {
			s.conf.Log.Error("expiry of dominated versions failed", "error", err)
		} else if n > 0 {
			s.conf.Log.Info("dominated versions expired", "count", n)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ok\n")
}

// begin counts a connection in. wait is not 0 if there are too many: the time
// after which to come back.
func (s *Server) begin() (ok bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false, 0
	}
	s.open++
	s.all.Add(1)
	if s.open > s.conf.Limits.Sessions {
		wait = spread(s.turns.next(time.Now(), busyStep), mathrand.Float64)
	}
	return true, wait
}

func (s *Server) end() {
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
	s.all.Done()
}

func (s *Server) serveSync(w http.ResponseWriter, r *http.Request) {
	guard := guardOf(r)
	if guard != nil && !guard.front.attribute(guard, r.Header) {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many connections from this address", http.StatusTooManyRequests)
		return
	}
	ok, wait := s.begin()
	if !ok {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	// A little more than the limit, so that the machine can say what was wrong.
	conn, err := ws.Accept(w, r, syncproto.PreAuthBytesMax+64)
	if err != nil {
		s.conf.Log.Debug("no session", "error", err)
		s.end()
		return
	}
	var nonce syncproto.Nonce
	if _, err := io.ReadFull(s.conf.Rand, nonce[:]); err != nil {
		s.conf.Log.Error("no randomness", "error", err)
		conn.CloseNow()
		s.end()
		return
	}
	c := newSession(s, conn, guard, nonce)
	// On a goroutine of its own, so that all that the request took is free again.
	go func() {
		defer s.end()
		c.run(wait)
	}()
}
