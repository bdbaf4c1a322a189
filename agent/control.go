package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// SocketName is the name of the control socket in the home folder. It speaks
// HTTP: GET /status gives a Status; GET /events gives one a line, now and
// whenever something changed; POST /sync asks for a fresh proof (with ?prove
// for a sample read back, too) and gives one a line until it ends, then a line
// with the outcome; POST /invite invites a device
// in the same way (control_invite.go). Only the owner of the home, and root, may
// use it.
const SocketName = "agent.sock"

// ErrNoAgent is wrapped by Connect's error when no agent serves the home.
var ErrNoAgent = errors.New("no agent runs")

// line is one line of the answer to POST /sync.
type line struct {
	Status  *Status `json:"status,omitempty"`
	Outcome string  `json:"outcome,omitempty"` // in the last line; a name of outcomes
	Error   string  `json:"error,omitempty"`
}

// outcomes names the errors of a sync on the socket.
var outcomes = map[string]error{
	"in_sync": nil, "not_reachable": ErrNotReachable, "refused": ErrRefused, "unknown_account": ErrUnknownAccount,
	"forked": ErrForked, "revoked": ErrRevoked, "cloud_fails": ErrCloudFails, "not_in_sync": ErrNotInSync, "held": ErrHeld,
}

// listenControl makes the socket in a folder of its own that only this user can
// enter, and moves it into place when its mode is right: nobody else can reach
// it at any moment, whatever the umask and the mode of the home. It takes the
// place of one that a killed agent left behind.
func listenControl(home string) (net.Listener, error) {
	private := filepath.Join(home, ".sock")
	defer os.RemoveAll(private)
	if err := errors.Join(os.RemoveAll(private), os.Mkdir(private, 0o700)); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	path, done, err := socketPath(private)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// Closing would remove the file by the path it was made under; serveControl
	// does it by name.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err = os.Chmod(path, 0o600); err == nil {
		err = os.Rename(filepath.Join(private, SocketName), filepath.Join(home, SocketName))
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// serveControl answers on the socket until ctx ends, then takes it away.
func (a *Agent) serveControl(ctx context.Context, l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", a.serveStatus)
	mux.HandleFunc("GET /events", a.serveEvents)
	mux.HandleFunc("POST /sync", a.serveSync)
	mux.HandleFunc("POST /invite", a.serveInvite)
	mux.HandleFunc("POST /statements", a.serveStatements)
	mux.HandleFunc("POST /invite/yes", a.serveInviteAnswer(true))
	mux.HandleFunc("POST /invite/no", a.serveInviteAnswer(false))
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(c context.Context, conn net.Conn) context.Context {
			if !peerAllowed(conn) {
				conn.Close()
			}
			return c
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		srv.Close()
		os.Remove(filepath.Join(a.cfg.Home, SocketName))
	}()
	if err := srv.Serve(l); err != nil && ctx.Err() == nil {
		a.cfg.Log.Warn("control socket", "error", err)
	}
	<-done
}

func (a *Agent) serveStatus(w http.ResponseWriter, r *http.Request) {
	s, err := a.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s)
}

func (a *Agent) serveEvents(w http.ResponseWriter, r *http.Request) {
	out := newLines(w)
	a.Watch(r.Context(), func(s Status) bool { return out.put(s) })
}

func (a *Agent) serveSync(w http.ResponseWriter, r *http.Request) {
	out := newLines(w)
	if r.URL.Query().Has("prove") {
		a.Prove()
	}
	err := a.SyncNow(r.Context(), func(s Status) { out.put(line{Status: &s}) })
	last := line{Outcome: "failed"}
	for name, sentinel := range outcomes {
		if err == sentinel || sentinel != nil && errors.Is(err, sentinel) {
			last.Outcome = name
		}
	}
	if errors.Is(err, ErrNotInSync) { // even if something is held, too
		last.Outcome = "not_in_sync"
	}
	if err != nil {
		last.Error = err.Error()
	}
	out.put(last)
}

// lines writes JSON lines and flushes each.
type lines struct {
	enc   *json.Encoder
	flush http.Flusher
}

func newLines(w http.ResponseWriter) lines {
	w.Header().Set("Content-Type", "application/jsonl")
	f, _ := w.(http.Flusher)
	return lines{json.NewEncoder(w), f}
}

func (l lines) put(v any) bool {
	if l.enc.Encode(v) != nil {
		return false
	}
	if l.flush != nil {
		l.flush.Flush()
	}
	return true
}

// Client talks to the agent that runs in a home folder.
type Client struct{ http http.Client }

// Connect finds the agent of a home folder. The error wraps ErrNoAgent if none
// answers.
func Connect(ctx context.Context, home string) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, done, err := socketPath(home)
		if err != nil {
			return nil, err
		}
		defer done()
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	conn.Close()
	return &Client{http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("ask the agent: it answered %s", resp.Status)
	}
	return resp, nil
}

// Status returns the agent's snapshot as of now.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	resp, err := c.do(ctx, http.MethodGet, "/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("read the agent's status: %w", err)
	}
	return s, nil
}

// Events calls each with a snapshot now and whenever something changed, until
// ctx ends, the agent ends, or each returns false.
func (c *Client) Events(ctx context.Context, each func(Status) bool) error {
	resp, err := c.do(ctx, http.MethodGet, "/events")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var s Status
		if err := dec.Decode(&s); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read the agent's events: %w", err)
		}
		if !each(s) {
			return nil
		}
	}
}

// Sync has the agent sync, and returns when everything is proven or it can not
// be, with the errors of SyncOnce. progress may be nil.
func (c *Client) Sync(ctx context.Context, progress func(Status)) error {
	return c.sync(ctx, "/sync", progress)
}

// SyncProve is Sync that has a sample read back too, as Agent.Prove does.
func (c *Client) SyncProve(ctx context.Context, progress func(Status)) error {
	return c.sync(ctx, "/sync?prove", progress)
}

func (c *Client) sync(ctx context.Context, path string, progress func(Status)) error {
	resp, err := c.do(ctx, http.MethodPost, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var last *Status
	for dec := json.NewDecoder(resp.Body); ; {
		var l line
		if err := dec.Decode(&l); err != nil {
			return fmt.Errorf("read the agent's progress: %w", err)
		}
		if l.Status != nil {
			last = l.Status
			if progress != nil {
				progress(*last)
			}
			continue
		}
		if (l.Outcome == "not_in_sync" || l.Outcome == "held") && last != nil {
			if err := checkStatus(last); err != nil {
				return err
			}
		}
		sentinel, known := outcomes[l.Outcome]
		switch {
		case !known:
			return fmt.Errorf("the agent: %s", l.Error)
		case sentinel == nil:
			return nil
		}
		return fmt.Errorf("%w%s", sentinel, strings.TrimPrefix(l.Error, sentinel.Error()))
	}
}
