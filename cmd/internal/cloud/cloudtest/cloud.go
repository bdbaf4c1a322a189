package cloudtest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/syncproto"
)

// Options of Start. The zero value is a cloud that admits everyone.
type Options struct {
	Dir         string         // data folder; "" means a temporary one
	Addr        string         // to listen on; "" means a free loopback port
	Admit       cloud.Admitter // nil means cloud.AdmitAll
	Log         *slog.Logger   // nil means silence
	Now         func() time.Time
	QuotaBytes  int64            // of sqlitestore.Options
	Store       cloudstore.Store // nil means a SQLite store in Dir
	SessionsMax int              // cloud.Limits.Sessions
	Limits      cloud.Limits
	Proxies     []netip.Prefix
	MailboxTime time.Duration // cloud.Config's
	Protocol    syncproto.Limits
	TLS         *tls.Config // nil means plain connections
	Origins     []string    // that it believes to have beside its own
}

// Cloud is a running cloud.
type Cloud struct {
	URL   string // for a device: ws://127.0.0.1:PORT
	Addr  string
	Dir   string
	Store cloudstore.Store

	t        testing.TB
	opt      Options
	cancel   context.CancelFunc
	finished chan struct{}
	stopped  bool
}

// Start starts a cloud that stops with the test. When it stops, its whole store
// is verified.
func Start(t testing.TB, opt Options) *Cloud {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	if opt.Admit == nil {
		opt.Admit = cloud.AdmitAll{}
	}
	if opt.Addr == "" {
		opt.Addr = "127.0.0.1:0"
	}
	c := &Cloud{t: t, opt: opt, Dir: opt.Dir, Store: opt.Store, finished: make(chan struct{})}
	if c.Store == nil {
		store, err := sqlitestore.Open(context.Background(), opt.Dir, sqlitestore.Options{Rand: rand.Reader, Now: opt.Now, Log: opt.Log, QuotaBytes: opt.QuotaBytes})
		if err != nil {
			t.Fatal(err)
		}
		c.Store = store
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	l, err := cloud.Listen(ctx, opt.Addr)
	if err != nil {
		t.Fatal(err)
	}
	c.serve(ctx, l)
	t.Cleanup(c.Stop)
	return c
}

func (c *Cloud) serve(ctx context.Context, l net.Listener) {
	c.Addr = l.Addr().String()
	c.URL = "ws://" + c.Addr
	if c.opt.TLS != nil {
		c.URL = "wss://" + c.Addr
	}
	limits := c.opt.Limits
	limits.Sessions = max(limits.Sessions, c.opt.SessionsMax)
	server, err := cloud.New(cloud.Config{
		Store: c.Store, Origins: append(cloud.LoopbackOrigins(l.Addr(), c.opt.TLS != nil), c.opt.Origins...), Admit: c.opt.Admit, Metrics: true,
		Log: c.opt.Log, Limits: limits, Proxies: c.opt.Proxies, MailboxTime: c.opt.MailboxTime, Protocol: c.opt.Protocol,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(c.finished)
		if err := server.Run(ctx, l, c.opt.TLS); err != nil {
			c.t.Errorf("cloud: %v", err)
		}
	}()
}

// Stop drains the cloud, verifies its store and closes it. Stopping twice is
// harmless.
func (c *Cloud) Stop() {
	if c.stopped {
		return
	}
	c.stopped = true
	c.cancel()
	<-c.finished
	problem := func(p cloudstore.Problem) { c.t.Errorf("cloud's store: %s %s", p.Kind, p.What) }
	if _, err := c.Store.Verify(context.Background(), problem); err != nil {
		c.t.Errorf("cloud's store: %v", err)
	}
	if err := c.Store.Close(); err != nil {
		c.t.Errorf("cloud's store: %v", err)
	}
}

// Restart stops the cloud and starts another on the same address and folder.
func (c *Cloud) Restart() *Cloud {
	c.Stop()
	opt := c.opt
	opt.Addr, opt.Store = c.Addr, nil
	return Start(c.t, opt)
}

// QuotaBytes changes what an account may hold, from the next start on.
func (c *Cloud) QuotaBytes(n int64) { c.opt.QuotaBytes = n }

// Destroy stops the cloud, removes all its data, and starts an empty one on the
// same address.
func (c *Cloud) Destroy() *Cloud {
	c.Stop()
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(c.Dir + "/" + e.Name()); err != nil {
			c.t.Fatal(err)
		}
	}
	return c.Restart()
}
