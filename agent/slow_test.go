package agent

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// pipes is a network without packets: each dial is a connection to the cloud.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}

	mu    sync.Mutex // guards what follows
	ends  []net.Conn
	dials []time.Time
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "127.0.0.1:1" }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	p.mu.Lock()
	p.dials, p.ends = append(p.dials, time.Now()), append(p.ends, here, there)
	p.mu.Unlock()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.ends {
		c.Close()
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

// trickle writes a byte each second until the other end has enough.
func trickle(c net.Conn, b []byte) {
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// frame is the beginning of a binary message of n bytes, as a server sends it
// (RFC 6455 section 5.2), and its bytes, which mean nothing.
func frame(n int) []byte {
	return append([]byte{0x82, 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, bytes.Repeat([]byte{1}, n)...)
}

// upgrade takes the connection over after the upgrade to a websocket.
func upgrade(t *testing.T, w http.ResponseWriter, r *http.Request) (*ws.Conn, net.Conn) {
	var raw net.Conn
	c, err := ws.Accept(hijacked{w, &raw}, r, syncproto.MessageBytesMax)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	return c, raw
}

// hijacked remembers the connection below a websocket.
type hijacked struct {
	http.ResponseWriter
	raw *net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	*h.raw = c
	return c, rw, err
}

// pushed lets a device in, whoever it is, and reports whether it has pushed.
func pushed(t *testing.T, c *ws.Conn) bool {
	for {
		b, err := c.Read(context.Background())
		if err != nil {
			return false
		}
		m, err := syncproto.Decode(b)
		if err != nil {
			t.Error(err)
			return false
		}
		switch m := m.(type) {
		case *syncproto.Hello:
			b, err = syncproto.Encode(&syncproto.Challenge{Version: syncproto.ProtocolVersion})
		case *syncproto.Auth:
			b, err = syncproto.Encode(&syncproto.Welcome{Epoch: syncproto.Epoch{1}, Limits: syncproto.DefaultLimits(), Time: uint64(time.Now().Unix())})
		case *syncproto.Statements:
			b, err = syncproto.Encode(&syncproto.Statements{Set: m.Set})
		case *syncproto.Prove:
			b, err = syncproto.Encode(&syncproto.Proof{ID: m.ID})
		case *syncproto.Range: // it has nothing
			b, err = syncproto.Encode(&syncproto.Range{ID: m.ID, Kind: m.Kind, Lower: []byte{}, Spans: []syncproto.Span{{Upper: []byte{}, Mode: syncproto.RangeList}}})
		case *syncproto.Push:
			return true
		default:
			t.Errorf("it sends a %s", m.Type())
			return false
		}
		if err == nil {
			err = c.Write(context.Background(), b)
		}
		if err != nil {
			t.Error(err)
			return false
		}
	}
}

// swallow reads whatever comes, and answers nothing.
func swallow(c *ws.Conn) {
	for {
		if _, err := c.Read(context.Background()); err != nil {
			return
		}
	}
}

// A cloud may be as slow as it likes: each session ends within its bound, the
// pauses between sessions grow and have no end, nothing is lost, nothing is
// called in sync. Three hours of the agent, on a clock of the test.
func TestSlowClouds(t *testing.T) {
	const lasts = 3 * time.Hour
	for _, c := range []struct {
		name string
		most time.Duration // of a session
		// proves says that the kinds of which nobody has anything are proven equal.
		proves bool
		serve  func(t *testing.T, w http.ResponseWriter, r *http.Request)
	}{
		{"no answer to the upgrade", dialMax, false, func(_ *testing.T, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"a trickled answer to the upgrade", dialMax, false, func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				trickle(conn, bytes.Repeat([]byte("HTTP/1.1 101 "), 100))
			}
		}},
		{"no answer to hello", handshakeMax, false, func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			if conn, _ := upgrade(t, w, r); conn != nil {
				swallow(conn)
			}
		}},
		{"a trickled challenge", messageMost(syncproto.MessageBytesMax), false, func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			if conn, raw := upgrade(t, w, r); conn != nil {
				go swallow(conn)
				trickle(raw, frame(100_000))
			}
		}},
		{"no acknowledgement", answerMost + pingMost, true, func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			if conn, _ := upgrade(t, w, r); conn != nil && pushed(t, conn) {
				swallow(conn)
			}
		}},
		{"a trickled acknowledgement", messageMost(syncproto.MessageBytesMax), true, func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			if conn, raw := upgrade(t, w, r); conn != nil && pushed(t, conn) {
				go swallow(conn)
				trickle(raw, frame(100_000))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A compressor that idles in its pool belongs to the bubble in which it was
			// made; the second collection takes it away.
			runtime.GC()
			runtime.GC()
			synctest.Test(t, func(t *testing.T) {
				net := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				var serving sync.WaitGroup
				srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					serving.Add(1)
					defer serving.Done()
					c.serve(t, w, r)
				})}
				serving.Go(func() { srv.Serve(net) })
				store, a := slowAgent(t, net)
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				if err := a.Run(ctx); err != nil {
					t.Error(err)
				}
				st, err := store.Status(t.Context())
				if err != nil || st.Kinds[record.Contacts].Unsynced != 1 || !st.Kinds[record.Contacts].Cloud.ProvenAt.IsZero() {
					t.Errorf("the contact: %+v, %v", st.Kinds[record.Contacts], err)
				}
				if err := store.Close(); err != nil {
					t.Error(err)
				}
				srv.Close()
				serving.Wait()
				net.judge(t, c.most, lasts, c.proves)
			})
		})
	}
}

func slowIdentity(t *testing.T) *seal.Identity {
	t.Helper()
	secret, err := seal.NewSecret(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := seal.NewIdentity(secret, bytes.NewReader(bytes.Repeat([]byte{9}, 256)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// slowAgent is an agent with one contact to give.
func slowAgent(t *testing.T, n *pipes) (*localstore.Store, *Agent) {
	t.Helper()
	id := slowIdentity(t)
	store, err := localstore.Open(t.Context(), t.TempDir(), localstore.Options{Hasher: id.Keys(), Poll: true})
	if err != nil {
		t.Fatal(err)
	}
	contact := id.Keys().RecordID(record.Contacts, "1")
	if err := store.Put(t.Context(), record.Contacts, contact, []record.Field{{Key: "FN", Line: []byte("FN:Ada Lovelace")}}); err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{Store: store, Identity: id, CloudURL: "ws://127.0.0.1:1", Create: true, DialContext: n.dial})
	if err != nil {
		t.Fatal(err)
	}
	return store, a
}

// judge looks at how often the device came: session and pause after pause, both
// within their bounds, to the end.
func (p *pipes) judge(t *testing.T, most, lasts time.Duration, proves bool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.dials)
	if least := int(lasts / (most + 2*pauseMax)); n < least {
		t.Errorf("it came %d times in %v, at least %d are due", n, lasts, least)
	}
	for i := 1; i < n; i++ {
		if gap := p.dials[i].Sub(p.dials[i-1]); gap > most+2*pauseMax+time.Minute {
			t.Errorf("time %d: %v after the one before", i, gap)
		}
	}
	// Pauses grow to a mean of five minutes, but for sessions that proved something:
	// each quickEvery one of these begins anew, and the pause after it is the first.
	if most := quickMax + 2*int(lasts/quickEvery); n > most {
		t.Errorf("it came %d times in %v, more than %d", n, lasts, most)
	}
	if most := int(lasts/time.Minute) / 2; !proves && n > most {
		t.Errorf("it came %d times in %v and proved nothing, more than %d", n, lasts, most)
	}
}
