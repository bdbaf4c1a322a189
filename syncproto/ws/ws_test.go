package ws

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const limit = 1000

// echo is a server that sends back what it gets.
func echo(t *testing.T, readLimit int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, readLimit)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), b); err != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func wsURL(s *httptest.Server) string { return strings.Replace(s.URL, "http", "ws", 1) }

func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestReadLimit(t *testing.T) {
	s, ctx := echo(t, limit), patience(t)
	for _, n := range []int{0, limit - 1, limit} {
		c, err := Dial(ctx, wsURL(s), DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sent := bytes.Repeat([]byte{7}, n)
		if err := c.Write(ctx, sent); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Read(ctx); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes: %d came back, %v", n, len(got), err)
		}
		c.Close(StatusNormal, "")
	}
	c, err := Dial(ctx, wsURL(s), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(ctx, make([]byte, limit+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(ctx); CloseStatus(err) != StatusTooBig {
		t.Errorf("one over: %v", err)
	}
	// The device's own limit.
	if c, err = Dial(ctx, wsURL(s), DialOptions{ReadLimit: 10}); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(ctx, make([]byte, 11)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(ctx); !errors.Is(err, ErrTooBig) {
		t.Errorf("one over the device's: %v", err)
	}
}

// TestRedirectIsRefused is case 10 of the threat model: the second host is
// never contacted.
func TestRedirectIsRefused(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var contacted atomic.Bool
		second := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { contacted.Store(true) }))
		first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, second.URL, status)
		}))
		_, err := Dial(patience(t), wsURL(first), DialOptions{})
		if !errors.Is(err, ErrRedirect) || contacted.Load() {
			t.Errorf("%d: %v, contacted %v", status, err, contacted.Load())
		}
		first.Close()
		second.Close()
	}
}

func TestServersThatAreNoCloud(t *testing.T) {
	ctx := patience(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	var status *StatusError
	if _, err := Dial(ctx, wsURL(plain), DialOptions{}); !errors.As(err, &status) || status.Status != 404 {
		t.Errorf("no websocket: %v", err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			c.Read(r.Context())
			c.CloseNow()
		}
	}))
	defer other.Close()
	if _, err := Dial(ctx, wsURL(other), DialOptions{}); !errors.Is(err, ErrSubprotocol) {
		t.Errorf("no subprotocol: %v", err)
	}
	for _, bad := range []string{"", "http://x", "ws://", "ftp://x/", "ws:x", "\x00"} {
		if _, err := Dial(ctx, bad, DialOptions{}); err == nil {
			t.Errorf("dialed %q", bad)
		}
	}
}

func TestCompressionIsNotNegotiated(t *testing.T) {
	s := echo(t, limit)
	c, resp, err := websocket.Dial(patience(t), s.URL, &websocket.DialOptions{Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if ext := resp.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
		t.Errorf("extensions %q", ext)
	}
}

func TestTextIsRefused(t *testing.T) {
	s, ctx := echo(t, limit), patience(t)
	c, _, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{Subprotocols: []string{Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusProtocolError {
		t.Errorf("a text message: %v", err)
	}
}

// TestOldTLSIsRefused: 1.2 is not spoken, whatever the caller's configuration says.
func TestOldTLSIsRefused(t *testing.T) {
	for _, c := range []struct {
		most uint16
		good bool
	}{{tls.VersionTLS12, false}, {tls.VersionTLS13, true}} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := Accept(w, r, limit); err == nil {
				c.Close(StatusNormal, "")
			}
		}))
		s.TLS = &tls.Config{MaxVersion: c.most}
		s.StartTLS()
		conf := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		conf.MinVersion = tls.VersionTLS10
		conn, err := Dial(patience(t), wsURL(s), DialOptions{TLS: conf})
		if (err == nil) != c.good {
			t.Errorf("TLS %x: %v", c.most, err)
		}
		if conn != nil {
			conn.CloseNow()
		}
		s.Close()
	}
}

func TestCloseStatus(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, limit); err == nil {
			c.CloseNow()
		}
	}))
	defer s.Close()
	ctx := patience(t)
	c, err := Dial(ctx, wsURL(s), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(ctx); CloseStatus(err) != StatusAbnormal {
		t.Errorf("a broken connection: %v, status %d", err, CloseStatus(err))
	}
	if got := CloseStatus(errors.New("x")); got != 0 {
		t.Errorf("another error: %d", got)
	}
}
