package cloudcmd_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudcmd"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// roleVar makes the test's own binary the real command.
const roleVar = "SIDEKEEP_CLOUD_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVar) != "" {
		os.Exit(cloudcmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// command runs sidekeep-cloud in this process.
func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cloudcmd.Main(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// process is a real sidekeep-cloud.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	errs *lines
}

// lines is what a process says; it may be read while more comes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, dir, listen string, more ...string) *process {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	p := &process{t: t, errs: &lines{}}
	p.cmd = exec.Command(os.Args[0], append([]string{"serve", "--data", dir, "--listen", listen, "--ready-file", ready}, more...)...)
	p.cmd.Env = append(os.Environ(), roleVar+"=1")
	p.cmd.Stderr = p.errs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(ready); err == nil {
			p.addr = strings.TrimSpace(string(b))
			return p
		}
	}
	t.Fatalf("not ready: %s", p.errs)
	return nil
}

// stop ends the process with a signal and returns its exit code.
func (p *process) stop(s os.Signal) int {
	p.cmd.Process.Signal(s)
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"--help"}, 0, ""},
		{"help of serve", []string{"serve", "--help"}, 0, ""},
		{"no command", []string{"bogus"}, 2, "no command"},
		{"unknown flag", []string{"serve", "--bogus"}, 2, "bogus"},
		{"an argument too many", []string{"report", "x"}, 2, "unknown command"},
		{"no data", []string{"serve"}, 2, "--data"},
		{"key without certificate", []string{"serve", "--data", dir, "--tls-key", "x"}, 2, "belong together"},
		{"a scrub that goes back", []string{"serve", "--data", dir, "--scrub-every", "-1h"}, 2, "--scrub-every"},
		{"a scrub that reads nothing", []string{"serve", "--data", dir, "--scrub-bytes", "0"}, 2, "--scrub-bytes"},
		{"no origin", []string{"serve", "--data", filepath.Join(dir, "a"), "--listen", "0.0.0.0:0"}, 2, "hint: name the address"},
		{"bad origin", []string{"serve", "--data", filepath.Join(dir, "b"), "--listen", "127.0.0.1:0", "--origin", "ftp://x"}, 1, "origin"},
		{"no list", []string{"serve", "--data", filepath.Join(dir, "c"), "--listen", "127.0.0.1:0", "--admit", "/nowhere"}, 1, "admission list"},
		{"nothing there", []string{"report", "--data", filepath.Join(dir, "d")}, 1, "no cloud's data"},
		{"bad account", []string{"report", "--data", filepath.Join(dir, "a"), "--account", "x"}, 2, "--account"},
		{"unknown account", []string{"report", "--data", filepath.Join(dir, "a"), "--account", strings.Repeat("ab", 32)}, 1, "unknown account"},
		{"verify", []string{"verify", "--data", filepath.Join(dir, "a")}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := command(c.args...)
			if code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("exit %d, want %d\n%s%s", code, c.code, out, errs)
			}
			if c.says != "" && !strings.HasPrefix(errs[strings.Index(errs, "sidekeep-cloud: "):], "sidekeep-cloud: ") {
				t.Errorf("says %q", errs)
			}
		})
	}
}

func TestOneServerAFolder(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, "127.0.0.1:0")
	if code, _, errs := command("serve", "--data", dir, "--listen", "127.0.0.1:0"); code != 7 || !strings.Contains(errs, "another server") {
		t.Errorf("a second server: exit %d, %s", code, errs)
	}
	if code, out, errs := command("verify", "--data", dir); code != 0 || !strings.Contains(out, "0 problems") {
		t.Errorf("verify beside it: exit %d, %s", code, errs)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d on SIGTERM: %s", code, p.errs)
	}
}

func TestVerifyOfDamage(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlitestore.Open(context.Background(), dir, sqlitestore.Options{Rand: crand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	path := filepath.Join(dir, sqlitestore.FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) - 3*4096; i < len(b); i += 7 {
		b[i] ^= 0x55
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command("verify", "--data", dir, "--json")
	if code != 6 || !strings.Contains(errs, "hint: stop the server and run: sidekeep-cloud verify --repair") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	var v struct {
		Verified cloudstore.Verified
		Problems []cloudstore.Problem
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Verified.Problems == 0 || len(v.Problems) != v.Verified.Problems {
		t.Errorf("%s: %v", out, err)
	}
}

// writer pushes versions of one account until it is told to stop, and remembers
// what was acknowledged.
type writer struct {
	id      *seal.Identity
	keys    *seal.Keys
	replica record.ReplicaID
	last    syncproto.Token
	pending []syncproto.Token
	counter uint64
	n       int
	acked   []syncproto.Ref
	chunks  []record.ChunkID
	first   sync.Once
	begun   chan struct{} // closed at the first acknowledgement
}

var errEnded = errors.New("the cloud said something else")

func newWriter(t *testing.T) *writer {
	t.Helper()
	secret, err := seal.NewSecret(crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := seal.NewIdentity(secret, crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{id: id, keys: id.Keys(), begun: make(chan struct{})}
	crand.Read(w.replica[:])
	return w
}

// Next implements record.Minter.
func (w *writer) Next() record.Dot {
	w.counter++
	return record.Dot{Replica: w.replica, Counter: w.counter}
}

// session opens a session and calls use with what sends and receives. Any error
// means that the connection is gone.
func (w *writer) session(addr string, use func(send func(syncproto.Message) error, recv func() (syncproto.Message, error)) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := ws.Dial(ctx, "ws://"+addr+"/sync", ws.DialOptions{})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	send := func(m syncproto.Message) error {
		b, err := syncproto.Encode(m)
		if err != nil {
			return err
		}
		return c.Write(ctx, b)
	}
	recv := func() (syncproto.Message, error) {
		b, err := c.Read(ctx)
		if err != nil {
			return nil, err
		}
		return syncproto.Decode(b)
	}
	var token syncproto.Token
	crand.Read(token[:])
	w.pending = append(w.pending, token)
	w.pending = w.pending[max(0, len(w.pending)-syncproto.PendingTokensMax):]
	h := &syncproto.Hello{Versions: []uint64{syncproto.ProtocolVersion}, Account: w.id.Account, Device: w.id.Device(), Replica: w.replica, Last: w.last, Pending: w.pending, Counter: w.counter, Create: true}
	if err := send(h); err != nil {
		return err
	}
	m, err := recv()
	if err != nil {
		return err
	}
	challenge := m.(*syncproto.Challenge)
	hb, _ := syncproto.Encode(h)
	cb, _ := syncproto.Encode(challenge)
	sig := w.id.Authenticate(seal.AuthInput{DeviceNonce: h.Nonce, CloudNonce: challenge.Nonce, Account: h.Account, Device: h.Device, Replica: h.Replica,
		Token: h.Newest(), Transcript: seal.Transcript(hb, cb), Origin: "ws://" + addr})
	if err := send(&syncproto.Auth{Signature: [64]byte(sig), Chain: syncproto.NewLinks(w.id.Chain)}); err != nil {
		return err
	}
	if m, err = recv(); err != nil {
		return err
	}
	welcome, ok := m.(*syncproto.Welcome)
	if !ok {
		return &syncproto.Error{Code: syncproto.CodeRefused}
	}
	if welcome.Claim != syncproto.ClaimAccepted {
		panic("a claim of an honest device was refused")
	}
	w.last, w.pending = token, nil
	return use(send, recv)
}

// write pushes until the connection breaks.
func (w *writer) write(addr string) error {
	return w.session(addr, func(send func(syncproto.Message) error, recv func() (syncproto.Message, error)) error {
		for id := syncproto.RequestID(1); ; id++ {
			push := &syncproto.Push{ID: id}
			var refs []syncproto.Ref
			for range 1 + rand.IntN(5) {
				w.n++
				s, err := w.keys.SealVersion(record.Notes, record.ID{byte(w.n >> 16), byte(w.n >> 8), byte(w.n)},
					record.Set(record.New(), []record.Edit{{Key: "SUMMARY", Line: []byte("SUMMARY:x")}}, w))
				if err != nil {
					return err
				}
				v, err := seal.ParseHeader(s.Header)
				if err != nil {
					return err
				}
				refs = append(refs, syncproto.NewRef(v.ID, v.VersionID))
				push.Versions = append(push.Versions, syncproto.SealedVersion{Header: s.Header, Body: s.Body})
			}
			if err := send(push); err != nil {
				return err
			}
			if m, err := recv(); err != nil {
				return err
			} else if ack, ok := m.(*syncproto.Ack); ok && len(ack.Rejects) == 0 {
				w.acked = append(w.acked, refs...)
				w.first.Do(func() { close(w.begun) })
			} else {
				return errEnded
			}
			plain := []byte{byte(w.n >> 8), byte(w.n), 1}
			s, err := w.keys.SealChunk(plain)
			if err != nil {
				return err
			}
			if err := send(&syncproto.Chunk{Header: s.Header, Body: s.Body}); err != nil {
				return err
			}
			if m, err := recv(); err != nil {
				return err
			} else if _, ok := m.(*syncproto.Stored); !ok {
				return errEnded
			}
			w.chunks = append(w.chunks, w.keys.ChunkID(plain))
		}
	})
}

// TestKillLosesNothingAcknowledged kills a real cloud at random moments while
// several accounts write, and starts it again on the same data.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	writers := []*writer{newWriter(t), newWriter(t), newWriter(t), newWriter(t)}
	listen := "127.0.0.1:0"
	for round := range rounds {
		p := start(t, dir, listen)
		listen = p.addr
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := w.write(p.addr); err == nil {
					t.Error("a session ended in peace")
				}
			}()
		}
		time.Sleep(time.Duration(20+rand.IntN(250)) * time.Millisecond)
		if round == rounds-1 { // on a slow machine those before may have been too short
			select {
			case <-writers[0].begun:
			case <-time.After(time.Minute):
			}
		}
		p.stop(syscall.SIGKILL)
		wg.Wait()
		if code, out, errs := command("verify", "--data", dir); code != 0 {
			t.Fatalf("verify: exit %d\n%s%s", code, out, errs)
		}
	}
	s, err := sqlitestore.Open(context.Background(), dir, sqlitestore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	total := 0
	for _, w := range writers {
		total += len(w.acked)
		for refs := w.acked; len(refs) > 0; {
			got, err := s.Fetch(context.Background(), w.id.Account, record.Notes, refs[:min(len(refs), syncproto.FetchMax)])
			if err != nil || len(got.Items) != got.Done {
				t.Fatalf("%d of %d acknowledged versions are there, %v", len(got.Items), got.Done, err)
			}
			refs = refs[got.Done:]
		}
		if missing, err := s.Chunks().Missing(context.Background(), w.id.Account, w.chunks); err != nil || len(missing) > 0 {
			t.Errorf("%d acknowledged chunks are gone, %v", len(missing), err)
		}
	}
	if total == 0 {
		t.Error("nothing was acknowledged")
	}
	t.Logf("%d versions acknowledged in %d rounds", total, rounds)
}

// TestReport: the report beside a running server, for people and as JSON.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, "127.0.0.1:0")
	w := newWriter(t)
	done := make(chan error, 1)
	go func() { done <- w.write(p.addr) }()
	time.Sleep(200 * time.Millisecond)
	if code, out, errs := command("report", "--data", dir); code != 0 || !strings.Contains(out, "account "+w.id.Account.String()) || !strings.Contains(out, "notes") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, p.errs)
	}
	<-done
	code, out, errs := command("report", "--data", dir, "--json", "--account", w.id.Account.String())
	var r cloudstore.Report
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil || len(r.Accounts) != 1 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	a := r.Accounts[0]
	if len(a.Kinds) != 1 || a.Kinds[0].Live < len(w.acked) || a.Kinds[0].Deleted != 0 || int(a.Chunks) < len(w.chunks) || len(r.Epoch) != 32 {
		t.Errorf("%+v, acknowledged %d and %d", a, len(w.acked), len(w.chunks))
	}
}
