package agent

import (
	"crypto/tls"
	"crypto/x509"
	"runtime/debug"
	"time"

	"sidekeep/syncproto/ws"
)

// epochOfCode is a time that has certainly passed; a clock before it is dead.
var epochOfCode = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// buildTime is when this program was built, as far as it knows.
func buildTime() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key != "vcs.time" {
				continue
			}
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil && t.After(epochOfCode) {
				return t
			}
		}
	}
	return epochOfCode
}

// trustedTime is the clock; or, if that is dead (a handset that lost power
// begins in 1970), the latest time that is known to have passed.
func trustedTime(clock, built, lastGood time.Time) time.Time {
	if !clock.Before(built) {
		return clock
	}
	if lastGood.After(built) {
		return lastGood
	}
	return built
}

func (a *Agent) now() time.Time { return trustedTime(a.cfg.Now(), buildTime(), a.memory.lastGood()) }

// tlsConfig returns the configuration of one connection, which checks dates
// against the trusted time and leaves the server's certificate in leaf.
func (a *Agent) tlsConfig(leaf **x509.Certificate) *tls.Config {
	c := &tls.Config{}
	if a.cfg.TLS != nil {
		c = a.cfg.TLS.Clone()
	}
	c.MinVersion = tls.VersionTLS13
	c.Time = a.now
	if len(a.cfg.Pins) > 0 {
		ws.Pinned(c, a.cfg.Pins...)
	}
	next := c.VerifyConnection
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if next != nil {
			if err := next(s); err != nil {
				return err
			}
		}
		if len(s.PeerCertificates) > 0 {
			*leaf = s.PeerCertificates[0]
		}
		return nil
	}
	return c
}

// sawTime takes the cloud's time. It is believed only as far as the certificate
// that the cloud showed is valid then.
func (a *Agent) sawTime(seconds uint64, leaf *x509.Certificate) {
	if leaf == nil || seconds > 1<<40 {
		return
	}
	t := time.Unix(int64(seconds), 0)
	if t.Before(leaf.NotBefore) || t.After(leaf.NotAfter) {
		return
	}
	if err := a.memory.sawTime(t); err != nil {
		a.cfg.Log.Warn("keep the time", "error", err)
	}
}
