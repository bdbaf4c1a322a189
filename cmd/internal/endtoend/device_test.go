package endtoend

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/localstore"
	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// account is a person in a test.
type account struct{ secret seal.Secret }

func newAccount(t testing.TB) *account {
	t.Helper()
	s, err := seal.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &account{s}
}

// device is a handset in a test.
type device struct {
	t     testing.TB
	name  string
	dir   string // of the store
	home  string
	id    *seal.Identity
	store *localstore.Store
	conf  agent.Config
	opts  localstore.Options // but for Hasher and Log
	agent *agent.Agent

	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// logOf gives the agent's log to the test, when SIDEKEEP_TEST_LOG is set.
func logOf(t testing.TB, name string) *slog.Logger {
	if os.Getenv("SIDEKEEP_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("device", name)
}

// join makes a device of the account with an empty store. Its store is verified
// when the test ends.
func (a *account) join(t testing.TB, name, url string, change ...func(*agent.Config)) *device {
	t.Helper()
	id, err := seal.NewIdentity(a.secret, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, name: name, dir: t.TempDir(), home: t.TempDir(), id: id}
	d.conf = agent.Config{Identity: id, Device: name, CloudURL: url, Create: true, Home: d.home, Log: logOf(t, name)}
	for _, c := range change {
		c(&d.conf)
	}
	d.id = d.conf.Identity
	d.open()
	t.Cleanup(func() {
		d.stop()
		d.verify()
		d.store.Close()
	})
	return d
}

func (d *device) open() {
	d.t.Helper()
	d.opts.Hasher, d.opts.Log = d.id.Keys(), d.conf.Log
	if d.opts.Now == nil {
		d.opts.Now = d.conf.Now
	}
	s, err := localstore.Open(context.Background(), d.dir, d.opts)
	if err != nil {
		d.t.Fatal(err)
	}
	d.store, d.conf.Store = s, s
	if d.agent, err = agent.New(d.conf); err != nil {
		d.t.Fatal(err)
	}
}

// reopen is a restart of the handset.
func (d *device) reopen() {
	d.t.Helper()
	d.stop()
	if err := d.store.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.open()
}

func (d *device) verify() {
	d.t.Helper()
	r, err := d.store.Verify(context.Background(), nil)
	if err != nil {
		d.t.Errorf("%s: verify: %v", d.name, err)
	}
	for _, damage := range r.Damage {
		d.t.Errorf("%s: verify: %s", d.name, damage)
	}
}

// run starts the agent as `sidekeep run` does.
func (d *device) run() {
	ctx, cancel := context.WithCancel(context.Background())
	d.mu.Lock()
	d.cancel, d.done = cancel, make(chan struct{})
	done := d.done
	d.mu.Unlock()
	go func() {
		defer close(done)
		if err := d.agent.Run(ctx); err != nil {
			d.t.Errorf("%s: run: %v", d.name, err)
		}
	}()
}

func (d *device) stop() {
	d.mu.Lock()
	cancel, done := d.cancel, d.done
	d.cancel = nil
	d.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

func (d *device) trySync(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return d.agent.SyncOnce(ctx, nil)
}

// sync runs `sidekeep sync`, which must prove everything.
func (d *device) sync() {
	d.t.Helper()
	if err := d.trySync(60 * time.Second); err != nil {
		s, _ := d.agent.Status(context.Background())
		d.t.Fatalf("%s: sync: %v\n%+v", d.name, err, s)
	}
}

// uid is a record id that tests can name.
func uid(name string) record.ID {
	var id record.ID
	copy(id[:], name)
	return id
}

// fields gives content lines from keys and values.
func fields(pairs ...string) []record.Field {
	var fs []record.Field
	for i := 0; i < len(pairs); i += 2 {
		fs = put(fs, pairs[i], pairs[i+1])
	}
	return fs
}

func put(fs []record.Field, key, value string) []record.Field {
	f := record.Field{Key: key, Line: []byte(key + ":" + value)}
	for i := range fs {
		if fs[i].Key == key {
			fs[i] = f
			return fs
		}
	}
	return append(fs, f)
}

func (d *device) add(kind record.Kind, name string, pairs ...string) {
	d.t.Helper()
	if err := d.store.Put(context.Background(), kind, uid(name), fields(pairs...)); err != nil {
		d.t.Fatalf("%s: add %s: %v", d.name, name, err)
	}
}

func (d *device) set(name, key, value string) {
	d.t.Helper()
	err := d.store.Edit(context.Background(), uid(name), func(_ record.Kind, fs []record.Field) ([]record.Field, error) {
		return put(fs, key, value), nil
	})
	if err != nil {
		d.t.Fatalf("%s: set %s: %v", d.name, name, err)
	}
}

func (d *device) remove(names ...string) {
	d.t.Helper()
	if err := d.store.Delete(context.Background(), uids(names)...); err != nil {
		d.t.Fatalf("%s: remove: %v", d.name, err)
	}
}

func (d *device) undelete(names ...string) {
	d.t.Helper()
	if err := d.store.Undelete(context.Background(), uids(names)...); err != nil {
		d.t.Fatalf("%s: undelete: %v", d.name, err)
	}
}

func uids(names []string) []record.ID {
	ids := make([]record.ID, len(names))
	for i, n := range names {
		ids[i] = uid(n)
	}
	return ids
}

func (d *device) get(name string) localstore.Record {
	d.t.Helper()
	r, err := d.store.Get(context.Background(), uid(name))
	if err != nil {
		d.t.Fatalf("%s: get %s: %v", d.name, name, err)
	}
	return r
}

// line returns the content line of a field, "" if there is none.
func line(r *localstore.Record, prefix string) string {
	for _, f := range r.Fields {
		if strings.HasPrefix(string(f.Line), prefix) {
			return string(f.Line)
		}
	}
	return ""
}

// holds reports whether a record is here.
func (d *device) holds(name string) bool {
	d.t.Helper()
	_, err := d.store.Get(context.Background(), uid(name))
	return err == nil
}

// has waits until the device shows a line, and says how long that took.
func (d *device) has(name, want string, limit time.Duration) time.Duration {
	d.t.Helper()
	start := time.Now()
	for {
		r, err := d.store.Get(context.Background(), uid(name))
		if err == nil && line(&r, want) != "" {
			return time.Since(start)
		}
		if err != nil && !errors.Is(err, localstore.ErrNotFound) {
			d.t.Fatal(err)
		}
		if time.Since(start) > limit {
			s, _ := d.agent.Status(context.Background())
			d.t.Fatalf("%s: no %q in %s after %v\n%+v", d.name, want, name, limit, s)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// picture adds a picture of size bytes and returns them.
func (d *device) picture(name string, size int) []byte {
	d.t.Helper()
	b := make([]byte, size)
	rand.Read(b)
	o := pim.Object{Kind: record.Pictures, UID: name, Title: name,
		Fields: []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:" + name)}, {Key: "ATTACH", Line: []byte("ATTACH:")}},
		Blobs:  map[string]pim.BlobSource{"ATTACH": pim.BytesSource(b)}}
	if _, err := d.store.Import(context.Background(), []pim.Object{o}); err != nil {
		d.t.Fatalf("%s: import a picture: %v", d.name, err)
	}
	return b
}

// pictureBytes reads back the picture with this title.
func (d *device) pictureBytes(title string) []byte {
	d.t.Helper()
	ctx := context.Background()
	for r, err := range d.store.List(ctx, record.Pictures, localstore.ListOptions{}) {
		if err != nil {
			d.t.Fatal(err)
		}
		if line(&r, "SUMMARY:") != "SUMMARY:"+title {
			continue
		}
		for _, f := range r.Fields {
			if f.Blob == nil {
				continue
			}
			rc, err := d.store.OpenBlob(ctx, *f.Blob)
			if err != nil {
				d.t.Fatalf("%s: open %s: %v", d.name, title, err)
			}
			defer rc.Close()
			b, err := io.ReadAll(rc)
			if err != nil {
				d.t.Fatalf("%s: read %s: %v", d.name, title, err)
			}
			return b
		}
	}
	d.t.Fatalf("%s: no picture %s", d.name, title)
	return nil
}

// contents describes every record with all its values, siblings and dots'
// outcome, one a line.
func (d *device) contents() []string {
	d.t.Helper()
	ctx := context.Background()
	kinds, err := d.store.Kinds(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for _, k := range kinds {
		for _, deleted := range []bool{false, true} {
			for r, err := range d.store.List(ctx, k, localstore.ListOptions{Deleted: deleted}) {
				if err != nil {
					d.t.Fatal(err)
				}
				v, err := d.store.Version(ctx, r.ID)
				if err != nil {
					d.t.Fatal(err)
				}
				var b strings.Builder
				fmt.Fprintf(&b, "%s %s deleted=%v %s", k, r.ID, r.Deleted, v.VersionID)
				for _, f := range r.Fields {
					fmt.Fprintf(&b, " %s", f.Line)
				}
				for _, c := range r.Conflicts {
					fmt.Fprintf(&b, " conflict %s:%d", c.Key, len(c.Siblings))
				}
				out = append(out, b.String())
			}
		}
	}
	sort.Strings(out)
	return out
}

// same checks that all devices hold the same, have the same digests, and call
// every kind in sync.
func same(t testing.TB, devices ...*device) {
	t.Helper()
	first := devices[0].contents()
	status := make([]agent.Status, len(devices))
	for i, d := range devices {
		s, err := d.agent.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		status[i] = s
		for k, ks := range s.Kinds {
			if !ks.InSync || ks.Digest != ks.CloudDigest || ks.Digest != status[0].Kinds[k].Digest {
				t.Errorf("%s: %s is not in sync: %+v", d.name, k, ks)
			}
		}
		if s.Blobs.Missing != 0 || s.Blobs.Unsent != 0 {
			t.Errorf("%s: chunks: %+v", d.name, s.Blobs)
		}
		if got := d.contents(); !slices.Equal(got, first) {
			t.Errorf("%s differs from %s:\n%s\n---\n%s", d.name, devices[0].name, strings.Join(got, "\n"), strings.Join(first, "\n"))
		}
	}
	if kinds := slices.Collect(maps.Keys(status[0].Kinds)); len(kinds) < len(record.Kinds) {
		t.Errorf("status names only %v", kinds)
	}
}

func sameBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes that differ from the %d", what, len(got), len(want))
	}
}
