package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"sidekeep/localstore/record"
)

// handset is one home folder and, while it is switched on, the agent in it.
type handset struct {
	b     *bench
	name  string
	home  string
	env   []string // more variables of its processes
	agent *process // nil while off
}

func (b *bench) handset(name string) *handset {
	return &handset{b: b, name: name, home: b.path(strings.ReplaceAll(name, " ", "-"))}
}

// do runs one sidekeep command in the handset's home.
func (h *handset) do(ctx context.Context, args ...string) ([]byte, error) {
	return h.b.runWith(ctx, h.env, roleHandset, append([]string{"--home", h.home}, args...)...)
}

// ask runs a command with --json and decodes what it prints.
func (h *handset) ask(ctx context.Context, out any, args ...string) error {
	data, err := h.do(ctx, append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s: output of %v: %w", h.name, args, err)
	}
	return nil
}

// create makes an account and returns its words.
func (h *handset) create(ctx context.Context, url string) (string, error) {
	var made struct{ Words string }
	err := h.ask(ctx, &made, "init", "--cloud", url, "--name", h.name)
	return made.Words, err
}

// join enters an account by its words. The file with them is removed again.
func (h *handset) join(ctx context.Context, url, words string) error {
	file := h.home + ".words"
	if err := os.WriteFile(file, []byte(words+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	_, err := h.do(ctx, "join", "--cloud", url, "--name", h.name, "--words-file", file)
	return err
}

// on starts the agent.
func (h *handset) on() (err error) {
	h.agent, err = h.b.start(h.name, roleHandset, h.env, "--home", h.home, "run")
	return err
}

// off stops the agent as a person would.
func (h *handset) off() error {
	err := h.agent.stop()
	h.agent = nil
	return err
}

// crash ends the agent as a pulled battery would.
func (h *handset) crash() {
	h.agent.kill()
	h.agent = nil
}

// handsetStatus is what `sidekeep status --json` and the control socket print,
// as far as the lab reads it.
type handsetStatus struct {
	Cloud struct{ State, Epoch, Error string }
	Kinds map[record.Kind]kindStatus
	Blobs struct {
		Chunks, Missing, Unsent int
		Bytes                   int64
	}
	Problems []struct{ Code, Text string }
}

type kindStatus struct {
	Live, Deleted, Unsynced, Conflicts, Held int
	Digest                                   string
	CloudDigest                              string `json:"cloud_digest"`
	Restoring                                bool
	InSync                                   bool `json:"in_sync"`
}

// unproven says why the handset is not in sync, or "".
func (s *handsetStatus) unproven() string {
	for _, kind := range record.Kinds {
		k := s.Kinds[kind]
		if !k.InSync {
			return fmt.Sprintf("%s not in sync (%d unsynced, cloud %s %s)", kind, k.Unsynced, s.Cloud.State, s.Cloud.Error)
		}
	}
	if s.Blobs.Missing > 0 || s.Blobs.Unsent > 0 {
		return fmt.Sprintf("%d chunks missing, %d unsent", s.Blobs.Missing, s.Blobs.Unsent)
	}
	return ""
}

// status asks through a command, which works with and without a running agent.
func (h *handset) status(ctx context.Context) (s handsetStatus, err error) {
	return s, h.ask(ctx, &s, "status")
}

// control returns a client for the running agent's control socket.
func (h *handset) control() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(h.home, "agent.sock"))
	}}}
}

// live asks the running agent for its status, without starting a process.
func (h *handset) live(ctx context.Context) (s handsetStatus, err error) {
	client := h.control()
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/status", nil)
	if err != nil {
		return s, err
	}
	response, err := client.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("%s: control socket: %s", h.name, response.Status)
	}
	return s, json.NewDecoder(response.Body).Decode(&s)
}

// watch follows the running agent's events until ctx ends, calling see with
// each status, and returns when the stream has ended.
func (h *handset) watch(ctx context.Context, see func(handsetStatus)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/events", nil)
	if err != nil {
		return err
	}
	client := h.control()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for lines := json.NewDecoder(response.Body); ; {
		var s handsetStatus
		if err := lines.Decode(&s); err != nil {
			if ctx.Err() != nil || err == io.EOF {
				return nil
			}
			return err
		}
		see(s)
	}
}

// item is a record as `sidekeep list --json` and `show --json` print it.
type item struct {
	ID, Kind, Title string
	Deleted         bool
	Fields          map[string]struct {
		Value any
		Raw   string
	}
}

// contains reports whether some field's line holds the text.
func (i *item) contains(text string) bool {
	for _, f := range i.Fields {
		if strings.Contains(f.Raw, text) || strings.Contains(fmt.Sprint(f.Value), text) {
			return true
		}
	}
	return false
}

func (h *handset) list(ctx context.Context, kind record.Kind, more ...string) (items []item, err error) {
	return items, h.ask(ctx, &items, append([]string{"list", string(kind)}, more...)...)
}

func (h *handset) show(ctx context.Context, id string) (i item, err error) {
	return i, h.ask(ctx, &i, "show", id)
}

// add makes a record and returns its id.
func (h *handset) add(ctx context.Context, kind record.Kind, fields ...string) (string, error) {
	var made item
	err := h.ask(ctx, &made, append([]string{"add", string(kind)}, fields...)...)
	return made.ID, err
}

func (h *handset) set(ctx context.Context, id string, fields ...string) error {
	_, err := h.do(ctx, append([]string{"set", id}, fields...)...)
	return err
}

func (h *handset) remove(ctx context.Context, ids ...string) error {
	_, err := h.do(ctx, append([]string{"rm"}, ids...)...)
	return err
}
