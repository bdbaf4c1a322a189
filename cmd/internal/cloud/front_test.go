package cloud_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/ws"
)

// upgrade is the request that every device makes.
func upgrade(host string) string {
	return "GET /sync HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + ws.Subprotocol + "\r\n\r\n"
}

// frame returns a client's binary frame that declares size bytes and holds data.
func frame(size uint64, data []byte) []byte {
	b := []byte{0x82}
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), size)
	}
	return append(append(b, 0, 0, 0, 0), data...) // a mask of zeros
}

func dialRaw(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ends waits until the cloud has closed a connection and returns what it sent.
func ends(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	b, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
	return b
}

// drip sends bytes one at a time, and the last one again, until the connection ends.
func drip(conn net.Conn, data []byte) {
	for i := 0; ; i++ {
		if _, err := conn.Write(data[min(i, len(data)-1):][:1]); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestSlowLoris: whoever sends a byte now and then is cut, at each level at which
// one can be slow before authentication.
func TestSlowLoris(t *testing.T) {
	secret := httptest.NewTLSServer(nil)
	secret.Close()
	limits := cloud.Limits{AuthTime: 400 * time.Millisecond}
	plain := cloudtest.Start(t, cloudtest.Options{Limits: limits})
	secure := cloudtest.Start(t, cloudtest.Options{Limits: limits, TLS: secret.TLS})
	hello := encoded(t, &syncproto.Hello{Versions: []uint64{syncproto.ProtocolVersion}, Pending: []syncproto.Token{{1}}})
	for name, level := range map[string]struct {
		c    *cloudtest.Cloud
		fast string // sent at once
		slow string
	}{
		"silent":        {plain, "", ""},
		"silent TLS":    {secure, "", ""},
		"TLS":           {secure, "", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 500)},
		"request line":  {plain, "", "GET /sync"},
		"header":        {plain, "GET /sync HTTP/1.1\r\nHost: x\r\n", "X-Slow: "},
		"upgrade":       {plain, strings.TrimSuffix(upgrade("x"), "\r\n"), "X-Slow: "},
		"after upgrade": {plain, upgrade("x"), ""},
		"frame header":  {plain, upgrade("x"), "\x82"},
		"first message": {plain, upgrade("x"), string(frame(uint64(len(hello)), hello[:len(hello)-1]))},
		"pings":         {plain, upgrade("x"), strings.Repeat("\x89\x80\x00\x00\x00\x00", 100)},
		"body":          {plain, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", "x"},
		"next request":  {plain, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dialRaw(t, level.c.Addr)
			if _, err := io.WriteString(conn, level.fast); err != nil {
				t.Fatal(err)
			}
			if level.slow != "" {
				go drip(conn, []byte(level.slow))
			}
			ends(t, conn)
		})
	}
}

// TestTooMuchBeforeAuthentication: not in one header, not in many messages.
func TestTooMuchBeforeAuthentication(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{Limits: cloud.Limits{AuthTime: time.Minute}})
	for name, flood := range map[string][]byte{
		"header":         []byte("GET /sync HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 1<<20)),
		"headers":        []byte("GET /sync HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Many: x\r\n", 1<<16)),
		"giant frame":    append([]byte(upgrade("x")), frame(1<<62, bytes.Repeat([]byte{1}, 1<<20))...),
		"negative frame": append([]byte(upgrade("x")), frame(1<<63, bytes.Repeat([]byte{1}, 1<<20))...),
		"pings":          append([]byte(upgrade("x")), bytes.Repeat([]byte("\x89\x80\x00\x00\x00\x00"), 1<<16)...),
		"fragments":      append([]byte(upgrade("x")), append([]byte("\x02\x80\x00\x00\x00\x00"), bytes.Repeat([]byte("\x00\x80\x00\x00\x00\x00"), 1<<16)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialRaw(t, c.Addr)
			go conn.Write(flood)
			ends(t, conn)
		})
	}
	newDevice(t).enter(c)
}

// TestSlowMessage: a byte now and then does not keep a session open, whatever was
// authenticated before; silence between messages does, until Silence.
func TestSlowMessage(t *testing.T) {
	t.Parallel()
	c := cloudtest.Start(t, cloudtest.Options{Limits: cloud.Limits{MessageGrace: time.Second, BytesPerSecond: 1 << 20}})
	for _, sent := range []int{1, 100, 20_000} {
		a := newDevice(t)
		raw := a.enterRaw(c)
		time.Sleep(1200 * time.Millisecond) // longer than the grace of a message that has begun
		a.push(a.seal(record.Notes, record.ID{1}, a.edit(record.New(), "x")))
		raw.Write(frame(300_000, make([]byte, sent)))
		go drip(raw, []byte{0})
		if _, err := a.try(40 * time.Second); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %d bytes: %v", sent, err)
		}
	}
}

// enterRaw opens a session and returns the connection below it.
func (d *device) enterRaw(c *cloudtest.Cloud) net.Conn {
	d.t.Helper()
	var raw net.Conn
	d.dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var err error
		raw, err = new(net.Dialer).DialContext(ctx, network, addr)
		return raw, err
	}
	d.enter(c)
	d.dialer = nil
	return raw
}

// TestGiantFrames after authentication: nothing is allocated for what is declared.
func TestGiantFrames(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	for _, size := range []uint64{syncproto.MessageBytesMax + 1, 1 << 32, 1 << 62, 1 << 63} {
		a := newDevice(t)
		raw := a.enterRaw(c)
		go raw.Write(frame(size, make([]byte, 1<<20)))
		if _, err := a.try(10 * time.Second); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestVanishedDevice: a session from which nothing comes for too long has lost
// its device.
func TestVanishedDevice(t *testing.T) {
	t.Parallel()
	c := cloudtest.Start(t, cloudtest.Options{Limits: cloud.Limits{Silence: 700 * time.Millisecond}})
	a, b := newDevice(t).enter(c), newDevice(t).enter(c)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := b.conn.Read(ctx)
		ended <- err
	}()
	for range 10 { // a device that pings stays
		time.Sleep(150 * time.Millisecond)
		if err := b.conn.Ping(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := func() error { _, err := a.conn.Read(ctx); return err }(); ctx.Err() != nil || err == nil {
		t.Errorf("a silent session: %v", err)
	}
	if err := <-ended; ctx.Err() != nil {
		t.Errorf("a session that fell silent: %v", err)
	}
}

// TestReaderThatNeverReads: a device that asks and never reads is cut, and gives the memory
// of its answers back.
func TestReaderThatNeverReads(t *testing.T) {
	t.Parallel()
	c := cloudtest.Start(t, cloudtest.Options{Limits: cloud.Limits{Memory: cloud.MemoryMin, MessageGrace: 2 * time.Second, BytesPerSecond: 1 << 20}})
	a := newDevice(t).enter(c)
	for i := range byte(20) {
		a.push(a.big(record.ID{i}, 200_000))
	}
	for range 6 { // more than share the memory for answers
		b := a.sibling()
		raw := b.enterRaw(c)
		raw.(*net.TCPConn).SetReadBuffer(4096)
		go func() {
			m := encoded(t, &syncproto.Pull{ID: 1, Kind: record.Notes, BytesMax: syncproto.BatchBytesMax})
			for {
				if _, err := raw.Write(frame(uint64(len(m)), m)); err != nil {
					return
				}
			}
		}()
	}
	// While they hold what there is to hold, others are served.
	d := newDevice(t).enter(c)
	for i := range byte(20) {
		d.push(d.seal(record.Notes, record.ID{i}, d.edit(record.New(), "x")))
	}
	deadline := time.Now().Add(time.Minute)
	for sessions(t, c) > 2 {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are open, want a's and d's", sessions(t, c))
		}
		time.Sleep(50 * time.Millisecond)
	}
	if items, _ := a.sibling().enter(c).pull(record.Notes, 0); len(items) != 20 {
		t.Errorf("%d items", len(items))
	}
}

// sessions returns the gauge of open connections.
func sessions(t *testing.T, c *cloudtest.Cloud) (n int) {
	t.Helper()
	resp, err := http.Get("http://" + c.Addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "sidekeep_cloud_sessions %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("no gauge")
	return 0
}

// TestOldestStrangerMakesRoom: any number of connections that never authenticate
// leaves room for a device that does.
func TestOldestStrangerMakesRoom(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{Limits: cloud.Limits{Unauthenticated: 8, AuthTime: time.Minute}})
	var strangers []net.Conn
	for i := range 100 {
		conn := dialRaw(t, c.Addr)
		strangers = append(strangers, conn)
		if i%2 > 0 {
			io.WriteString(conn, upgrade("x"))
		}
		if i%10 == 0 {
			newDevice(t).enter(c) // and stays: it is no stranger any more
		}
	}
	for _, conn := range strangers[:80] {
		ends(t, conn)
	}
}

// TestLimitsByAddress: an address that has had its share is turned away, others
// are not; behind a trusted proxy its clients' addresses count.
func TestLimitsByAddress(t *testing.T) {
	limits := cloud.Limits{AddressConnections: 4, AddressUnauthenticated: 2, AuthTime: time.Minute}
	c := cloudtest.Start(t, cloudtest.Options{Limits: limits, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
	from := func(ip, header string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		conn, err := d.Dial("tcp", c.Addr)
		if err != nil {
			t.Skipf("no connection from %s on this machine: %v", ip, err)
		}
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, strings.Replace(upgrade("x"), "\r\n\r\n", "\r\n"+header+"\r\n", 1))
		return conn
	}
	answer := func(conn net.Conn) string {
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 12)
		n, _ := io.ReadFull(conn, b)
		return string(b[:n])
	}
	for i, want := range []string{"HTTP/1.1 101", "HTTP/1.1 101", "", ""} {
		if got := answer(from("127.0.0.7", "X-Forwarded-For: 203.0.113.1\r\n")); got != want {
			t.Errorf("connection %d: %q, want %q", i, got, want)
		}
	}
	if got := answer(from("127.0.0.8", "")); got != "HTTP/1.1 101" {
		t.Errorf("another address: %q", got)
	}
	for i, want := range []string{"HTTP/1.1 101", "HTTP/1.1 101", "HTTP/1.1 429"} {
		if got := answer(from("127.0.0.9", "X-Forwarded-For: 198.51.100.1, 203.0.113.1\r\n")); got != want {
			t.Errorf("proxied connection %d: %q, want %q", i, got, want)
		}
	}
	if got := answer(from("127.0.0.9", "X-Forwarded-For: 203.0.113.2\r\n")); got != "HTTP/1.1 101" {
		t.Errorf("another client of the proxy: %q", got)
	}
	newDevice(t).enter(c) // 127.0.0.1
}

// TestBulkWriters: more accounts than there are places for come at once. Some are
// told to wait, and when they come back as told all is stored.
func TestBulkWriters(t *testing.T) {
	t.Parallel()
	c := cloudtest.Start(t, cloudtest.Options{Limits: cloud.Limits{Reseeds: 1, BulkQuiet: time.Hour}})
	const each = 8
	write := func(d *device) (wait uint64) {
		for i := range byte(each) {
			d.send(&syncproto.Push{ID: d.next(), Versions: []syncproto.SealedVersion{d.big(record.ID{i}, 200_000)}})
			switch m := d.recv().(type) {
			case *syncproto.Ack:
			case *syncproto.Wait:
				if m.Code != syncproto.CodeBusy || m.Seconds == 0 {
					t.Errorf("wait %+v", m)
				}
				return m.Seconds
			default:
				t.Fatalf("got %T", m)
			}
		}
		return 0
	}
	deadline := time.Now().Add(20 * time.Second)
	a, b, live := newDevice(t).enter(c), newDevice(t).enter(c), newDevice(t).enter(c)
	if write(a) > 0 {
		t.Error("the first bulk had to wait")
	}
	if write(b) == 0 {
		t.Error("a second bulk beside the only place")
	}
	live.push(live.seal(record.Notes, record.ID{1}, live.edit(record.New(), "x")))
	a.conn.CloseNow() // its place is free
	for wait := write(b.enter(c)); wait > 0; wait = write(b.enter(c)) {
		if time.Now().After(deadline) {
			t.Fatal("the place is never free")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
