package lab

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"sidekeep/syncproto"
)

// counter stands between one handset and the cloud, and counts what passes.
type counter struct {
	listen net.Listener
	target string // the cloud's address
	wg     sync.WaitGroup
	ctx    context.Context

	mu    sync.Mutex // guards what follows
	up    int64      // bytes of TCP payload
	down  int64
	trips int64 // times the handset spoke after it had been answered
	heard bool  // the cloud spoke last
}

// newCounter listens on a free address until ctx ends.
func newCounter(ctx context.Context, target string) (*counter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{listen: l, target: target, ctx: ctx, heard: true}
	context.AfterFunc(ctx, func() { l.Close() })
	c.wg.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			c.wg.Go(func() { c.serve(from) })
		}
	})
	return c, nil
}

func (c *counter) url() string { return "ws://" + c.listen.Addr().String() }

// totals are those so far.
func (c *counter) totals() (up, down, trips int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up, c.down, c.trips
}

func (c *counter) serve(device net.Conn) {
	defer device.Close()
	cloud, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer cloud.Close()
	defer context.AfterFunc(c.ctx, func() { device.Close(); cloud.Close() })()
	var wg sync.WaitGroup
	wg.Go(func() { c.copy(cloud, device, true) })
	wg.Go(func() { c.copy(device, cloud, false) })
	wg.Wait()
}

// copy passes the HTTP head, and then websocket frames, in one direction.
func (c *counter) copy(to, from net.Conn, up bool) {
	defer to.Close()
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || !c.pass(to, line, up, false) {
			return
		}
		if len(line) == 2 {
			break
		}
	}
	for {
		frame, asks, err := readFrame(r)
		if err != nil || !c.pass(to, frame, up, asks) {
			return
		}
	}
}

func (c *counter) pass(to net.Conn, b []byte, up, asks bool) bool {
	c.mu.Lock()
	if up {
		c.up += int64(len(b))
		if asks && c.heard {
			c.trips++
			c.heard = false
		}
	} else {
		c.down += int64(len(b))
		c.heard = true
	}
	c.mu.Unlock()
	_, err := to.Write(b)
	return err == nil
}

// readFrame reads one frame (RFC 6455 section 5.2), and reports whether it holds
// a message that the cloud answers.
func readFrame(r *bufio.Reader) (frame []byte, asks bool, err error) {
	head := make([]byte, 14)
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return nil, false, err
	}
	n, size := 2, uint64(head[1]&0x7f)
	if size == 126 {
		n = 4
	} else if size == 127 {
		n = 10
	}
	if _, err := io.ReadFull(r, head[2:n]); err != nil {
		return nil, false, err
	}
	if n == 4 {
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	} else if n == 10 {
		size = binary.BigEndian.Uint64(head[2:])
	}
	masked := head[1]&0x80 != 0
	if masked {
		if _, err := io.ReadFull(r, head[n:n+4]); err != nil {
			return nil, false, err
		}
		n += 4
	}
	frame = append(head[:n], make([]byte, size)...)
	if _, err := io.ReadFull(r, frame[n:]); err != nil {
		return nil, false, err
	}
	if head[0]&0xf == 2 && size > 1 { // a binary message: [type, ...]
		kind := frame[n+1]
		if masked {
			kind ^= frame[n-3]
		}
		asks = syncproto.Type(kind) != syncproto.TypeChunk && syncproto.Type(kind) != syncproto.TypeBye
	}
	return frame, asks, nil
}
