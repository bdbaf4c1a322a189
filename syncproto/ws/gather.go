package ws

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// gatherBytes is how much of a message goes to the network at once. The client of
// the websocket library writes 4 KiB at a time, because it masks in its buffer:
// each would be a system call and a packet of its own, and wake the cloud.
const gatherBytes = 64 << 10

// gatherer is a connection that gathers what is written while a message is. A
// piece that is not a whole buffer of the library ends a message, and goes out
// with what was gathered: only of messages that end with a whole buffer something
// is left for end.
type gatherer struct {
	net.Conn
	mu      sync.Mutex
	writing int    // messages that are being written
	b       []byte // not empty only while one is
	err     error  // that a write failed with: what was gathered then is lost, and all that follows

	ending atomic.Bool // end waits for the network
}

// writeBytes is the size of the library's buffer.
const writeBytes = 4096

// begin says that a message follows, which end ends.
func (g *gatherer) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writing++
}

// end sends what is left of a message. An ended context closes the connection.
func (g *gatherer) end(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writing--
	if len(g.b) == 0 || g.err != nil {
		return g.err
	}
	g.ending.Store(true)
	defer g.ending.Store(false)
	stop := context.AfterFunc(ctx, func() { g.Conn.Close() })
	defer stop()
	return g.flush()
}

// cut ends an end that waits for a peer that takes nothing.
func (g *gatherer) cut() {
	if g.ending.Load() {
		g.Conn.Close()
	}
}

// Write implements net.Conn.
func (g *gatherer) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	last := g.writing == 0 || len(b) < writeBytes
	if last && len(g.b) == 0 {
		n, err := g.Conn.Write(b)
		g.err = err
		return n, err
	}
	if len(g.b)+len(b) > gatherBytes {
		if err := g.flush(); err != nil {
			return 0, err
		}
	}
	if g.b == nil {
		g.b = make([]byte, 0, gatherBytes)
	}
	g.b = append(g.b, b...)
	if last {
		if err := g.flush(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (g *gatherer) flush() error {
	_, g.err = g.Conn.Write(g.b)
	g.b = g.b[:0]
	return g.err
}
