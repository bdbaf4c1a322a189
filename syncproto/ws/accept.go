package ws

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"
)

// ErrOrigin is wrapped by Accept's error when the request has an Origin header:
// no browser has business here.
var ErrOrigin = errors.New("a request with an Origin header")

// Accept upgrades a request. It refuses any Origin header (403) and a client
// that does not offer Subprotocol (400), and answers the request on any error.
// readLimit is the largest message to accept, in bytes.
func Accept(w http.ResponseWriter, r *http.Request, readLimit int) (*Conn, error) {
	if len(r.Header.Values("Origin")) > 0 {
		http.Error(w, "forbidden", http.StatusForbidden)
		return nil, fmt.Errorf("accept: %w", ErrOrigin)
	}
	if !offers(r.Header.Values("Sec-WebSocket-Protocol")) {
		http.Error(w, "the subprotocol is "+Subprotocol, http.StatusBadRequest)
		return nil, fmt.Errorf("accept: %w", ErrSubprotocol)
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	c.SetReadLimit(int64(readLimit))
	return &Conn{c: c, remote: r.RemoteAddr}, nil
}

func offers(headers []string) bool {
	return slices.ContainsFunc(headers, func(h string) bool {
		return slices.ContainsFunc(strings.Split(h, ","), func(p string) bool { return strings.EqualFold(strings.TrimSpace(p), Subprotocol) })
	})
}
