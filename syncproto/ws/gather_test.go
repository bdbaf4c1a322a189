package ws

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counted counts the writes of a connection. Once stuck, they wait for its end.
type counted struct {
	net.Conn
	writes atomic.Int64
	stuck  atomic.Bool
	ended  chan struct{}
	once   sync.Once
}

func (c *counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	if c.stuck.Load() {
		<-c.ended
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c *counted) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.Conn.Close()
}

// dialCounted dials a server that sends back the sum of what it gets.
func dialCounted(t *testing.T) (*Conn, *counted) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, 1<<20)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), b) != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	var conn *counted
	c, err := Dial(patience(t), wsURL(s), DialOptions{ReadLimit: 1 << 20, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		n, err := new(net.Dialer).DialContext(ctx, network, addr)
		conn = &counted{Conn: n, ended: make(chan struct{})}
		return conn, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c, conn
}

// TestLargeMessagesGoOutInFewWrites has messages of all sizes around those of the
// buffers arrive whole, each as soon as Write returns, while pings go out between.
func TestLargeMessagesGoOutInFewWrites(t *testing.T) {
	c, conn := dialCounted(t)
	ctx := patience(t)
	read := make(chan []byte)
	go func() {
		defer close(read)
		for {
			b, err := c.Read(ctx)
			if err != nil {
				return
			}
			read <- b
		}
	}()
	var pings sync.WaitGroup
	stop := make(chan struct{})
	pings.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := c.Ping(ctx); err != nil {
				t.Errorf("ping: %v", err)
				return
			}
		}
	})
	for _, n := range []int{0, 1, 100, 4000, 4088, 4089, 4096, 4097, 8184, 65535, 65536, 65537, 70000, 300000} {
		sent := bytes.Repeat([]byte{byte(n)}, n)
		for i := range sent {
			sent[i] ^= byte(i >> 8)
		}
		if err := c.Write(ctx, sent); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got := <-read; !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes: %d others came back", n, len(got))
		}
	}
	close(stop)
	pings.Wait()
	before := conn.writes.Load()
	if err := c.Write(ctx, make([]byte, 512<<10)); err != nil {
		t.Fatal(err)
	}
	<-read
	if n := conn.writes.Load() - before; n > 10 {
		t.Errorf("512 KiB went out in %d writes, want at most 10", n)
	}
	before = conn.writes.Load()
	if err := c.Write(ctx, make([]byte, 300)); err != nil {
		t.Fatal(err)
	}
	<-read
	if n := conn.writes.Load() - before; n != 1 {
		t.Errorf("a small message went out in %d writes", n)
	}
	c.Close(StatusNormal, "")
}

// TestWriteEndsWithItsContext has a peer that takes nothing, at every place where
// a message can wait for it.
func TestWriteEndsWithItsContext(t *testing.T) {
	for _, n := range []int{100, 5000, 200000} {
		c, conn := dialCounted(t)
		conn.stuck.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- c.Write(ctx, make([]byte, n)) }()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%d bytes were written to a peer that takes none", n)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d bytes: Write does not end", n)
		}
		cancel()
	}
}

// TestWriteFailsWhenTheEndOfAMessageDoes has the last bytes of a message fail.
func TestWriteFailsWhenTheEndOfAMessageDoes(t *testing.T) {
	g := &gatherer{Conn: brokenConn{}}
	g.begin()
	if n, err := g.Write(make([]byte, writeBytes)); n != writeBytes || err != nil {
		t.Fatalf("gathered %d, %v", n, err)
	}
	if err := g.end(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the end of a message failed: %v", err)
	}
}

type brokenConn struct{ net.Conn }

func (brokenConn) Write([]byte) (int, error) { return 0, net.ErrClosed }
