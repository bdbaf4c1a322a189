package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// server is a cloud: a data folder, an address that stays, and the process.
type server struct {
	b    *bench
	name string
	data string
	addr string   // host:port once it has listened
	env  []string // more variables of its process
	args []string // more arguments of serve
	tls  bool     // args name a certificate
	proc *process
}

func (b *bench) server(name string) *server {
	return &server{b: b, name: name, data: b.path(name)}
}

func (s *server) url() string {
	if s.tls {
		return "wss://" + s.addr
	}
	return "ws://" + s.addr
}

// on starts the cloud and waits until it listens, on the address it had before.
func (s *server) on(ctx context.Context) error {
	listen, ready := s.addr, s.b.path(s.name+".address")
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	os.Remove(ready)
	proc, err := s.b.start(s.name, roleCloud, s.env, append([]string{"serve", "--data", s.data, "--listen", listen, "--ready-file", ready}, s.args...)...)
	if err != nil {
		return err
	}
	s.proc = proc
	return until(ctx, s.name+" listens", 20*time.Second, func() (string, error) {
		addr, err := os.ReadFile(ready)
		if err != nil || len(addr) == 0 {
			return "not yet", proc.ended()
		}
		s.addr = strings.TrimSpace(string(addr))
		return "", nil
	})
}

func (s *server) off() error {
	err := s.proc.stop()
	s.proc = nil
	return err
}

func (s *server) crash() {
	s.proc.kill()
	s.proc = nil
}

// destroy removes the data folder, as a server failure did in 2009.
func (s *server) destroy() error {
	if err := os.RemoveAll(s.data); err != nil {
		return err
	}
	if _, err := os.Stat(s.data); !os.IsNotExist(err) {
		return fmt.Errorf("%s is still there", s.data)
	}
	return nil
}

// ask runs a sidekeep-cloud command on the data folder and decodes its output.
func (s *server) ask(ctx context.Context, out any, command string) error {
	data, err := s.b.run(ctx, roleCloud, command, "--data", s.data, "--json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s: output of %s: %w", s.name, command, err)
	}
	return nil
}

// report returns what the cloud holds of its one account, by kind.
func (s *server) report(ctx context.Context) (map[record.Kind]cell, error) {
	var report struct {
		Accounts []struct {
			Kinds []struct {
				Kind          record.Kind
				Live, Deleted int
				Digest        string
			}
		}
	}
	if err := s.ask(ctx, &report, "report"); err != nil {
		return nil, err
	}
	if n := len(report.Accounts); n > 1 {
		return nil, fmt.Errorf("%s reports %d accounts, the lab made one", s.name, n)
	}
	held := map[record.Kind]cell{}
	for _, kind := range record.Kinds {
		held[kind] = cell{Digest: strings.Repeat("0", 32)}
	}
	for _, a := range report.Accounts {
		for _, k := range a.Kinds {
			held[k.Kind] = cell{Live: k.Live, Deleted: k.Deleted, Digest: k.Digest}
		}
	}
	return held, nil
}
