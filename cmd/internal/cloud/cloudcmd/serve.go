package cloudcmd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
)

const lockName = "cloud.lock"

// quotaDefault is what one account may hold unless --quota says otherwise: a
// hundred times the data of a person who takes many pictures with a handset.
const quotaDefault = "4GiB"

type serveFlags struct {
	data, listen, metricsListen string
	origins                     []string
	tlsCert, tlsKey             string
	admit, admitKey, readyFile  string
	quota                       string
	scrubEvery                  time.Duration
	scrubBytes                  int
	verbose                     bool
	limits                      limitFlags
}

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Serve devices until SIGTERM",
		Long: `serve keeps everything in DIR (0700) and serves devices at ws:// or, with a
certificate, wss:// ADDR/sync, /healthz, and on a loopback address /metrics.

Devices sign the address that they are configured with. Unless ADDR is a loopback
address, --origin says what that is; it may be given several times.

Admission is closed by default. --admit FILE lists one account id a line and is
read again when it changes; --admit-key FILE admits who shows the token that
'sidekeep-cloud admit' printed for the account; with both, one of them is enough.
--admit open admits everyone and is the default on a loopback address.

--quota bounds what one account may hold: all that is stored of it, versions that
newer ones replaced in the last 30 days included. Beyond it, devices are told that
there is no more room, and go on with what they hold; deleting goes on.

Certificate and key are read again within seconds after their files changed, or
at once on SIGHUP. If that fails, the log says why, and the certificate from
before stays in use. The log shows the pin of the key: a device that is given it
with --pin needs no authority, and no clock, to know this cloud.

It stays within --memory: all queues and the numbers of sessions follow from it,
unless they are given. Devices that it can not serve now are told when to come
back. Where it listens on more than loopback, connections, unauthenticated
connections and new ones in a second are bounded for each address (a /64 of
IPv6); behind a reverse proxy, --trusted-proxy says whose X-Forwarded-For counts.

On SIGTERM it drains: each device is told and comes back later.` + exitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "folder of the cloud's data (made if missing)")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:7468", "address to listen on; port 0 takes a free one")
	fl.StringArrayVar(&f.origins, "origin", nil, "address that devices are configured with, such as wss://cloud.example.org")
	fl.StringVar(&f.tlsCert, "tls-cert", "", "certificate file (PEM)")
	fl.StringVar(&f.tlsKey, "tls-key", "", "key file (PEM)")
	fl.StringVar(&f.admit, "admit", "", "who is admitted: open, or a file of account ids")
	fl.StringVar(&f.admitKey, "admit-key", "", "file of the key that admission tokens are made with")
	fl.StringVar(&f.quota, "quota", quotaDefault, "what one account may hold, such as 500MiB; 0 means no bound")
	fl.StringVar(&f.metricsListen, "metrics-listen", "", "address for /metrics alone")
	fl.StringVar(&f.readyFile, "ready-file", "", "file to write the address to when ready")
	fl.DurationVar(&f.scrubEvery, "scrub-every", cloud.ScrubEveryDefault, "read everything again so often, set aside what is damaged and have devices fill the hole; 0 means never")
	fl.IntVar(&f.scrubBytes, "scrub-bytes", cloud.ScrubBytesDefault, "bytes a second that this may read")
	f.limits.add(fl)
	fl.BoolVar(&f.verbose, "verbose", false, "log each session")
	return cmd
}

func serve(cmd *cobra.Command, f serveFlags) error {
	ctx := cmd.Context()
	if f.data == "" {
		return fmt.Errorf("%w: --data is required", errUsage)
	}
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return fmt.Errorf("%w: --tls-cert and --tls-key belong together", errUsage)
	}
	if f.scrubEvery < 0 || f.scrubBytes <= 0 {
		return fmt.Errorf("%w: --scrub-every must not be negative, --scrub-bytes must be above 0", errUsage)
	}
	var quota int64
	if f.quota != "0" {
		var err error
		if quota, err = parseBytes(f.quota); err != nil {
			return fmt.Errorf("%w: --quota %s: %w", errUsage, f.quota, err)
		}
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	tlsConf, stopTLS, err := loadTLS(f, log)
	if err != nil {
		return err
	}
	defer stopTLS()
	unlock, err := lock(f.data)
	if err != nil {
		return err
	}
	defer unlock()
	store, err := sqlitestore.Open(ctx, f.data, sqlitestore.Options{Rand: rand.Reader, Log: log, QuotaBytes: quota})
	if err != nil {
		return err
	}
	defer func() {
		if err := store.Close(); err != nil {
			log.Error("the store did not close", "error", err)
		}
	}()
	l, err := cloud.Listen(ctx, f.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer l.Close()
	limits, err := f.limits.limits(cmd.Flags(), cloud.LoopbackOrigins(l.Addr(), false) != nil)
	if err != nil {
		return err
	}
	proxies, err := f.limits.proxies()
	if err != nil {
		return err
	}
	limits.Apply()
	server, err := newServer(f, l, tlsConf != nil, cloud.Config{Store: store, Log: log, Limits: limits, Proxies: proxies})
	if err != nil {
		return err
	}
	stopMetrics, err := serveMetrics(ctx, f.metricsListen, server, log)
	if err != nil {
		return err
	}
	defer stopMetrics()
	log.Info("listening on " + l.Addr().String())
	if f.readyFile != "" {
		if err := writeReady(f.readyFile, l.Addr().String()); err != nil {
			return err
		}
	}
	return server.Run(ctx, l, tlsConf)
}

// newServer decides on origins and admission: a loopback listener has defaults.
func newServer(f serveFlags, l net.Listener, secure bool, c cloud.Config) (*cloud.Server, error) {
	local := cloud.LoopbackOrigins(l.Addr(), secure)
	c.Origins, c.Metrics = f.origins, local != nil
	c.ScrubEvery, c.ScrubBytes = f.scrubEvery, f.scrubBytes
	if f.scrubEvery == 0 {
		c.ScrubEvery = -1
	}
	if len(c.Origins) == 0 {
		c.Origins = local
	}
	var err error
	if c.Admit, err = admitter(f, local != nil, c.Log); err != nil {
		return nil, err
	}
	s, err := cloud.New(c)
	if errors.Is(err, cloud.ErrOrigins) {
		return nil, fmt.Errorf("%w: %w", errUsage, hinted{err, "name the address that devices use, such as --origin wss://cloud.example.org"})
	}
	return s, err
}

// admitter says who is admitted. A loopback listener is open, unless told otherwise.
func admitter(f serveFlags, local bool, log *slog.Logger) (cloud.Admitter, error) {
	if f.admit == "open" && f.admitKey != "" {
		return nil, fmt.Errorf("%w: --admit open admits everyone: --admit-key makes no difference", errUsage)
	}
	if f.admit == "open" || f.admit == "" && f.admitKey == "" && local {
		return cloud.AdmitAll{}, nil
	}
	var any cloud.AdmitAny
	if f.admit != "" {
		list, err := cloud.NewAdmitFile(f.admit, log)
		if err != nil {
			return nil, err
		}
		any = append(any, list)
	}
	if f.admitKey != "" {
		key, err := cloud.ReadAdmitKey(f.admitKey)
		if err != nil {
			return nil, hinted{err, "'sidekeep-cloud admit --admit-key FILE ACCOUNT' makes it"}
		}
		closeToOthers(f.admitKey, log)
		any = append(any, key)
	}
	if len(any) == 0 {
		log.Warn("nobody is admitted: use --admit FILE, --admit-key FILE or --admit open")
	}
	return any, nil
}

// closeToOthers takes away permissions that others have on a key.
func closeToOthers(path string, log *slog.Logger) {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return
	}
	err = os.Chmod(path, 0o600)
	log.Warn("other users could read the admission key; closed it: if they may have, make a new one and new tokens", "file", path, "err", err)
}

// loadTLS returns no configuration for plain connections. The certificate's files
// are watched until stop.
func loadTLS(f serveFlags, log *slog.Logger) (conf *tls.Config, stop func(), err error) {
	if f.tlsCert == "" {
		return nil, func() {}, nil
	}
	files, err := loadCertFiles(f.tlsCert, f.tlsKey, log)
	if err != nil {
		return nil, nil, err
	}
	tick := time.NewTicker(certCheckEvery)
	unwatch := files.watch(tick.C)
	return files.config(), func() {
		tick.Stop()
		unwatch()
	}, nil
}

// serveMetrics serves /metrics on a listener of its own, if one is asked for.
func serveMetrics(ctx context.Context, addr string, s *cloud.Server, log *slog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	l, err := cloud.Listen(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.MetricsHandler())
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics", "error", err)
		}
	}()
	log.Info("metrics on " + l.Addr().String())
	return func() {
		h.Close()
		<-done
	}, nil
}

// writeReady puts the address into a file, in one step.
func writeReady(path, addr string) error {
	if err := os.WriteFile(path+".new", []byte(addr+"\n"), 0o600); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

// lock takes the data folder for this process, until unlock.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, hinted{errLocked, "stop it first; report and verify may run beside it"}
		}
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return func() { f.Close() }, nil
}
