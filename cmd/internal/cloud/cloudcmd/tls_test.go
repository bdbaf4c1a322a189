package cloudcmd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudcmd"
	"sidekeep/syncproto/ws"
)

// certificate writes a certificate for 127.0.0.1 and returns the pool that trusts it.
func certificate(t *testing.T, certPath, keyPath string) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(cloudcmd.WriteCertificate(t, certPath, keyPath))
	return pool
}

func TestServeWithCertificate(t *testing.T) {
	dir := t.TempDir()
	certPath, keyPath := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := certificate(t, certPath, keyPath)
	p := start(t, filepath.Join(dir, "data"), "127.0.0.1:0", "--tls-cert", certPath, "--tls-key", keyPath, "--metrics-listen", "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := ws.Dial(ctx, "wss://"+p.addr+"/sync", ws.DialOptions{TLS: &tls.Config{RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ws.Dial(ctx, "wss://"+p.addr+"/sync", ws.DialOptions{}); err == nil {
		t.Error("a certificate that nobody trusts was accepted")
	}
	if _, err := ws.Dial(ctx, "ws://"+p.addr+"/sync", ws.DialOptions{}); err == nil {
		t.Error("a plain connection to a TLS port")
	}
	// HTTP/2 is not spoken: a websocket can not be upgraded there.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	resp, err := client.Get("https://" + p.addr + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
		t.Errorf("health: %v, %v", resp, err)
	}
	go c.Read(ctx) // for the closing handshake
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, p.errs)
	}
	if !strings.Contains(p.errs.String(), "metrics on 127.0.0.1:") {
		t.Errorf("says %s", p.errs)
	}
}

// A renewed certificate is shown without a restart; half of a new pair changes
// nothing, and sessions go on.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certPath, keyPath := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first := certificate(t, certPath, keyPath)
	p := start(t, filepath.Join(dir, "data"), "127.0.0.1:0", "--tls-cert", certPath, "--tls-key", keyPath)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	try := func(pool *x509.CertPool) (*ws.Conn, error) {
		return ws.Dial(ctx, "wss://"+p.addr+"/sync", ws.DialOptions{TLS: &tls.Config{RootCAs: pool}})
	}
	old, err := try(first)
	if err != nil {
		t.Fatal(err)
	}
	oldKey, err := os.ReadFile(keyPath)
	if err != nil {
		t.Fatal(err)
	}
	second := certificate(t, certPath, filepath.Join(dir, "new-key.pem")) // the certificate comes first, its key later
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(p.errs.String(), "was not read again"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the log says nothing of the half, and nobody connects")
		}
	}
	if c, err := try(first); err != nil {
		t.Fatalf("with half of a new pair: %v", err)
	} else {
		go c.CloseNow()
	}
	if err := os.Rename(filepath.Join(dir, "new-key.pem"), keyPath); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := try(second)
		if err == nil {
			go c.CloseNow()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the new certificate is not shown: %v", err)
		}
	}
	if now, _ := os.ReadFile(keyPath); string(now) == string(oldKey) {
		t.Error("the key is the same")
	}
	old.CloseNow()
	p.stop(syscall.SIGTERM)
}

func TestMetricsOnLoopbackOnly(t *testing.T) {
	for _, c := range []struct {
		listen string
		want   int
	}{{"127.0.0.1:0", http.StatusOK}, {"0.0.0.0:0", http.StatusNotFound}} {
		p := start(t, t.TempDir(), c.listen, "--origin", "ws://cloud.example.org:1")
		_, port, err := net.SplitHostPort(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get("http://127.0.0.1:" + port + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d", c.listen, resp.StatusCode)
		}
		p.stop(syscall.SIGTERM)
	}
}
