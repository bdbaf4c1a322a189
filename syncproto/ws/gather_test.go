package ws

import (
	"bytes"
	"context"
	"errors"
	"net"
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
	fail   atomic.Bool
	ended  chan struct{}
	once   sync.Once
}

func (c *counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	if c.fail.Load() {
		return 0, errPassing
	}
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

// dialCounted dials a server that sends back what it gets.
func dialCounted(t *testing.T) (*Conn, *counted) {
	t.Helper()
	s := echo(t, 1<<20)
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
	for _, n := range []int{100, 4088, 5000, 200000} {
		c, conn := dialCounted(t)
		conn.stuck.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- c.Write(ctx, make([]byte, n)) }()
		select {
		case err := <-done:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d bytes to a peer that takes none: %v", n, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d bytes: Write does not end", n)
		}
		cancel()
	}
}

// TestWriteFailsWhenTheEndOfAMessageDoes has the last bytes of a message fail.
func TestWriteFailsWhenTheEndOfAMessageDoes(t *testing.T) {
	g := &gatherer{Conn: &brokenConn{}}
	g.begin()
	if n, err := g.Write(make([]byte, writeBytes)); n != writeBytes || err != nil {
		t.Fatalf("gathered %d, %v", n, err)
	}
	if err := g.end(t.Context()); !errors.Is(err, errPassing) {
		t.Errorf("the end of a message failed: %v", err)
	}
	// What was lost is not to be followed by anything.
	if _, err := g.Write([]byte("more")); !errors.Is(err, errPassing) {
		t.Errorf("and then: %v", err)
	}
}

// brokenConn fails once.
type brokenConn struct {
	net.Conn
	failed bool
}

var errPassing = errors.New("a passing fault")

func (c *brokenConn) Write(b []byte) (int, error) {
	if c.failed {
		return len(b), nil
	}
	c.failed = true
	return 0, errPassing
}

// TestNothingFollowsALostMessage has a write fail at any place of a message.
func TestNothingFollowsALostMessage(t *testing.T) {
	for _, n := range []int{100, 4088, 10000, 70000, 200000} { // 4088 and 8 of header: a whole buffer
		c, conn := dialCounted(t)
		conn.fail.Store(true)
		if err := c.Write(patience(t), make([]byte, n)); !errors.Is(err, errPassing) {
			t.Errorf("%d bytes: %v", n, err)
		}
		conn.fail.Store(false)
		if err := c.Write(patience(t), make([]byte, 10)); err == nil {
			t.Errorf("%d bytes were lost, and the next message went out", n)
		}
	}
}
