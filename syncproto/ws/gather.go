package ws

import (
	"context"
	"net"
	"sync"
)

// gatherBytes is how much of a message goes to the network at once. The client of
// the websocket library writes 4 KiB at a time, because it masks in its buffer:
// each would be a system call and a packet of its own, and wake the cloud.
const gatherBytes = 64 << 10

// gatherer is a connection that gathers what is written while a message is.
type gatherer struct {
	net.Conn
	mu      sync.Mutex
	writing int    // messages that are being written
	b       []byte // not empty only while one is
}

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
	if len(g.b) == 0 {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { g.Conn.Close() })
	defer stop()
	return g.flush()
}

// Write implements net.Conn.
func (g *gatherer) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writing == 0 || len(g.b) == 0 && len(b) < writeBytes {
		return g.Conn.Write(b)
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
	return len(b), nil
}

// writeBytes is the size of the library's buffer: less is the end of a message.
const writeBytes = 4096

func (g *gatherer) flush() error {
	_, err := g.Conn.Write(g.b)
	g.b = g.b[:0]
	return err
}
