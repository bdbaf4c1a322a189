package hostile

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sidekeep/agent"
	"sidekeep/syncproto"
	"sidekeep/syncproto/ws"
)

// script is how a hostile cloud lies. Both hooks get each message on its way
// and say whether it goes on; nil passes everything. They may change it, or say
// other things with the methods of talk.
type script struct {
	begin func(*talk)                         // before anything is said
	up    func(*talk, syncproto.Message) bool // from the device
	down  func(*talk, syncproto.Message) bool // from the cloud
}

// liar is a cloud that lies: a websocket server that hands everything to a real
// cloud and back, but for what its script changes.
type liar struct {
	t      testing.TB
	server *httptest.Server
	cloud  string // address of the real one

	mu       sync.Mutex // guards what follows
	script   script
	talks    map[*talk]bool
	sessions int
	up, down map[syncproto.Type]int
	bytes    [2]int // from and to the device
	wg       sync.WaitGroup
}

// talk is one connection of a device to a liar.
type talk struct {
	l             *liar
	n             int // number of the connection, from 0
	ctx           context.Context
	cancel        context.CancelFunc
	device, cloud *ws.Conn
	memory        map[string]any // of the script; only its hooks touch it
	hooks         sync.Mutex     // one hook at a time
}

const relayLimit = 8 << 20

func newLiar(t testing.TB, cloud string, s script) *liar {
	l := &liar{t: t, cloud: cloud, script: s, talks: map[*talk]bool{}, up: map[syncproto.Type]int{}, down: map[syncproto.Type]int{}}
	l.server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(func() {
		l.cut()
		l.server.Close()
		l.wg.Wait()
	})
	return l
}

// through makes a device reach the real cloud's address at the liar: a man in
// the middle whom TLS did not stop.
func (l *liar) through(c *agent.Config) {
	addr := strings.TrimPrefix(l.server.URL, "http://")
	c.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
}

func (l *liar) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.talks {
		k.cancel()
	}
}

func (l *liar) serve(w http.ResponseWriter, r *http.Request) {
	l.wg.Add(1)
	defer l.wg.Done()
	device, err := ws.Accept(w, r, relayLimit)
	if err != nil {
		return
	}
	defer device.CloseNow()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cloud, err := ws.Dial(ctx, "ws://"+l.cloud+"/sync", ws.DialOptions{ReadLimit: relayLimit})
	if err != nil {
		return
	}
	defer cloud.CloseNow()
	k := &talk{l: l, ctx: ctx, cancel: cancel, device: device, cloud: cloud, memory: map[string]any{}}
	l.mu.Lock()
	k.n = l.sessions
	l.sessions++
	l.talks[k] = true
	s := l.script
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.talks, k)
		l.mu.Unlock()
	}()
	if s.begin != nil {
		s.begin(k)
	}
	var wg sync.WaitGroup
	wg.Go(func() { k.relay(device, k.toCloud, s.up, 0, l.up) })
	wg.Go(func() { k.relay(cloud, k.toDevice, s.down, 1, l.down) })
	wg.Wait()
}

// relay hands messages on in one direction until either end is gone.
func (k *talk) relay(from *ws.Conn, to func(syncproto.Message), hook func(*talk, syncproto.Message) bool, way int, counts map[syncproto.Type]int) {
	defer k.cancel()
	for {
		b, err := from.Read(k.ctx)
		if err != nil {
			return
		}
		m, err := syncproto.Decode(b)
		if err != nil {
			k.l.t.Errorf("an honest end said what does not decode: %v", err)
			return
		}
		if way == 0 {
			k.l.mu.Lock()
			counts[m.Type()]++
			k.l.bytes[0] += len(b)
			k.l.mu.Unlock()
		}
		pass := true
		if hook != nil {
			k.hooks.Lock()
			pass = hook(k, m)
			k.hooks.Unlock()
		}
		if pass {
			to(m)
		}
	}
}

func (k *talk) toCloud(m syncproto.Message) {
	if b, err := syncproto.Encode(m); err != nil {
		k.l.t.Errorf("to the cloud: %v", err)
	} else {
		k.cloud.Write(k.ctx, b)
	}
}

// toDevice says a well-formed message.
func (k *talk) toDevice(m syncproto.Message) {
	b, err := syncproto.Encode(m)
	if err != nil {
		k.l.t.Errorf("to the device: %v", err)
		return
	}
	k.l.mu.Lock()
	k.l.down[m.Type()]++
	k.l.mu.Unlock()
	k.raw(b)
}

// raw says any bytes. It reports whether the device still listens.
func (k *talk) raw(b []byte) bool {
	k.l.mu.Lock()
	k.l.bytes[1] += len(b)
	k.l.mu.Unlock()
	return k.device.Write(k.ctx, b) == nil
}

// flood says what next makes, from a goroutine of its own, until the device is gone.
func (k *talk) flood(next func(i int) syncproto.Message) {
	k.l.wg.Go(func() {
		for i := 0; k.ctx.Err() == nil; i++ {
			k.toDevice(next(i))
		}
	})
}

// seen returns what a liar counted: connections, messages and bytes.
func (l *liar) seen() (sessions, up, down, bytesUp, bytesDown int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.up {
		up += n
	}
	for _, n := range l.down {
		down += n
	}
	return l.sessions, up, down, l.bytes[0], l.bytes[1]
}
