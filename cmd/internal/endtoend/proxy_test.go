package endtoend

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// proxy stands between devices and the cloud. It reads the websocket frames
// that pass, counts them by message type, and can cut all connections.
type proxy struct {
	t      testing.TB
	listen net.Listener
	target string

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]bool
	up     map[syncproto.Type]int // messages from devices
	down   map[syncproto.Type]int
	bytes  [2]int
	spoke  int                          // times a device spoke after it had been answered
	heard  bool                         // the cloud spoke last
	slow   int                          // bytes a second in each direction; 0 is unlimited
	onUp   func(syncproto.Message) bool // false cuts before the message passes
	onDown func(syncproto.Message) bool
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listen: l, target: target, conns: map[net.Conn]bool{}}
	p.reset()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		wg.Wait()
	})
	return p
}

// through makes a device reach the cloud by the proxy, under the cloud's address.
func (p *proxy) through(c *agent.Config) {
	c.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", p.listen.Addr().String())
	}
}

func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down, p.bytes = map[syncproto.Type]int{}, map[syncproto.Type]int{}, [2]int{}
	p.spoke, p.heard = 0, true
}

// cut breaks every connection, as a lost network does.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	clear(p.conns)
}

func (p *proxy) serve(c net.Conn) {
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[s] = true, true
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { p.copy(s, c, true) })
	wg.Go(func() { p.copy(c, s, false) })
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, s)
	p.mu.Unlock()
}

// copy passes the HTTP head and then whole frames from one side to the other.
func (p *proxy) copy(to, from net.Conn, up bool) {
	defer to.Close()
	defer from.Close()
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		l, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if _, err := to.Write(l); err != nil {
			return
		}
		if len(l) == 2 {
			break
		}
	}
	for {
		frame, payload, opcode, err := readFrame(r)
		if err != nil {
			return
		}
		if opcode == 2 && !p.pass(payload, up) {
			p.cut()
			return
		}
		if err := p.write(to, frame); err != nil {
			return
		}
	}
}

// write passes a frame on, as fast as the network is.
func (p *proxy) write(to net.Conn, frame []byte) error {
	p.mu.Lock()
	slow := p.slow
	p.mu.Unlock()
	for len(frame) > 0 {
		n := len(frame)
		if slow > 0 {
			n = min(n, slow/10+1)
			time.Sleep(time.Duration(n) * time.Second / time.Duration(slow))
		}
		if _, err := to.Write(frame[:n]); err != nil {
			return err
		}
		frame = frame[n:]
	}
	return nil
}

// pass counts a message and asks whether it may go on.
func (p *proxy) pass(payload []byte, up bool) bool {
	m, err := syncproto.Decode(payload)
	if err != nil {
		p.t.Errorf("proxy: a message that does not decode: %v", err)
		return true
	}
	p.mu.Lock()
	ask := p.onDown
	if up {
		ask = p.onUp
	}
	p.mu.Unlock()
	ok := ask == nil || ask(m)
	if ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		if up {
			p.up[m.Type()]++
			p.bytes[0] += len(payload)
			if p.heard && m.Type() != syncproto.TypeChunk && m.Type() != syncproto.TypeBye {
				p.spoke, p.heard = p.spoke+1, false
			}
		} else {
			p.heard = true
			p.down[m.Type()]++
			p.bytes[1] += len(payload)
		}
	}
	return ok
}

// readFrame reads one frame of RFC 6455 section 5.2. Both ends send each
// message as one frame, or in fragments that are joined here.
func readFrame(r *bufio.Reader) (raw, payload []byte, opcode byte, err error) {
	for {
		head := make([]byte, 2, 14)
		if _, err = io.ReadFull(r, head); err != nil {
			return
		}
		n := uint64(head[1] & 0x7f)
		extra := map[uint64]int{126: 2, 127: 8}[n]
		if head[1]&0x80 != 0 {
			extra += 4
		}
		head = head[:2+extra]
		if _, err = io.ReadFull(r, head[2:]); err != nil {
			return
		}
		at := 2
		switch n {
		case 126:
			n, at = uint64(binary.BigEndian.Uint16(head[2:])), 4
		case 127:
			n, at = binary.BigEndian.Uint64(head[2:]), 10
		}
		if n > 8<<20 {
			return nil, nil, 0, fmt.Errorf("a frame of %d bytes", n)
		}
		body := make([]byte, n)
		if _, err = io.ReadFull(r, body); err != nil {
			return
		}
		raw = append(append(raw, head...), body...)
		if head[1]&0x80 != 0 {
			key := head[at : at+4]
			for i := range body {
				body[i] ^= key[i%4]
			}
		}
		if op := head[0] & 0x0f; op != 0 {
			opcode = op
		}
		payload = append(payload, body...)
		if head[0]&0x80 != 0 {
			return
		}
	}
}

// trips is how often a device spoke after it had been answered.
func (p *proxy) trips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spoke
}

func (p *proxy) count(up bool, t syncproto.Type) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up {
		return p.up[t]
	}
	return p.down[t]
}

func (p *proxy) total() (up, down int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.up {
		up += n
	}
	for _, n := range p.down {
		down += n
	}
	return up, down
}

func (p *proxy) watch(onUp, onDown func(syncproto.Message) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onUp, p.onDown = onUp, onDown
}

func chunkID(t testing.TB, c *syncproto.Chunk) record.ChunkID {
	t.Helper()
	h, err := seal.ParseChunkHeader(c.Header)
	if err != nil {
		t.Fatal(err)
	}
	return h.ID
}
