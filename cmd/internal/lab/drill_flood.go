package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sidekeep/syncproto/ws"
)

// drillFlood opens as many connections as a hostile crowd would, at each level at
// which one can stay without authenticating, then as many idle sessions, and lets
// some of these begin messages that they never end. A healthy handset's account
// writes all the while.
func drillFlood(ctx context.Context, s *scene) error {
	f := &flood{scene: s, strangers: 400, sessions: 200, slow: 100, giants: 20, memory: 128}
	if s.long {
		f.strangers, f.sessions, f.slow, f.giants, f.memory = 10_000, 9_700, 2_000, 200, 1024
	}
	f.each = 50
	s.cloud = s.server("cloud")
	if !s.long {
		f.each = 10
		s.cloud.args = []string{"--auth-time", "5s", "--message-grace", "5s"}
	}
	s.cloud.args = append(s.cloud.args, "--memory", fmt.Sprintf("%dMiB", f.memory), "--unauthenticated", fmt.Sprint(f.strangers), "--sessions", fmt.Sprint(max(f.sessions, f.strangers/2)+64))
	if _, err := s.begin(ctx, "handset 1"); err != nil {
		return err
	}
	d, err := newCaller()
	if err != nil {
		return err
	}
	defer d.leave()
	if err := d.enter(ctx, s.cloud); err != nil {
		return err
	}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	wrote := make(chan error, 1)
	go func() { wrote <- f.write(ctx, writing, d) }()
	base, err := f.measure("at rest", 0, 0)
	if err != nil {
		return err
	}
	if err := f.flood(ctx, base); err != nil {
		return err
	}
	stop()
	if err := <-wrote; err != nil {
		return fmt.Errorf("an honest device: %w", err)
	}
	s.say("an honest device wrote %d times meanwhile, each acknowledged", f.writes.Load())
	peak, err := s.cloud.memory()
	if err != nil {
		return err
	}
	s.say("the cloud's memory: %d MiB at its peak, of %d MiB", peak>>20, f.memory)
	if peak > int64(f.memory)<<20 {
		return fmt.Errorf("the cloud took %d MiB, more than --memory %d MiB", peak>>20, f.memory)
	}
	return s.cloud.off() // in peace, with all that is open
}

type flood struct {
	*scene
	strangers, sessions, slow, giants, memory int

	each int // sessions of an account

	writes atomic.Int64
}

// flood plays the parts one after the other, each beside what the one before left.
func (f *flood) flood(ctx context.Context, base int64) error {
	if err := f.strange(ctx, base); err != nil {
		return err
	}
	devices, err := f.enter(ctx)
	defer func() {
		for _, d := range devices {
			d.leave()
		}
	}()
	if err != nil {
		return err
	}
	if _, err := f.measure(fmt.Sprintf("%d idle sessions", len(devices)), base, len(devices)); err != nil {
		return err
	}
	return f.hostile(ctx, devices, base)
}

// strange opens connections that do not authenticate, and waits until the cloud
// has closed them.
func (f *flood) strange(ctx context.Context, base int64) error {
	conns, err := f.open(f.strangers)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	err = until(ctx, "the cloud has all of them", time.Minute, func() (string, error) {
		n, err := f.gauge("sidekeep_cloud_sessions")
		if n < f.strangers/2 {
			return fmt.Sprintf("%d are upgraded, half of them should be", n), err
		}
		return "", err
	})
	if err != nil {
		return err
	}
	if _, err := f.measure(fmt.Sprintf("%d connections that do not authenticate", f.strangers), base, f.strangers); err != nil {
		return err
	}
	err = until(ctx, "the cloud has closed them", time.Minute, func() (string, error) {
		n, err := f.gauge("sidekeep_cloud_sessions")
		if n > 8 {
			return fmt.Sprintf("%d are open", n), err
		}
		return "", err
	})
	if err == nil {
		_, err = f.measure("after the cloud closed those", 0, 0)
	}
	return err
}

// hostile lets sessions begin messages without end, and frames that are too large.
func (f *flood) hostile(ctx context.Context, devices []*caller, base int64) error {
	for i := range f.slow + f.giants {
		d := devices[i*len(devices)/(f.slow+f.giants)] // of all accounts
		size, sent := uint64(300_000), 3_000
		switch {
		case i >= f.slow:
			size = 1 << 62
		case i%10 == 0: // takes memory for a whole message
			sent = 20_000
		}
		b := binary.BigEndian.AppendUint64([]byte{0x82, 0x80 | 127}, size)
		d.raw.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		// What the cloud does not read any more stays on this side.
		if _, err := d.raw.Write(append(b, make([]byte, 4+sent)...)); err != nil && i < f.slow && !isTimeout(err) {
			return fmt.Errorf("slow writer %d: %w", i, err)
		}
	}
	if _, err := f.measure(fmt.Sprintf("%d of them in a message that does not end, %d in a giant frame", f.slow, f.giants), base, len(devices)); err != nil {
		return err
	}
	left := len(devices) - f.slow - f.giants
	return until(ctx, "the cloud has ended these", 5*time.Minute, func() (string, error) {
		n, err := f.gauge("sidekeep_cloud_sessions")
		if n > left+8 {
			return fmt.Sprintf("%d are open, %d should stay", n, left), err
		}
		return "", err
	})
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// open opens connections, a quarter each: silent, in a header, upgraded and
// silent, in a first message.
func (f *flood) open(n int) ([]net.Conn, error) {
	request := "GET /sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + ws.Subprotocol + "\r\n"
	parts := []string{"", request, request + "\r\n", request + "\r\n" + "\x82\xfe\x03\xe8\x00\x00\x00\x00" + strings.Repeat("\x01", 900)}
	var conns []net.Conn
	for i := range n {
		conn, err := net.Dial("tcp", f.cloud.addr)
		if err != nil {
			return conns, fmt.Errorf("after %d connections: %w", i, err)
		}
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, parts[i%len(parts)]); err != nil {
			return conns, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return conns, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// enter opens idle sessions, f.each of an account.
func (f *flood) enter(ctx context.Context) (devices []*caller, err error) {
	for i := range f.sessions {
		var d *caller
		if i%f.each > 0 {
			d = devices[i-i%f.each].sibling()
		} else if d, err = newCaller(); err != nil {
			return devices, err
		}
		devices = append(devices, d)
	}
	next, failed := atomic.Int64{}, make(chan error, 8)
	var all sync.WaitGroup
	for range cap(failed) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(devices); i = int(next.Add(1)) - 1 {
				if err := devices[i].enter(ctx, f.cloud); err != nil {
					failed <- fmt.Errorf("session %d: %w", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return devices, err
	default:
		return devices, nil
	}
}

// write edits without a pause until writing ends.
func (f *flood) write(ctx, writing context.Context, d *caller) error {
	for n := 0; writing.Err() == nil; n++ {
		v, err := d.note(noteID(n%100), 100)
		if err != nil {
			return err
		}
		if err := d.push(ctx, v); err != nil {
			return err
		}
		if err := d.acked(ctx); err != nil {
			return err
		}
		f.writes.Add(1)
		select {
		case <-writing.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// measure says what the cloud's process has, and what that is for each of n
// connections above base.
func (f *flood) measure(what string, base int64, n int) (rss int64, err error) {
	if rss, err = f.cloud.status("VmRSS:"); err != nil {
		return 0, err
	}
	peak, err := f.cloud.memory()
	if err != nil {
		return 0, err
	}
	goroutines, err := f.gauge("go_goroutines")
	if err != nil {
		return 0, err
	}
	each := ""
	if n > 0 {
		each = fmt.Sprintf(", %.1f KiB each", float64(rss-base)/1024/float64(n))
	}
	f.say("%s: %.1f MiB%s (peak %.1f MiB), %d goroutines, %d edits of an honest device so far",
		what, float64(rss)/(1<<20), each, float64(peak)/(1<<20), goroutines, f.writes.Load())
	return rss, nil
}

// gauge reads one number of the cloud's metrics.
func (f *flood) gauge(name string) (n int, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Get("http://" + f.cloud.addr + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			var x float64
			_, err := fmt.Sscan(rest, &x)
			return int(x), err
		}
	}
	return 0, fmt.Errorf("the cloud's metrics lack %s", name)
}
