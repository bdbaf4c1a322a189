package agent

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/ws"
)

// guestConn is a connection beside the sessions of an agent: of a device that has no
// account yet, or of Tell.
type guestConn struct{ *ws.Conn }

// dialGuest connects as a session does, with nothing that needs a store. Messages
// of more than so many bytes are refused.
func dialGuest(ctx context.Context, c Config, readLimit int) (guestConn, target, error) {
	t, err := parseTarget(c.CloudURL, c.AllowPlain)
	if err != nil {
		return guestConn{}, t, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	m, err := openMemory("")
	if err != nil {
		return guestConn{}, t, err
	}
	a := &Agent{cfg: c, target: t, memory: m}
	var leaf *x509.Certificate
	ctx, cancel := context.WithTimeout(ctx, dialMax)
	defer cancel()
	conn, err := ws.Dial(ctx, t.url, ws.DialOptions{ReadLimit: readLimit, TLS: a.tlsConfig(&leaf), DialContext: c.DialContext})
	if err != nil {
		return guestConn{}, t, a.notDialed(err)
	}
	return guestConn{conn}, t, nil
}

func (c guestConn) send(ctx context.Context, m syncproto.Message) error {
	b, err := syncproto.Encode(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeLeast)
	defer cancel()
	if err := c.Write(ctx, b); err != nil {
		return fmt.Errorf("%w: %w", ErrNotReachable, err)
	}
	return nil
}

func (c guestConn) receive(ctx context.Context) (syncproto.Message, error) {
	b, err := c.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReachable, err)
	}
	return syncproto.Decode(b)
}

// leave closes in peace.
func (c guestConn) leave() { c.Close(ws.StatusNormal, "") }
