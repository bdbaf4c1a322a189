package cloud_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// What FuzzFront sends goes on the wire as it is, or as frames: each takes two
// bytes of the input as its length.
const (
	fuzzConnection = iota // instead of a request
	fuzzUpgraded          // after the upgrade
	fuzzMessages          // the same, as frames
	fuzzSession           // after a valid authentication
	fuzzRequests          // the same, as frames
	fuzzPhases
)

func framed(data []byte) (b []byte) {
	for len(data) > 2 {
		n := min(int(data[0])<<8|int(data[1]), len(data)-2)
		b = append(b, frame(uint64(n), data[2:2+n])...)
		data = data[2+n:]
	}
	return b
}

func unframed(messages ...[]byte) (b []byte) {
	for _, m := range messages {
		b = append(append(b, byte(len(m)>>8), byte(len(m))), m...)
	}
	return b
}

// FuzzFront sends bytes to a real server, at each level at which a client can.
// Whatever they are: no panic, the connection ends when the client's side does,
// memory and goroutines stay where they are, and honest devices are served.
func FuzzFront(f *testing.F) {
	var log lockedBuffer
	c := cloudtest.Start(f, cloudtest.Options{
		Limits: cloud.Limits{Memory: cloud.MemoryMin, AuthTime: 5 * time.Second},
		Log:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	seeds(f)
	var hostile, honest *device
	runs, before := 0, runtime.NumGoroutine()
	f.Fuzz(func(t *testing.T, phase byte, data []byte) {
		if hostile == nil {
			hostile, honest = newDevice(t), newDevice(t)
		}
		hostile.t, honest.t = t, t
		phase %= fuzzPhases
		if phase == fuzzMessages || phase == fuzzRequests {
			data = framed(data)
		}
		var conn net.Conn
		if phase < fuzzSession {
			conn = dialRaw(t, c.Addr)
			if phase > fuzzConnection {
				data = append([]byte(upgrade("x")), data...)
			}
		} else {
			conn = hostile.enterRaw(c)
		}
		go func() {
			conn.Write(data)
			conn.(*net.TCPConn).CloseWrite()
		}()
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection stays open")
		}
		conn.Close()
		if hostile.conn != nil {
			hostile.conn.CloseNow()
			hostile.conn = nil
		}
		if b := log.Take(); bytes.Contains(b, []byte("panic")) {
			t.Errorf("a panic: %s", b)
		}
		if runs++; runs%100 > 0 {
			return
		}
		honest.enter(c)
		honest.push(honest.seal(record.Notes, record.ID{byte(runs)}, honest.edit(record.New(), "x")))
		honest.conn.CloseNow()
		for tries := 0; runtime.NumGoroutine() > before+64; tries++ {
			if tries > 1000 {
				t.Fatalf("%d goroutines, %d at the start", runtime.NumGoroutine(), before)
			}
			time.Sleep(10 * time.Millisecond)
		}
		var m runtime.MemStats
		runtime.GC()
		if runtime.ReadMemStats(&m); m.HeapAlloc > cloud.MemoryMin {
			t.Fatalf("%d MiB of heap are in use after %d runs", m.HeapAlloc>>20, runs)
		}
	})
}

func seeds(f *testing.F) {
	message := func(m syncproto.Message) []byte {
		b, err := syncproto.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(byte(fuzzConnection), []byte(upgrade("x")))
	f.Add(byte(fuzzConnection), []byte("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add(byte(fuzzConnection), []byte("POST /sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx"))
	f.Add(byte(fuzzConnection), []byte("\x16\x03\x01\x02\x00\x01"))
	f.Add(byte(fuzzUpgraded), frame(1<<62, []byte("x")))
	f.Add(byte(fuzzUpgraded), []byte("\x89\x80\x00\x00\x00\x00\x88\x82\x00\x00\x00\x00\x03\xe8"))
	f.Add(byte(fuzzSession), []byte("\x02\x80\x00\x00\x00\x00\x00\x81\x00\x00\x00\x00x\x80\x80\x00\x00\x00\x00"))
	f.Add(byte(fuzzSession), frame(300_000, make([]byte, 20_000)))
	hello := &syncproto.Hello{Versions: []uint64{syncproto.ProtocolVersion}, Pending: []syncproto.Token{{1}}, Create: true}
	f.Add(byte(fuzzMessages), unframed(message(hello)))
	f.Add(byte(fuzzMessages), unframed(message(hello), message(&syncproto.Auth{Chain: []syncproto.Link{{}}})))
	d := newDevice(&testing.T{})
	sealed := d.seal(record.Notes, record.ID{1}, d.edit(record.New(), "x"))
	span := syncproto.Span{Mode: syncproto.RangeSkip}
	for _, m := range []syncproto.Message{
		&syncproto.Push{ID: 1, Versions: []syncproto.SealedVersion{sealed, sealed}},
		&syncproto.Pull{ID: 2, Kind: record.Notes, BytesMax: syncproto.BatchBytesMax},
		&syncproto.Live{ID: 3, Kinds: []syncproto.Held{{Kind: record.Notes, After: 1, Count: 1}}},
		&syncproto.Prove{ID: 4, Kinds: []syncproto.Held{{Kind: record.Notes}}},
		&syncproto.Fetch{ID: 5, Kind: record.Notes, Refs: make([]syncproto.Ref, 3)},
		&syncproto.Have{ID: 6, Chunks: make([]record.ChunkID, 2)},
		&syncproto.Want{ID: 7, Chunks: make([]record.ChunkID, 2)},
		&syncproto.Aside{ID: 8, Kind: record.Notes, Refs: make([]syncproto.Ref, 1)},
		&syncproto.Range{ID: 9, Kind: record.Notes, Spans: []syncproto.Span{span}},
		&syncproto.Bye{},
	} {
		b, err := syncproto.Encode(m)
		if err != nil {
			continue // not every message of zeros is one
		}
		f.Add(byte(fuzzRequests), unframed(b, b))
	}
}
