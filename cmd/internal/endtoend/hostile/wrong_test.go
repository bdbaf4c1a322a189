package hostile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

func page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	w.Write([]byte("<html><body>Welcome to the hotel. Please sign in.</body></html>"))
}

func trusting(s *httptest.Server) func(*agent.Config) {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return func(c *agent.Config) { c.TLS = &tls.Config{RootCAs: pool} }
}

// at sets the device's clock.
func at(t time.Time) func(*agent.Config) {
	return func(c *agent.Config) { c.Now = func() time.Time { return t } }
}

// TestServersThatAreNotTheCloud: each is told from the others, nothing changes
// on the device, and it syncs when the right cloud is there.
func TestServersThatAreNotTheCloud(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(page))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(page))
	defer secure.Close()
	var contacted atomic.Int32
	second := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { contacted.Add(1) }))
	defer second.Close()
	redirect := httptest.NewServer(http.RedirectHandler(second.URL+"/sync", http.StatusTemporaryRedirect))
	defer redirect.Close()
	closed := cloudtest.Start(t, cloudtest.Options{Admit: cloud.AdmitNone{}})
	another := cloudtest.Start(t, cloudtest.Options{})
	good := cloudtest.Start(t, cloudtest.Options{})
	wss := func(s string) string { return "wss://" + s[strings.Index(s, "://")+3:] }
	ws := func(s string) string { return "ws://" + s[strings.Index(s, "://")+3:] }
	// The test server's certificate names 127.0.0.1 and example.com, from 1970 to 2084.
	otherName := strings.Replace(wss(secure.URL), "127.0.0.1", "localhost", 1)
	late := time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)

	for _, c := range []struct {
		name   string
		url    string
		want   []error
		text   string
		change []func(*agent.Config)
	}{
		{name: "sign-in page", url: ws(plain.URL), want: []error{agent.ErrNotReachable, agent.ErrNoCloud}, text: "200"},
		{name: "sign-in page with a certificate of nobody", url: wss(secure.URL), want: []error{agent.ErrNotReachable, agent.ErrCertificate}, text: "unknown authority"},
		{name: "sign-in page with a good certificate", url: wss(secure.URL), want: []error{agent.ErrNotReachable, agent.ErrNoCloud}, text: "200", change: []func(*agent.Config){trusting(secure)}},
		{name: "certificate of another name", url: otherName, want: []error{agent.ErrNotReachable, agent.ErrCertificate}, text: "localhost", change: []func(*agent.Config){trusting(secure)}},
		{name: "clock after the certificate", url: wss(secure.URL), want: []error{agent.ErrNotReachable, agent.ErrCertificate}, text: "2090-01-01", change: []func(*agent.Config){trusting(secure), at(late)}},
		{name: "clock of 1970", url: wss(secure.URL), want: []error{agent.ErrNotReachable, agent.ErrNoCloud}, change: []func(*agent.Config){trusting(secure), at(time.Unix(5, 0))}},
		{name: "plain server on a secure address", url: wss(plain.URL), want: []error{agent.ErrNotReachable, agent.ErrNoCloud}, text: "HTTP"},
		{name: "secure server on a plain address", url: ws(secure.URL), want: []error{agent.ErrNotReachable, agent.ErrNoCloud}, text: "400"},
		{name: "redirect", url: ws(redirect.URL), want: []error{agent.ErrRefused, agent.ErrNoCloud}, text: "redirects"},
		{name: "a cloud that admits others", url: closed.URL, want: []error{agent.ErrRefused}},
		{name: "a cloud of others", url: another.URL, want: []error{agent.ErrUnknownAccount}},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			d := newAccount(t).join(t, "d", c.url, append(c.change, func(conf *agent.Config) { conf.Create = false })...)
			d.add(record.Notes, "n", "SUMMARY", "stays")
			before := d.shown()
			began := time.Now()
			err := d.trySync(20 * time.Second)
			for _, w := range c.want {
				if !errors.Is(err, w) {
					t.Errorf("got %v, want %v", err, w)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v does not say %q", err, c.text)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if lost := missing(before, d.shown()); len(lost) > 0 {
				t.Errorf("changed: %v", lost)
			}
			d.conf.CloudURL, d.conf.TLS, d.conf.Now, d.conf.Create = good.URL, nil, nil, true
			d.reopen()
			d.sync()
		})
	}
	if contacted.Load() != 0 {
		t.Error("the other host was contacted")
	}
}
