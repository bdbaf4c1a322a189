package lab

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sidekeep/localstore/record"
)

// wrongCloud is one thing that answers, or does not, in place of the cloud.
type wrongCloud struct {
	name string
	url  string
	at   time.Time // what the handset's clock says; zero: the right time
	code int       // exit code of sync
	says []string  // in what sync prints
}

// drillWrongCloud points handsets that are in sync at servers that are not their
// cloud, or lets their clocks be wrong. Each is told from the others by message
// and exit code; nothing is lost, and the next honest sync is in sync.
func drillWrongCloud(ctx context.Context, s *scene) error {
	ca, err := s.authority("authority")
	if err != nil {
		return err
	}
	now := time.Now()
	s.cloud, s.env = s.server("cloud"), []string{ca.env()}
	if err := s.cloud.secure(ca, now.Add(-time.Hour), now.AddDate(1, 0, 0)); err != nil {
		return err
	}
	names := []string{"handset 1", "handset 2", "handset 3"}
	hs, err := s.begin(ctx, names...)
	if err != nil {
		return err
	}
	for _, h := range hs {
		if err := h.off(); err != nil {
			return err
		}
	}
	w := &wrongClouds{scene: s, ca: ca, now: now}
	defer w.close()
	cases, err := w.all(ctx)
	if err != nil {
		return err
	}
	if err := s.clocksBend(ctx); err == nil {
		cases = append(cases, w.wrongClocks()...)
	} else {
		s.say("clocks of processes can not be set here (%v): only certificates are from the past and the future", err)
	}
	want, err := w.meetAll(ctx, hs, cases)
	if err != nil {
		return err
	}
	if n := w.contacted.Load(); n != 0 {
		return fmt.Errorf("the host that the redirect names was contacted %d times", n)
	}
	s.say("%d wrong clouds and clocks: each told by its message and exit code, nothing lost, in sync at the next honest one", len(cases))
	if err := w.otherAccount(ctx, hs[0]); err != nil {
		return err
	}
	for _, h := range hs {
		if _, err := h.do(ctx, "sync"); err != nil {
			return err
		}
	}
	return s.everyNote(ctx, want, hs...)
}

// secure makes the server, which is off, serve with a certificate of 127.0.0.1.
func (s *server) secure(ca *authority, from, to time.Time) error {
	cert, key, err := ca.issue("127.0.0.1", from, to)
	s.tls, s.args = true, append(s.args, "--tls-cert", cert, "--tls-key", key)
	return err
}

// wrongClouds are the servers of the drill that are no clouds.
type wrongClouds struct {
	*scene
	ca        *authority
	now       time.Time
	servers   []*http.Server
	contacted atomic.Int32 // requests to where the redirect leads
}

func (w *wrongClouds) close() {
	for _, s := range w.servers {
		s.Close()
	}
}

// serve starts an HTTP server and returns its address.
func (w *wrongClouds) serve(h http.HandlerFunc, conf *tls.Config) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, TLSConfig: conf, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	w.servers = append(w.servers, s)
	if conf == nil {
		go s.Serve(l)
	} else {
		go s.ServeTLS(l, "", "")
	}
	return l.Addr().String(), nil
}

func signInPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	w.Write([]byte("<html><body>Welcome to the hotel. Please sign in.</body></html>"))
}

// all starts everything that answers in place of the cloud.
func (w *wrongClouds) all(ctx context.Context) ([]wrongCloud, error) {
	const noCloud, badCertificate = "not a sidekeep cloud", "certificate does not hold"
	var faults []error
	page := func(conf *tls.Config) string {
		addr, err := w.serve(signInPage, conf)
		faults = append(faults, err)
		return addr
	}
	certificate := func(ca *authority, host string, from, to time.Duration) *tls.Config {
		conf, err := ca.pair(host, w.now.Add(from), w.now.Add(to))
		faults = append(faults, err)
		return conf
	}
	stranger, err := w.authority("nobody's")
	faults = append(faults, err)
	second, err := w.serve(func(http.ResponseWriter, *http.Request) { w.contacted.Add(1) }, nil)
	faults = append(faults, err)
	redirect, err := w.serve(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "http://"+second+"/sync", http.StatusTemporaryRedirect)
	}, nil)
	faults = append(faults, err)
	closed := w.server("closed cloud")
	nobody := w.path("nobody")
	faults = append(faults, os.WriteFile(nobody, nil, 0o600))
	closed.args = []string{"--admit", nobody}
	faults = append(faults, closed.on(ctx))
	free, err := net.Listen("tcp", "127.0.0.1:0") // where nothing listens
	if err == nil {
		faults = append(faults, free.Close())
	}
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	cases := []wrongCloud{
		{name: "sign-in page", url: "ws://" + page(nil), code: 3, says: []string{noCloud, "sign in"}},
		{name: "sign-in page with a good certificate", url: "wss://" + page(certificate(w.ca, "127.0.0.1", -day, day)), code: 3, says: []string{noCloud, "sign in"}},
		{name: "redirect", url: "ws://" + redirect, code: 7, says: []string{"redirect", "never followed"}},
		{name: "certificate of another name", url: "wss://" + page(certificate(w.ca, "other.example.org", -day, day)), code: 3, says: []string{badCertificate, "127.0.0.1"}},
		{name: "certificate from the past", url: "wss://" + page(certificate(w.ca, "127.0.0.1", -2*year, -year)), code: 3, says: []string{badCertificate, "this device's date"}},
		{name: "certificate from the future", url: "wss://" + page(certificate(w.ca, "127.0.0.1", 12*year, 13*year)), code: 3, says: []string{badCertificate, "this device's date"}},
		{name: "plain server on a secure address", url: "wss://" + page(nil), code: 3, says: []string{noCloud}},
		{name: "secure server on a plain address", url: "ws://" + page(certificate(w.ca, "127.0.0.1", -day, day)), code: 3, says: []string{noCloud}},
		{name: "a cloud that does not admit this account", url: closed.url(), code: 7, says: []string{"refused", "operator"}},
		{name: "nothing", url: "ws://" + free.Addr().String(), code: 3, says: []string{"not reachable", "look at the network"}},
	}
	conf := certificate(stranger, "127.0.0.1", -day, day)
	cases = append(cases, wrongCloud{name: "certificate of nobody", url: "wss://" + page(conf), code: 3, says: []string{badCertificate, "unknown authority"}})
	return cases, errors.Join(faults...)
}

// wrongClocks are the right cloud, seen by a handset whose clock is wrong.
func (w *wrongClouds) wrongClocks() []wrongCloud {
	after32bits := time.Unix(1<<31+86400, 0)
	return []wrongCloud{
		{name: "the clock says 1970", url: w.cloud.url(), at: time.Unix(20, 0), code: 0, says: []string{"in sync"}},
		{name: "the clock says 2038", url: w.cloud.url(), at: after32bits, code: 3,
			says: []string{"certificate does not hold", after32bits.UTC().Format(time.DateOnly), "this device's date"}},
	}
}

// meetAll has the handsets meet the wrong clouds, side by side, and returns the
// notes that they wrote meanwhile.
func (w *wrongClouds) meetAll(ctx context.Context, hs []*handset, cases []wrongCloud) (map[string]string, error) {
	var mu sync.Mutex
	want := map[string]string{}
	var faults []error
	var wg sync.WaitGroup
	for i, h := range hs {
		wg.Go(func() {
			for j := i; j < len(cases); j += len(hs) {
				id, err := w.meet(ctx, h, cases[j])
				mu.Lock()
				if err != nil {
					faults = append(faults, fmt.Errorf("%s: %w", cases[j].name, err))
				}
				want[id] = cases[j].name
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return want, errors.Join(faults...)
}

// meet has a handset with something new sync with a wrong cloud, then with its own.
func (w *wrongClouds) meet(ctx context.Context, h *handset, c wrongCloud) (id string, err error) {
	if id, err = h.add(ctx, record.Notes, "title="+c.name); err != nil {
		return id, err
	}
	before, err := h.status(ctx)
	if err != nil {
		return id, err
	}
	own := h.env
	if !c.at.IsZero() {
		clock, err := w.wallClock(h.name)
		if err != nil {
			return id, err
		}
		if err := clock.set(c.at); err != nil {
			return id, err
		}
		h.env = append(h.env[:len(h.env):len(h.env)], clock.env())
	}
	if err := h.point(c.url); err != nil {
		return id, err
	}
	_, err = h.do(ctx, "sync")
	if code := exitCodeOf(err); code != c.code {
		return id, fmt.Errorf("sync ended with exit code %d, not %d: %w", code, c.code, err)
	}
	for _, text := range c.says {
		if err != nil && !strings.Contains(err.Error(), text) {
			return id, fmt.Errorf("sync does not say %q: %w", text, err)
		}
	}
	h.env = own
	now, err := h.status(ctx)
	if err != nil {
		return id, err
	}
	for kind, k := range before.Kinds {
		if n := now.Kinds[kind]; c.code == 0 && n.Live >= k.Live {
			continue // the others' notes came
		} else if n.Live != k.Live || n.Deleted != k.Deleted || n.Held != k.Held {
			return id, fmt.Errorf("%s were %+v before and are %+v after", kind, k, n)
		}
	}
	if err := h.point(w.cloud.url()); err != nil {
		return id, err
	}
	if _, err := h.do(ctx, "sync"); err != nil {
		return id, fmt.Errorf("the honest sync after it: %w", err)
	}
	return id, nil
}

// point writes another address of the cloud into the handset's configuration, as
// a person may.
func (h *handset) point(url string) error {
	path := filepath.Join(h.home, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var conf map[string]any
	if err := json.Unmarshal(b, &conf); err != nil {
		return err
	}
	conf["cloud"] = url
	if b, err = json.Marshal(conf); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// otherAccount points a handset at the open cloud of another account: a new
// handset is refused there, and nobody's data is touched.
func (w *wrongClouds) otherAccount(ctx context.Context, h *handset) error {
	other := w.server("cloud of others")
	if err := other.on(ctx); err != nil {
		return err
	}
	stranger := w.handset("stranger")
	if _, err := stranger.create(ctx, other.url()); err != nil {
		return err
	}
	if _, err := stranger.add(ctx, record.Notes, "title=of another account"); err != nil {
		return err
	}
	if _, err := stranger.do(ctx, "sync"); err != nil {
		return err
	}
	held, err := other.rows(ctx)
	if err != nil {
		return err
	}
	lost := w.handset("lost")
	lost.env = h.env
	err = lost.join(ctx, other.url(), w.words)
	if err == nil {
		_, err = lost.do(ctx, "sync")
	}
	if exitCodeOf(err) != 7 || !strings.Contains(err.Error(), "does not know this account") {
		return fmt.Errorf("a new handset at another account's cloud: %w", err)
	}
	if now, err := other.rows(ctx); err != nil || now.differs(held) != "" {
		return fmt.Errorf("the other account's cloud changed: %s %w", now.differs(held), err)
	}
	if err := lost.join(ctx, w.cloud.url(), w.words); err != nil {
		return fmt.Errorf("the same handset at its own cloud: %w", err)
	}
	if _, err := lost.do(ctx, "sync"); err != nil {
		return fmt.Errorf("the same handset at its own cloud: %w", err)
	}
	w.say("the cloud of another account refuses a new handset, and is as it was; at its own cloud the same handset gets everything")
	return nil
}
