package cloudcmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"sidekeep/syncproto/ws"
)

// certFiles is a certificate and its key in two files, which are read again when
// they changed, so that a renewed certificate needs no restart. Files that can
// not be read, or do not belong together (the other one is just being written),
// leave the certificate as it was, and are reported once.
type certFiles struct {
	cert, key string
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	tried     [2]certStamp // the last that was read; only the goroutine that reloads has it
}

// certStamp tells that a file changed; zero is a file that can not be looked at.
type certStamp struct {
	modified time.Time
	size     int64
}

// certCheckEvery is how often the files' times and sizes are looked at.
const certCheckEvery = 2 * time.Second

func loadCertFiles(cert, key string, log *slog.Logger) (*certFiles, error) {
	c := &certFiles{cert: cert, key: key, log: log}
	return c, c.reload()
}

// config gives each connection the certificate of its time.
func (c *certFiles) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.current.Load(), nil
	}}
}

// watch looks at the files at each tick, and when SIGHUP comes, until stop.
func (c *certFiles) watch(tick <-chan time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick:
			case <-hangup:
				c.tried[0].size = -1 // whoever sends it wants to hear what comes of it
			}
			if err := c.reload(); err != nil {
				c.log.Error("the certificate was not read again; the one from before stays", "error", err)
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		cancel()
		<-done
	}
}

// reload reads the files if one of them changed since it last tried.
func (c *certFiles) reload() error {
	var stamps [2]certStamp
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = certStamp{info.ModTime(), info.Size()}
		}
	}
	if c.current.Load() != nil && stamps == c.tried {
		return nil
	}
	c.tried = stamps
	cert, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	if cert.Leaf == nil {
		return errors.New("load certificate: no certificate in " + c.cert)
	}
	c.current.Store(&cert)
	c.log.Info("certificate loaded", "valid_until", cert.Leaf.NotAfter.UTC().Format(time.RFC3339), "pin", ws.PinOf(cert.Leaf).String())
	return nil
}
