package cloud_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// wantRefused checks that m is an error with this code.
func wantRefused(t *testing.T, m syncproto.Message, code syncproto.Code) {
	t.Helper()
	if e, ok := m.(*syncproto.ErrorMessage); !ok || e.Code != code {
		t.Errorf("got %T %+v, want error %s", m, m, code)
	}
}

// TestRelayedAuthIsRefused is case 9 of the threat model: cloud B hands cloud
// A's challenge to a device that is configured with B, and the answer to A.
func TestRelayedAuthIsRefused(t *testing.T) {
	a, b := cloudtest.Start(t, cloudtest.Options{}), cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t)
	d.origin = b.URL
	wantRefused(t, d.connect(a), syncproto.CodeRefused)
	d.origin = "wss://" + a.Addr // the same host and port with another scheme
	wantRefused(t, d.connect(a), syncproto.CodeRefused)
	d.origin = ""
	d.enter(a)
}

// TestDowngradeIsSeen is the cloud's part of case 11: versions that were taken
// out of a hello on its way break the signature, and a cloud that does not speak
// any of the offered versions says so.
func TestDowngradeIsSeen(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t)
	d.dial(c)
	h := &syncproto.Hello{Versions: []uint64{syncproto.ProtocolVersion}, Account: d.id.Account, Device: d.id.Device(), Replica: d.replica, Pending: []syncproto.Token{{1}}, Create: true}
	d.send(h)
	challenge := expect[*syncproto.Challenge](d)
	said := *h
	said.Versions = []uint64{syncproto.ProtocolVersion, syncproto.ProtocolVersion + 1}
	d.auth(&said, challenge, c.URL)
	d.closed(syncproto.CodeRefused)

	for _, versions := range [][]uint64{{0}, {1}, {3, 4}} {
		d.dial(c)
		h.Versions = versions
		d.send(h)
		d.closed(syncproto.CodeVersion)
	}
}

func TestEveryRefusalLooksAlike(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	owner := newDevice(t).enter(c)
	change := func(f func(*device)) *device {
		d := owner.sibling()
		d.create = true
		f(d)
		return d
	}
	other := newDevice(t)
	for name, d := range map[string]*device{
		"another account's chain": change(func(d *device) { d.id.Chain = other.id.Chain }),
		"a chain of a stranger":   change(func(d *device) { d.id.Account = other.id.Account }),
		"another device's key":    change(func(d *device) { d.id.Seed = other.id.Seed }),
		"an unknown account, self-certified": change(func(d *device) {
			d.id.Account[0] ^= 1
			d.id.Chain[0].Account[0] ^= 1
		}),
	} {
		// The certificates of d are shared with owner until changed.
		t.Run(name, func(t *testing.T) {
			d.t = t
			wantRefused(t, d.connect(c), syncproto.CodeRefused)
		})
	}
}

func TestUnknownAccount(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t)
	d.create = false
	wantRefused(t, d.connect(c), syncproto.CodeUnknownAccount)
	d.create = true
	d.enter(c)
	d.create = false
	d.enter(c)
}

func TestAdmission(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admit")
	list := func(lines string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(250 * time.Millisecond) // longer than the time between two looks
	}
	list("# nobody\n")
	admit, err := cloud.NewAdmitFile(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := cloudtest.Start(t, cloudtest.Options{Admit: admit})
	d, o := newDevice(t), newDevice(t)
	o.create = false
	wantRefused(t, d.connect(c), syncproto.CodeRefused)
	wantRefused(t, o.connect(c), syncproto.CodeRefused) // not "unknown account"
	list("\n# one\n" + d.id.Account.String() + "\n")
	d.enter(c)
	wantRefused(t, o.connect(c), syncproto.CodeRefused)
	list("not an account\n") // the list stays as it was
	d.enter(c)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	d.enter(c)
	if _, err := cloud.NewAdmitFile(path, nil); err == nil {
		t.Error("a missing list was accepted at the start")
	}
	closed := cloudtest.Start(t, cloudtest.Options{Admit: cloud.AdmitNone{}})
	wantRefused(t, newDevice(t).connect(closed), syncproto.CodeRefused)
}

func TestClaims(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	clone := *a
	a.enter(c)
	clone.conn = nil
	if w := clone.connect(c).(*syncproto.Welcome); w.Claim != syncproto.ClaimStale {
		t.Errorf("claim of a clone: %+v", w)
	}
	// It may read, but not write.
	clone.send(&syncproto.Push{ID: 1, Versions: []syncproto.SealedVersion{clone.seal(record.Notes, record.ID{1}, clone.edit(record.New(), "x"))}})
	if e := expect[*syncproto.ErrorMessage](&clone); e.Code != syncproto.CodeNotClaimed || e.Ref != 1 {
		t.Errorf("push without a claim: %+v", e)
	}
	if items, _ := clone.pull(record.Notes, 0); len(items) != 0 {
		t.Errorf("%d items", len(items))
	}

	a.conn.CloseNow()
	clone.conn.CloseNow()
	d := c.Destroy()
	a.create = true
	epoch := a.welcome.Epoch
	if w := a.connect(d).(*syncproto.Welcome); w.Claim != syncproto.ClaimUnknown || w.Epoch == epoch {
		t.Errorf("claim at a new cloud: %+v", w)
	}
	a.enterFresh(d)
}

// enterFresh takes a new replica id and enters.
func (d *device) enterFresh(c *cloudtest.Cloud) *device {
	rand.Read(d.replica[:])
	d.last, d.pending = syncproto.Token{}, nil
	return d.enter(c)
}

// TestNewerSessionEndsOlder: the older session of a replica is over before the
// newer one is told anything.
func TestNewerSessionEndsOlder(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	older := *a
	a.conn = nil // stays open in older
	a.enter(c)
	older.closed(syncproto.CodeSuperseded)
	a.push(a.seal(record.Notes, record.ID{1}, a.edit(record.New(), "x")))
	b := a.sibling().enter(c) // another replica does not end it
	b.push(b.seal(record.Notes, record.ID{2}, b.edit(record.New(), "y")))
	a.push(a.seal(record.Notes, record.ID{3}, a.edit(record.New(), "z")))
}

func TestBeforeAuthentication(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t)
	filled := func(n int) []byte { return append([]byte{0x82, 1}, bytes.Repeat([]byte{0}, n-2)...) }
	for _, test := range []struct {
		name string
		data []byte
		code syncproto.Code
	}{
		{"empty", nil, syncproto.CodeBadMessage},
		{"noise", []byte("GET / HTTP/1.1"), syncproto.CodeBadMessage},
		{"at the limit", filled(syncproto.PreAuthBytesMax), syncproto.CodeBadMessage},
		{"one over", filled(syncproto.PreAuthBytesMax + 1), syncproto.CodeTooLarge},
		{"pull first", encoded(t, &syncproto.Pull{ID: 1, Kind: "notes"}), syncproto.CodeOutOfOrder},
		{"auth first", encoded(t, &syncproto.Auth{Chain: []syncproto.Link{{}}}), syncproto.CodeOutOfOrder},
		{"unknown type", []byte{0x82, 0x18, 99, 0xa0}, syncproto.CodeUnknownType},
	} {
		t.Run(test.name, func(t *testing.T) {
			d.t = t
			d.dial(c)
			d.sendRaw(test.data)
			d.closed(test.code)
		})
	}
	d.t = t
	d.dial(c)
	d.hello()
	expect[*syncproto.Challenge](d)
	d.hello()
	d.closed(syncproto.CodeOutOfOrder)
	// Far over the limit, the connection is cut without a word.
	d.dial(c)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.conn.Write(ctx, make([]byte, 64*1024)); err == nil { // else it was cut while writing
		if m, err := d.try(10 * time.Second); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", m, err)
		}
	}
}

func encoded(t *testing.T, m syncproto.Message) []byte {
	t.Helper()
	b, err := syncproto.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSlowToAuthenticate(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the deadline")
	}
	t.Parallel()
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t)
	d.dial(c)
	d.hello()
	expect[*syncproto.Challenge](d)
	began := time.Now()
	m, err := d.try((syncproto.PreAuthSeconds + 5) * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, m, syncproto.CodeTimeout)
	if took := time.Since(began); took < (syncproto.PreAuthSeconds-2)*time.Second {
		t.Errorf("after %v", took)
	}
}

func TestBrowsersAndRedirects(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	for _, test := range []struct {
		header, value string
		want          int
	}{
		{"Origin", "http://" + c.Addr, http.StatusForbidden},
		{"Origin", "null", http.StatusForbidden},
		{"Sec-WebSocket-Protocol", "sidekeep.v0", http.StatusBadRequest},
	} {
		r, _ := http.NewRequest("GET", "http://"+c.Addr+"/sync", nil)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Version", "13")
		r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		if test.header != "Sec-WebSocket-Protocol" {
			r.Header.Set("Sec-WebSocket-Protocol", ws.Subprotocol)
		}
		r.Header.Set(test.header, test.value)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s %s: %d, want %d", test.header, test.value, resp.StatusCode, test.want)
		}
	}
}

func TestHealthAndMetrics(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	a.push(a.seal(record.Notes, record.ID{1}, a.edit(record.New(), "x")))
	get := func(path string) string {
		t.Helper()
		resp, err := http.Get("http://" + c.Addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		return string(b)
	}
	if got := get("/healthz"); got != "ok\n" {
		t.Errorf("health %q", got)
	}
	m := get("/metrics")
	for _, want := range []string{`sidekeep_cloud_versions_total{outcome="stored"} 1`, `sidekeep_cloud_messages_total{direction="in",type="push"} 1`, "sidekeep_cloud_sessions 1"} {
		if !bytes.Contains([]byte(m), []byte(want)) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, secret := range []string{a.id.Account.String(), a.id.Device().String(), a.replica.String()} {
		if bytes.Contains([]byte(m), []byte(secret)) {
			t.Error("metrics hold an id")
		}
	}
}

func TestFullCloudAsksToWait(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{SessionsMax: 1})
	a := newDevice(t).enter(c)
	b := newDevice(t)
	b.dial(c)
	if w := expect[*syncproto.Wait](b); w.Code != syncproto.CodeBusy || w.Seconds < 30 || w.Seconds > 60 {
		t.Errorf("wait %+v", w)
	}
	a.push(a.seal(record.Notes, record.ID{1}, a.edit(record.New(), "x")))
}

func TestDrain(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	v := a.seal(record.Notes, record.ID{1}, a.edit(record.New(), "x"))
	a.push(v)
	waiting := newDevice(t)
	waiting.dial(c)
	// Each side of a close waits for the other: the devices must be reading.
	done := make(chan error, 2)
	for _, d := range []*device{a, waiting} {
		go func() {
			m, _ := d.try(10 * time.Second)
			if _, ok := m.(*syncproto.Bye); !ok {
				done <- errors.New("no bye")
				return
			}
			_, err := d.try(10 * time.Second)
			if ws.CloseStatus(err) != ws.StatusGoingAway {
				done <- err
				return
			}
			done <- nil
		}()
	}
	began := time.Now()
	c2 := c.Restart()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("drained in %v", took)
	}
	a.enter(c2)
	if items, _ := a.pull(record.Notes, 0); len(items) != 1 || !bytes.Equal(items[0].Body, v.Body) {
		t.Errorf("%d items after a restart", len(items))
	}
}

// TestLogHoldsNoIDs: whatever happens, the log names nobody.
func TestLogHoldsNoIDs(t *testing.T) {
	var log lockedBuffer
	c := cloudtest.Start(t, cloudtest.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	a := newDevice(t).enter(c)
	id := record.ID{1, 2, 3}
	s := a.seal(record.Notes, id, a.edit(record.New(), "FN:secret words"))
	a.push(s)
	h, _ := seal.ParseHeader(s.Header)
	a.send(&syncproto.Aside{ID: a.next(), Kind: record.Notes, Refs: []syncproto.Ref{syncproto.NewRef(id, h.VersionID)}})
	expect[*syncproto.Proof](a)
	a.sendRaw([]byte{1})
	a.closed(syncproto.CodeBadMessage)
	d := newDevice(t)
	d.create = false
	d.connect(c)
	d.conn.CloseNow()
	c.Stop()
	if log.Len() == 0 {
		t.Fatal("an empty log")
	}
	for _, secret := range []string{a.id.Account.String(), a.id.Device().String(), a.replica.String(), id.String(), h.VersionID.String(), "secret words"} {
		if bytes.Contains(log.Bytes(), []byte(secret)) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

func TestSessionsOfAnAccount(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	for range cloud.AccountSessionsMax - 1 {
		a.sibling().enter(c)
	}
	wantRefused(t, a.sibling().connect(c), syncproto.CodeBusy)
	newDevice(t).enter(c) // another account has its own
	a.enter(c)            // the same replica takes the place of its older session
}
