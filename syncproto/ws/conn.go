package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

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
	remote string
}

// Read returns the next message. It blocks until there is one; pings are
// answered meanwhile. An ended context closes the connection.
func (c *Conn) Read(ctx context.Context) ([]byte, error) {
	t, b, err := c.c.Read(ctx)
	if err != nil {
		if errors.Is(err, websocket.ErrMessageTooBig) {
			err = fmt.Errorf("%w: %w", ErrTooBig, err)
		}
		return nil, fmt.Errorf("read websocket: %w", err)
	}
	if t != websocket.MessageBinary {
		c.Close(StatusProtocol, "")
		return nil, fmt.Errorf("read websocket: %w", ErrText)
	}
	return b, nil
}

// Write sends one message. An ended context closes the connection.
func (c *Conn) Write(ctx context.Context, b []byte) error {
	if err := c.c.Write(ctx, websocket.MessageBinary, b); err != nil {
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
func (c *Conn) CloseNow() error { return c.c.CloseNow() }

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
