package lab

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"sidekeep/cmd/internal/liar"
	"sidekeep/syncproto"
)

// liarMain is a hostile cloud as a process: it stands before a real cloud, whose
// data it knows, and tells one lie until SIGTERM. Then it writes what passed to a
// file. The exit code is 1 if an honest end did what it must not.
func liarMain(args []string, stderr io.Writer) int {
	f := flag.NewFlagSet(roleLiar, flag.ContinueOnError)
	f.SetOutput(stderr)
	listen := f.String("listen", "", "address for devices")
	cloud := f.String("cloud", "", "address of the real cloud")
	data := f.String("data", "", "its data folder")
	lie := f.String("lie", "", "name of the lie")
	counts := f.String("counts", "", "file for what passed")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if err := tellLie(*listen, *cloud, *data, *lie, *counts); err != nil {
		fmt.Fprintln(stderr, "hostile-cloud:", err)
		return 1
	}
	return 0
}

func tellLie(listen, cloud, data, name, counts string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	i := slices.IndexFunc(liar.Lies, func(l liar.Lie) bool { return l.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no lie %q", name)
	}
	past, err := readPast(ctx, data)
	if err != nil {
		return err
	}
	faults := make(chan error, 1)
	l := liar.New(cloud, liar.Lies[i].Script(past), func(err error) {
		select {
		case faults <- err:
		default: // the first says enough
		}
	})
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: l, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	<-ctx.Done()
	l.Close()
	server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	select {
	case err := <-faults:
		return err
	default:
	}
	b, err := json.Marshal(l.Counts())
	if err != nil {
		return err
	}
	return os.WriteFile(counts, b, 0o600)
}

// readPast reads every version that a cloud still has, oldest first.
func readPast(ctx context.Context, data string) (*liar.Past, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(data, "cloud.db"))+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT header, body FROM dominated WHERE aside = 0 UNION ALL SELECT header, body FROM version")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var old []syncproto.BatchItem
	for rows.Next() {
		it := syncproto.BatchItem{Seq: 1}
		if err := rows.Scan(&it.Header, &it.Body); err != nil {
			return nil, err
		}
		old = append(old, it)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return liar.NewPast(old)
}

// hostile is a hostile cloud of a bench, on one address whatever it lies.
type hostile struct {
	b     *bench
	name  string
	addr  string
	cloud *server
	proc  *process
}

// hostile finds an address for a hostile cloud before a real one: of a loopback
// host of its own where there are more than one, as on Linux, so that nobody else
// takes it while no lie is told.
func (b *bench) hostile(name string, cloud *server) (*hostile, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250)))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, err
	}
	return &hostile{b: b, name: name, addr: l.Addr().String(), cloud: cloud}, l.Close()
}

func (h *hostile) url() string { return "ws://" + h.addr }

// on begins to lie.
func (h *hostile) on(ctx context.Context, lie string) (err error) {
	h.proc, err = h.b.start(h.name, roleLiar, nil, "--listen", h.addr, "--cloud", h.cloud.addr, "--data", h.cloud.data, "--lie", lie, "--counts", h.b.path(h.name+".counts"))
	if err != nil {
		return err
	}
	return until(ctx, h.name+" listens", 20*time.Second, func() (string, error) {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			return err.Error(), h.proc.ended()
		}
		return "", c.Close()
	})
}

// off ends the lie and returns what passed.
func (h *hostile) off() (c liar.Counts, err error) {
	if err := h.proc.stop(); err != nil {
		return c, err
	}
	b, err := os.ReadFile(h.b.path(h.name + ".counts"))
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}
