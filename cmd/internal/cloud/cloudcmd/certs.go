package cloudcmd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"sidekeep/syncproto/ws"
)

// certFiles is a certificate and its key in two files, which are read again when
// they changed, so that a renewed certificate needs no restart. Files that can
// not be read, or do not belong together (the other one is just being written),
// leave the certificate as it was.
type certFiles struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	stamps  [2]certStamp
	checked time.Time
}

type certStamp struct {
	modified time.Time
	size     int64
}

// certCheckEvery bounds how often the files' times and sizes are looked at.
const certCheckEvery = time.Second

func loadCertFiles(cert, key string, log *slog.Logger) (*certFiles, error) {
	c := &certFiles{cert: cert, key: key, log: log}
	return c, c.reload()
}

// config gives each connection the certificate of its time.
func (c *certFiles) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if now := time.Now(); now.Sub(c.checked) >= certCheckEvery {
			c.checked = now
			if err := c.reload(); err != nil {
				c.log.Error("the certificate was not read again; the one from before stays", "error", err)
			}
		}
		return c.current, nil
	}}
}

// reload reads the files if one of them changed. Its caller holds mu, or is the
// only one to know c.
func (c *certFiles) reload() error {
	var stamps [2]certStamp
	for i, path := range []string{c.cert, c.key} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("load certificate: %w", err)
		}
		stamps[i] = certStamp{info.ModTime(), info.Size()}
	}
	if stamps == c.stamps {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	if cert.Leaf == nil {
		return errors.New("load certificate: no certificate in " + c.cert)
	}
	c.current, c.stamps = &cert, stamps
	c.log.Info("certificate loaded", "valid_until", cert.Leaf.NotAfter.UTC().Format(time.RFC3339), "pin", ws.PinOf(cert.Leaf).String())
	return nil
}
