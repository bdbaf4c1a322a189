package liar

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"sidekeep/syncproto"
	"sidekeep/syncproto/ws"
)

// Script is how a hostile cloud lies. Both hooks get each message on its way
// and say whether it goes on; nil passes everything. They may change it, or say
// other things with the methods of Talk.
type Script struct {
	Begin func(*Talk)                         // before anything is said
	Up    func(*Talk, syncproto.Message) bool // from the device
	Down  func(*Talk, syncproto.Message) bool // from the cloud
	State bool                                // lets the device name its state; else all is asked for and proven
}

// Liar is a cloud that lies: a websocket server that hands everything to a real
// cloud and back, but for what its script changes. It is an http.Handler.
type Liar struct {
	cloud string      // address of the real one
	fault func(error) // called, from any goroutine, when an honest end does what it must not

	mu       sync.Mutex // guards what follows
	script   Script
	talks    map[*Talk]bool
	sessions int
	up, down map[syncproto.Type]int
	bytes    [2]int // from and to the device
	wg       sync.WaitGroup
}

// Talk is one connection of a device to a liar.
type Talk struct {
	l             *Liar
	n             int // number of the connection, from 0
	ctx           context.Context
	cancel        context.CancelFunc
	device, cloud *ws.Conn
	memory        map[string]any // of the script; only its hooks touch it
	hooks         sync.Mutex     // one hook at a time
}

const relayLimit = 8 << 20

// New makes a liar before the cloud at an address, host:port.
func New(cloud string, s Script, fault func(error)) *Liar {
	return &Liar{cloud: cloud, fault: fault, script: s, talks: map[*Talk]bool{}, up: map[syncproto.Type]int{}, down: map[syncproto.Type]int{}}
}

// Close ends all connections and waits for them. The server that hands requests
// to the liar is closed after that.
func (l *Liar) Close() {
	l.Cut()
	l.wg.Wait()
}

// Cut ends all connections.
func (l *Liar) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.talks {
		k.cancel()
	}
}

// ServeHTTP implements http.Handler: it carries one session.
func (l *Liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	k := &Talk{l: l, ctx: ctx, cancel: cancel, device: device, cloud: cloud, memory: map[string]any{}}
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
	if s.Begin != nil {
		s.Begin(k)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		k.relay(device, func(m syncproto.Message) {
			if a, ok := m.(*syncproto.Auth); ok && !s.State {
				a.State = syncproto.StateDigest{}
			}
			k.toCloud(m)
		}, s.Up, 0, l.up)
	})
	wg.Go(func() { k.relay(cloud, k.ToDevice, s.Down, 1, l.down) })
	wg.Wait()
}

// relay hands messages on in one direction until either end is gone.
func (k *Talk) relay(from *ws.Conn, to func(syncproto.Message), hook func(*Talk, syncproto.Message) bool, way int, counts map[syncproto.Type]int) {
	defer k.cancel()
	for {
		b, err := from.Read(k.ctx)
		if err != nil {
			return
		}
		m, err := syncproto.Decode(b)
		if err != nil {
			k.l.fault(fmt.Errorf("an honest end said what does not decode: %w", err))
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

func (k *Talk) toCloud(m syncproto.Message) {
	if b, err := syncproto.Encode(m); err != nil {
		k.l.fault(fmt.Errorf("to the cloud: %w", err))
	} else {
		k.cloud.Write(k.ctx, b)
	}
}

// ToDevice says a well-formed message.
func (k *Talk) ToDevice(m syncproto.Message) {
	b, err := syncproto.Encode(m)
	if err != nil {
		k.l.fault(fmt.Errorf("to the device: %w", err))
		return
	}
	k.l.mu.Lock()
	k.l.down[m.Type()]++
	k.l.mu.Unlock()
	k.raw(b)
}

// raw says any bytes. It reports whether the device still listens.
func (k *Talk) raw(b []byte) bool {
	k.l.mu.Lock()
	k.l.bytes[1] += len(b)
	k.l.mu.Unlock()
	return k.device.Write(k.ctx, b) == nil
}

// Flood says what next makes, from a goroutine of its own, until the device is gone.
func (k *Talk) Flood(next func(i int) syncproto.Message) {
	k.l.wg.Go(func() {
		for i := 0; k.ctx.Err() == nil; i++ {
			k.ToDevice(next(i))
		}
	})
}

// Counts are what passed a liar.
type Counts struct {
	Sessions           int `json:"sessions"`
	Up, Down           int // messages from and to the device
	BytesUp, BytesDown int
}

// Counts returns what passed so far.
func (l *Liar) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := Counts{Sessions: l.sessions, BytesUp: l.bytes[0], BytesDown: l.bytes[1]}
	for _, n := range l.up {
		c.Up += n
	}
	for _, n := range l.down {
		c.Down += n
	}
	return c
}
