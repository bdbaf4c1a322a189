package cloud

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// preAuthTotalBytes bounds everything that a connection sends before it is
// authenticated: TLS handshake, HTTP request, hello and auth.
const preAuthTotalBytes = 24 << 10

// front is a listener that knows which of its connections have authenticated,
// and bounds those that have not: in number, in time, in bytes, and by address.
type front struct {
	net.Listener
	limits  Limits
	proxies []netip.Prefix
	metrics *metrics

	mu       sync.Mutex // guards what follows
	strange  list.List  // of *guarded that have not authenticated, oldest first
	visitors visitors
}

func newFront(l net.Listener, limits Limits, proxies []netip.Prefix, m *metrics) *front {
	return &front{Listener: l, limits: limits, proxies: proxies, metrics: m, visitors: visitors{limits: limits, by: map[netip.Prefix]*visitor{}}}
}

// Accept implements net.Listener. A connection of an address that has had its
// share is closed without a word.
func (f *front) Accept() (net.Conn, error) {
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := f.admit(conn); g != nil {
			return g, nil
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) // keep nothing of it
		}
		conn.Close()
	}
}

func (f *front) admit(conn net.Conn) *guarded {
	g := &guarded{Conn: conn, front: f}
	if from := addressOf(conn.RemoteAddr()); within(f.proxies, from) {
		g.proxied = true
	} else if from.IsValid() {
		g.from = grouped(from)
	}
	f.mu.Lock()
	if !f.visitors.enter(g.from, time.Now()) {
		f.mu.Unlock()
		f.metrics.turnedAway.WithLabelValues("address").Inc()
		return nil
	}
	g.place = f.strange.PushBack(g)
	var oldest *guarded
	if f.strange.Len() > f.limits.Unauthenticated {
		oldest = f.strange.Front().Value.(*guarded)
	}
	g.life = time.AfterFunc(f.limits.AuthTime, func() {
		f.metrics.turnedAway.WithLabelValues("time").Inc()
		g.Close()
	})
	f.mu.Unlock()
	if oldest != nil {
		f.metrics.turnedAway.WithLabelValues("oldest").Inc()
		oldest.Close()
	}
	return g
}

// attribute counts a connection of a trusted proxy as one of the address that it
// forwards for. It reports false if that address has had its share.
func (f *front) attribute(g *guarded, h http.Header) bool {
	if f == nil || !g.proxied {
		return true
	}
	from := grouped(forwardedFor(h, f.proxies))
	f.mu.Lock()
	defer f.mu.Unlock()
	if g.place == nil || g.from.IsValid() {
		return true
	}
	if !f.visitors.enter(from, time.Now()) {
		f.metrics.turnedAway.WithLabelValues("address").Inc()
		return false
	}
	g.from = from
	return true
}

// guarded is a connection of a front.
type guarded struct {
	net.Conn
	front   *front
	proxied bool

	known atomic.Bool // authenticated
	came  int         // bytes before that; the reader's own

	life  *time.Timer // front.mu guards these; ends it, unless it authenticates
	from  netip.Prefix
	place *list.Element // in front.strange
	gone  bool
}

var errPreAuth = errors.New("too much was sent before authentication")

// Read implements net.Conn.
func (g *guarded) Read(b []byte) (int, error) {
	if g.known.Load() {
		g.Conn.SetReadDeadline(time.Now().Add(g.front.limits.Silence))
		return g.Conn.Read(b)
	}
	left := preAuthTotalBytes - g.came
	if left <= 0 {
		return 0, errPreAuth
	}
	n, err := g.Conn.Read(b[:min(len(b), left)])
	g.came += n
	return n, err
}

// authenticated says that a device of an account speaks on the connection.
func (g *guarded) authenticated() {
	if g == nil {
		return
	}
	g.known.Store(true)
	f := g.front
	f.mu.Lock()
	defer f.mu.Unlock()
	g.life.Stop()
	if g.place != nil {
		f.strange.Remove(g.place)
		g.place = nil
		f.visitors.known(g.from)
	}
	// A read that is under way has no deadline yet.
	g.Conn.SetReadDeadline(time.Now().Add(f.limits.Silence))
}

// Close implements net.Conn.
func (g *guarded) Close() error {
	f := g.front
	f.mu.Lock()
	g.life.Stop()
	if !g.gone {
		g.gone = true
		f.visitors.leave(g.from, g.place == nil)
		if g.place != nil {
			f.strange.Remove(g.place)
			g.place = nil
		}
	}
	f.mu.Unlock()
	return g.Conn.Close()
}

type guardKey struct{}

// withGuard is an http.Server's ConnContext.
func withGuard(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, guardKey{}, c)
}

// guardOf returns the connection of a request, or nil if no front accepted it.
func guardOf(r *http.Request) *guarded {
	g, _ := r.Context().Value(guardKey{}).(*guarded)
	return g
}
