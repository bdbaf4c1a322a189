package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Subprotocol is the websocket subprotocol that both ends insist on.
const Subprotocol = "sidekeep.v1"

// StatusCode is a close code of RFC 6455 section 7.4.
type StatusCode int

// The close codes that sidekeep sends.
const (
	StatusNormal     StatusCode = 1000
	StatusGoingAway  StatusCode = 1001
	StatusProtocol   StatusCode = 1002
	StatusPolicy     StatusCode = 1008
	StatusTooBig     StatusCode = 1009
	StatusInternal   StatusCode = 1011
	StatusTryAgain   StatusCode = 1013
	StatusNoStatus   StatusCode = 1005 // never sent: the peer gave none
	StatusAbnormal   StatusCode = 1006 // never sent: the connection broke
	closeReasonBytes            = 120
)

// ErrTooBig is wrapped by Read's error when the peer sent a message larger than
// the read limit. The connection is closed then.
var ErrTooBig = errors.New("message larger than the read limit")

// ErrText is wrapped by Read's error when the peer sent a text message.
var ErrText = errors.New("text message on a binary protocol")

// Conn is one websocket connection of either end.
type Conn struct {
	c      *websocket.Conn
	gather *gatherer // nil at the server's end
	remote string
}

// Read returns the next message. It blocks until there is one; pings are
// answered meanwhile. An ended context closes the connection.
func (c *Conn) Read(ctx context.Context) ([]byte, error) {
	t, b, err := c.c.Read(ctx)
	if err != nil {
		return nil, readError(err)
	}
	if t != websocket.MessageBinary {
		c.Close(StatusProtocol, "")
		return nil, fmt.Errorf("read websocket: %w", ErrText)
	}
	return b, nil
}

// ErrSlow is wrapped by ReadPaced's error when a message that had begun did not
// come fast enough. The connection is closed then.
var ErrSlow = errors.New("message too slow")

// Pace is how ReadPaced receives a message.
type Pace struct {
	// A message that has begun must be whole after Grace, and a second more for
	// each BytesPerSecond that came.
	Grace          time.Duration
	BytesPerSecond int
	// Large is called, if not nil, when more than SmallBytes of a message came,
	// before the rest is read. It gives a buffer for the whole message, or ends
	// the reading with an error. Its time does not count.
	SmallBytes int
	Large      func() ([]byte, error)
}

// ReadPaced is Read, with bounds on time and memory. Waiting for a message to
// begin is not bounded. The message stands in the buffer that p.Large gave, if
// it was called and the buffer is large enough.
func (c *Conn) ReadPaced(ctx context.Context, p Pace) ([]byte, error) {
	t, r, err := c.c.Reader(ctx)
	if err != nil {
		return nil, readError(err)
	}
	var slow atomic.Bool
	cut := time.AfterFunc(p.Grace, func() {
		slow.Store(true)
		c.CloseNow()
	})
	defer cut.Stop()
	began := time.Now()
	b, large := make([]byte, 0, 512), p.Large
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			if slow.Load() {
				err = ErrSlow
			}
			return nil, readError(err)
		}
		if len(b) > p.SmallBytes && large != nil {
			cut.Stop()
			paused := time.Now()
			whole, err := large()
			if err != nil {
				return nil, err
			}
			b, large = append(whole[:0], b...), nil
			began = began.Add(time.Since(paused))
		}
		cut.Reset(time.Until(began.Add(p.Grace + time.Duration(len(b)/p.BytesPerSecond)*time.Second)))
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
	if t != websocket.MessageBinary {
		c.Close(StatusProtocol, "")
		return nil, fmt.Errorf("read websocket: %w", ErrText)
	}
	return b, nil
}

func readError(err error) error {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		err = fmt.Errorf("%w: %w", ErrTooBig, err)
	}
	return fmt.Errorf("read websocket: %w", err)
}

// Write sends one message. An ended context closes the connection.
func (c *Conn) Write(ctx context.Context, b []byte) error {
	if c.gather != nil {
		c.gather.begin()
	}
	err := c.c.Write(ctx, websocket.MessageBinary, b)
	if c.gather != nil {
		if e := c.gather.end(ctx); err == nil && e != nil { // the library does not know of it
			c.c.CloseNow()
			err = errors.Join(ctx.Err(), e)
		}
	}
	if err != nil {
		return fmt.Errorf("write websocket: %w", err)
	}
	return nil
}

// Ping sends a ping and waits for its pong, which needs a Read under way in
// another goroutine.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.c.Ping(ctx); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// SetReadLimit sets the largest message that Read accepts, in bytes.
func (c *Conn) SetReadLimit(n int) { c.c.SetReadLimit(int64(n)) }

// Close does the closing handshake, for five seconds at most, and frees the
// connection. Closing twice is harmless.
func (c *Conn) Close(code StatusCode, reason string) error {
	if len(reason) > closeReasonBytes {
		reason = reason[:closeReasonBytes]
	}
	return c.c.Close(websocket.StatusCode(code), reason)
}

// CloseNow frees the connection without a handshake. Closing twice is harmless.
func (c *Conn) CloseNow() error {
	if c.gather != nil {
		c.gather.cut()
	}
	return c.c.CloseNow()
}

// Remote returns the peer's network address as the server saw it, or "".
func (c *Conn) Remote() string { return c.remote }

// CloseStatus returns the close code in an error of Read or Write: the peer's,
// StatusAbnormal when the connection broke, or 0 when err is of another kind.
func CloseStatus(err error) StatusCode {
	if s := websocket.CloseStatus(err); s >= 0 {
		return StatusCode(s)
	}
	var ne net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &ne) {
		return StatusAbnormal
	}
	return 0
}
