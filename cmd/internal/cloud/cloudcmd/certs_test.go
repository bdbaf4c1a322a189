package cloudcmd

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// report is what a server logged so far.
type report struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *report) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *report) count(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.b.String(), text)
}

// Bad files are noticed without a connection, reported once, and leave the
// certificate as it was; good ones are taken up.
func TestCertificateFilesAreWatched(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	WriteCertificate(t, cert, key)
	good, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	var log report
	c, err := loadCertFiles(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	first := c.current.Load()
	tick := make(chan time.Time)
	defer c.watch(tick)()
	look := func() { // the second tick is taken when the first has been dealt with
		tick <- time.Time{}
		tick <- time.Time{}
	}
	const bad, loaded = "was not read again", "certificate loaded"
	for i, spoil := range []func() error{
		func() error { return os.WriteFile(cert, []byte("no certificate"), 0o600) },
		func() error { return os.Remove(cert) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		look()
		look()
		if n := log.count(bad); n != i+1 || c.current.Load() != first {
			t.Errorf("bad files %d: %d reports, the certificate is another: %v", i, n, c.current.Load() != first)
		}
	}
	if err := os.WriteFile(cert, good, 0o600); err != nil {
		t.Fatal(err)
	}
	look()
	if n := log.count(loaded); n != 2 || c.current.Load() == first {
		t.Errorf("good files again: loaded %d times", n)
	}
	if _, err := loadCertFiles(filepath.Join(dir, "none.pem"), key, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a certificate that is not there was loaded")
	}
}
