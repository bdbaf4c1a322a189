package ws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
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
	w.Header()["Date"] = nil // a welcome tells the time
	c, err := websocket.Accept(lean{w}, r, &websocket.AcceptOptions{
		Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	c.SetReadLimit(int64(readLimit))
	return &Conn{c: c, remote: r.RemoteAddr}, nil
}

// leanBytes is the size of a connection's two buffers. What is larger than a
// buffer goes past it, so small ones cost little and idle connections keep less.
const leanBytes = 512

// lean hands a connection over with small buffers in place of net/http's.
type lean struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (l lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, brw, err := http.NewResponseController(l.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := brw.Reader.Peek(brw.Reader.Buffered())
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	// What the client sent behind its request has to stand in the new buffer.
	early = bytes.Clone(early)
	reader := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(early), conn), max(leanBytes, len(early)))
	if _, err := reader.Peek(len(early)); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, bufio.NewReadWriter(reader, bufio.NewWriterSize(conn, leanBytes)), nil
}

func offers(headers []string) bool {
	return slices.ContainsFunc(headers, func(h string) bool {
		return slices.ContainsFunc(strings.Split(h, ","), func(p string) bool { return strings.EqualFold(strings.TrimSpace(p), Subprotocol) })
	})
}
