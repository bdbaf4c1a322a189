package endtoend

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// A redirect is refused, and the host that it names never hears of the device.
func TestCase10Redirect(t *testing.T) {
	var contacted atomic.Int32
	second := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { contacted.Add(1) }))
	defer second.Close()
	first := httptest.NewServer(http.RedirectHandler(second.URL+"/sync", http.StatusTemporaryRedirect))
	defer first.Close()
	d := newAccount(t).join(t, "d", strings.Replace(first.URL, "http", "ws", 1))
	if err := d.trySync(20 * time.Second); !errors.Is(err, agent.ErrRefused) {
		t.Errorf("got %v", err)
	}
	if contacted.Load() != 0 {
		t.Error("the other host was contacted")
	}
}

func TestNotAdmittedIsRefused(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{Admit: cloud.AdmitNone{}})
	d := newAccount(t).join(t, "d", c.URL)
	d.add(record.Notes, "n", "SUMMARY", "stays here")
	if err := d.trySync(20 * time.Second); !errors.Is(err, agent.ErrRefused) {
		t.Errorf("got %v", err)
	}
	d.get("n")
}

// A cloud that relays a login to another is refused there: the device signed the
// address that it dialled.
func TestCase09RelayAuth(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	relay := newProxy(t, c.Addr)
	// The device is configured with the relay's address, and signs that.
	d := newAccount(t).join(t, "d", "ws://"+relay.listen.Addr().String())
	if err := d.trySync(20 * time.Second); !errors.Is(err, agent.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

// A cloud that once spoke a newer version of the protocol can not go back.
func TestCase11Downgrade(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newAccount(t).join(t, "d", c.URL)
	d.sync()
	remembered, err := os.ReadFile(filepath.Join(d.home, "agent.json"))
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(remembered), fmt.Sprintf("%q: %d", c.URL, syncproto.ProtocolVersion), fmt.Sprintf("%q: %d", c.URL, syncproto.ProtocolVersion+1), 1)
	if newer == string(remembered) {
		t.Fatalf("the version is not remembered: %s", remembered)
	}
	// As if this cloud had spoken a newer version with a newer program.
	if err := os.WriteFile(filepath.Join(d.home, "agent.json"), []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, versions := range [][]uint64{nil, {syncproto.ProtocolVersion, syncproto.ProtocolVersion + 1}} {
		d.conf.Versions = versions
		d.reopen()
		if err := d.trySync(20 * time.Second); !errors.Is(err, agent.ErrRefused) || !errors.Is(err, agent.ErrVersion) {
			t.Errorf("offering %v: got %v", versions, err)
		}
	}
}

func TestNotReachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	d := newAccount(t).join(t, "d", "ws://"+addr)
	start := time.Now()
	if err := d.trySync(time.Minute); !errors.Is(err, agent.ErrNotReachable) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFullCloudAsksToComeBack(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{SessionsMax: 1})
	person := newAccount(t)
	a, b := person.join(t, "a", c.URL), person.join(t, "b", c.URL)
	a.run()
	a.waitLive()
	if err := b.trySync(3 * time.Second); !errors.Is(err, agent.ErrCloudFails) {
		t.Errorf("got %v", err)
	}
	a.stop()
	// The cloud may take a moment to see that the place is free.
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := b.trySync(20 * time.Second)
		if err == nil {
			break
		}
		if !errors.Is(err, agent.ErrCloudFails) || time.Now().After(deadline) {
			t.Fatalf("after a place was free: %v", err)
		}
	}
}

// flipStored changes one byte in the body of a stored version, as someone does
// who knows of the checksum beside it.
func flipStored(t *testing.T, dir string, id record.ID) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "cloud.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var body []byte
	if err := db.QueryRow("SELECT body FROM version WHERE record = ?", id[:]).Scan(&body); err != nil {
		t.Fatal(err)
	}
	body[len(body)/2] ^= 1
	if _, err := db.Exec("UPDATE version SET body = ?, crc = NULL WHERE record = ?", body, id[:]); err != nil {
		t.Fatal(err)
	}
}

func TestAVersionThatDoesNotOpenIsSetAsideAndRefilled(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", c.URL)
	for _, n := range []string{"one", "two", "three"} {
		a.add(record.Contacts, n, "FN", n)
	}
	a.sync()
	c.Stop()
	flipStored(t, c.Dir, uid("two"))
	c = c.Restart()

	b := person.join(t, "b", c.URL)
	b.trySync(20 * time.Second)
	b.get("one")
	b.get("three")
	s, err := b.agent.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Problems) == 0 || s.Problems[0].Code != "not_open" || s.Problems[0].ID != uid("two").String() {
		t.Errorf("problems: %+v", s.Problems)
	}
	a.sync() // sees that its version is gone from the cloud, and gives it again
	b.sync()
	same(t, a, b)
}

// certificate makes a self-signed certificate for loopback.
func certificate(t *testing.T, from, to time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// secureCloud starts a cloud with TLS.
func secureCloud(t *testing.T, conf *tls.Config) (url string) {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), t.TempDir(), sqlitestore.Options{Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := cloud.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url = "wss://" + l.Addr().String()
	server, err := cloud.New(cloud.Config{Store: store, Origins: []string{url}, Admit: cloud.AdmitAll{}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); server.Run(ctx, l, conf) }()
	t.Cleanup(func() { cancel(); <-done; store.Close() })
	return url
}

func TestCertificatesAreCheckedAgainstATrustedTime(t *testing.T) {
	now := time.Now()
	soon := now.Add(365 * 24 * time.Hour)
	dead := time.Unix(1000, 0) // a handset that lost power
	for _, c := range []struct {
		name     string
		from, to time.Time
		clock    time.Time
		want     error
	}{
		{"living clock", now.Add(-time.Hour), soon, now, nil},
		{"living clock, expired", now.Add(-2 * time.Hour), now.Add(-time.Hour), now, agent.ErrNotReachable},
		{"dead clock", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), soon, dead, nil},
		{"dead clock, expired before this program was made", time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), dead, agent.ErrNotReachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert, pool := certificate(t, c.from, c.to)
			url := secureCloud(t, &tls.Config{Certificates: []tls.Certificate{cert}})
			d := newAccount(t).join(t, "d", url, func(conf *agent.Config) {
				conf.TLS = &tls.Config{RootCAs: pool}
				conf.Now = func() time.Time { return c.clock }
			})
			if err := d.trySync(20 * time.Second); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestADeadClockGoesOnFromTheLastGoodTime(t *testing.T) {
	now := time.Now()
	cert, pool := certificate(t, now.Add(-time.Hour), now.Add(1000*time.Hour))
	url := secureCloud(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	clock := now
	d := newAccount(t).join(t, "d", url, func(conf *agent.Config) {
		conf.TLS = &tls.Config{RootCAs: pool}
		conf.Now = func() time.Time { return clock }
	})
	d.sync()
	clock = time.Unix(1000, 0)
	d.reopen()
	d.sync() // the certificate is younger than this program: only the remembered time makes it valid
}

func TestOldTLSIsRefused(t *testing.T) {
	cert, pool := certificate(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	d := newAccount(t).join(t, "d", "wss://"+l.Addr().String(), func(conf *agent.Config) { conf.TLS = &tls.Config{RootCAs: pool} })
	if err := d.trySync(20 * time.Second); !errors.Is(err, agent.ErrNotReachable) || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("got %v", err)
	}
}

// A cloud that calls every claim stale makes a device fork three times a day.
func TestCase18ForkStorm(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newAccount(t).join(t, "d", c.URL)
	d.add(record.Notes, "n", "SUMMARY", "x")
	d.sync()
	replicas := map[string]bool{d.replica(): true}
	for i := range 5 {
		c.Stop()
		db, err := sql.Open("sqlite", filepath.Join(c.Dir, "cloud.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE replica SET token = randomblob(16)"); err != nil {
			t.Fatal(err)
		}
		db.Close()
		c = c.Restart()
		d.set("n", "SUMMARY", fmt.Sprint("edit ", i))
		err = d.trySync(20 * time.Second)
		if i < 3 && err != nil || i >= 3 && !errors.Is(err, agent.ErrForked) {
			t.Errorf("stale claim %d: %v", i+1, err)
		}
		replicas[d.replica()] = true
	}
	if len(replicas) != 4 {
		t.Errorf("%d replica ids after 5 stale claims", len(replicas))
	}
	v, err := d.store.Version(t.Context(), uid("n"))
	if err != nil || len(v.Version.Vector) > 4 {
		t.Errorf("vector of %d, %v", len(v.Version.Vector), err)
	}
	// A person is told, and the data is here.
	if r := d.get("n"); line(&r, "SUMMARY:edit 4") == "" {
		t.Errorf("got %+v", r)
	}
}
