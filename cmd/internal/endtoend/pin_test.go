package endtoend

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/syncproto/ws"
)

// A pinned key replaces authority, name and dates: whatever a handset's clock
// says, it knows its cloud, and no other.
func TestPinnedKey(t *testing.T) {
	now := time.Now()
	cert, _ := certificate(t, now.Add(-48*time.Hour), now.Add(-24*time.Hour)) // of nobody, expired
	url := secureCloud(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	other, _ := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	pin, wrong := ws.PinOf(cert.Leaf), ws.PinOf(other.Leaf)
	for _, c := range []struct {
		name  string
		pins  []ws.Pin
		clock time.Time
		want  error
	}{
		{"right", []ws.Pin{pin}, now, nil},
		{"right in 1970", []ws.Pin{pin}, time.Unix(0, 0), nil},
		{"right in 2038", []ws.Pin{pin}, time.Date(2038, 1, 20, 0, 0, 0, 0, time.UTC), nil},
		{"one of two", []ws.Pin{wrong, pin}, now, nil},
		{"wrong", []ws.Pin{wrong}, now.Add(-36 * time.Hour), agent.ErrCertificate},
		{"none", nil, now, agent.ErrCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newAccount(t).join(t, "d", url, func(conf *agent.Config) {
				conf.Pins = c.pins
				conf.Now = func() time.Time { return c.clock }
			})
			if err := d.trySync(20 * time.Second); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// An authority that vouches for another key does not help whoever is in between.
func TestPinnedKeyOverAuthority(t *testing.T) {
	now := time.Now()
	mine, _ := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	other, pool := certificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	url := secureCloud(t, &tls.Config{Certificates: []tls.Certificate{other}})
	d := newAccount(t).join(t, "d", url, func(conf *agent.Config) {
		conf.Pins = []ws.Pin{ws.PinOf(mine.Leaf)}
		conf.TLS = &tls.Config{RootCAs: pool}
	})
	if err := d.trySync(20 * time.Second); !errors.Is(err, agent.ErrCertificate) || !errors.Is(err, ws.ErrPin) {
		t.Errorf("got %v", err)
	}
}
