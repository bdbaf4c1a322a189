package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sidekeep/localstore"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// Config is what an Agent needs. Store, Identity and CloudURL are required.
type Config struct {
	Store    *localstore.Store
	Identity *seal.Identity
	Device   string // what a person calls this device; "" means its public key
	Program  string // version of the program, for the other devices; may be empty
	CloudURL string // ws or wss; a missing path means /sync
	// Create lets the cloud make the account when it does not know it, as init
	// does. A device that was in a session before may always do that: it holds
	// the data that the cloud lost.
	Create    bool
	Admission syncproto.Admission // from the cloud's operator; zero if there is none
	// AllowPlain permits ws:// to other hosts than loopback: whoever is on the
	// way sees sizes, times and the account key, and can cut or delay.
	AllowPlain bool
	// Home is the folder of the control socket and of what is remembered between
	// runs (which protocol version the cloud spoke, the last good time). ""
	// means no socket, and nothing is remembered.
	Home string
	TLS  *tls.Config // base configuration of TLS; nil means the system's roots
	// Pins, if there are any, replace all other checks of the cloud's certificate:
	// it must be of one of these keys.
	Pins        []ws.Pin
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	Log         *slog.Logger     // nil discards
	Now         func() time.Time // nil means time.Now
	Rand        io.Reader        // nil means crypto/rand
	// FreeBytes tells the space left for the database; nil asks the store. Below
	// SpaceMin (0 means SpaceMinDefault) no pieces of pictures are fetched, so
	// that records still have room; it is looked again every SpaceEvery (0 means
	// SpaceEveryDefault).
	FreeBytes  func() (uint64, error)
	SpaceMin   uint64
	SpaceEvery time.Duration
	// Versions are the protocol versions offered; nil means what this code speaks.
	Versions []uint64
}

// Agent keeps one store in sync with one cloud.
type Agent struct {
	cfg    Config
	keys   *seal.Keys
	target target
	memory *memory
	known  *Devices
	kicked chan struct{} // holds at most one
	// mailOut takes messages of an invite to the session that is open.
	mailOut chan syncproto.Message

	running atomic.Bool
	proofs  atomic.Uint64 // answers of the cloud to what this device holds
	ended   atomic.Uint64 // sessions that ended
	samples atomic.Uint64 // samples that had an outcome
	prove   atomic.Bool   // a person asks for a sample now

	mu       sync.Mutex // guards what follows
	cloud    CloudStatus
	lastErr  error     // why the last session ended
	lasting  string    // why it can not be done now, which the next welcome does not mend; see session
	provenAt time.Time // when the cloud last told what it holds
	views    []syncproto.DeviceKindView
	absent   int // missing chunks that the cloud did not have when it was last asked
	problems []Problem
	invite   *inviting                  // under way, or nil
	watchers map[chan struct{}]struct{} // each holds one
}

// ErrRunning is returned by Run and SyncOnce when another of them runs.
var ErrRunning = errors.New("the agent runs already")

// New checks the configuration and reads what is remembered. It returns
// ErrPlain for an unencrypted address that is neither loopback nor allowed.
func New(c Config) (*Agent, error) {
	if c.Store == nil || c.Identity == nil {
		return nil, errors.New("agent: no store or identity")
	}
	t, err := parseTarget(c.CloudURL, c.AllowPlain)
	if err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.FreeBytes == nil {
		c.FreeBytes = c.Store.FreeBytes
	}
	c.SpaceMin = cmp.Or(c.SpaceMin, SpaceMinDefault)
	c.SpaceEvery = cmp.Or(c.SpaceEvery, SpaceEveryDefault)
	if c.Device == "" {
		c.Device = c.Identity.Device().String()
	}
	m, err := openMemory(c.Home)
	if err != nil {
		return nil, err
	}
	known, err := OpenDevices(c.Home, c.Identity.Account)
	if err != nil {
		return nil, err
	}
	return &Agent{
		known: known, cfg: c, keys: c.Identity.Keys(), target: t, memory: m, kicked: make(chan struct{}, 1), mailOut: make(chan syncproto.Message),
		cloud: CloudStatus{URL: c.CloudURL, State: StateOff}, watchers: map[chan struct{}]struct{}{},
	}, nil
}

// Run keeps the store in sync until ctx ends, which is no error: it comes back
// after every failure, but for a damaged database (localstore.ErrDamaged), which
// it leaves to the caller. It serves the control socket meanwhile.
func (a *Agent) Run(ctx context.Context) error {
	if !a.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer a.running.Store(false)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.cfg.Home != "" {
		l, err := listenControl(a.cfg.Home)
		if err != nil {
			return err
		}
		wg.Go(func() { a.serveControl(ctx, l) })
	}
	wg.Go(func() { a.keepHouse(ctx) })
	pause := newPause()
	for ctx.Err() == nil {
		end := a.session(ctx, toFollow)
		a.ended.Add(1)
		a.notify()
		if ctx.Err() != nil {
			break
		}
		if errors.Is(end.local, localstore.ErrDamaged) {
			a.setOff()
			return end.local
		}
		if end.good {
			pause.worked(end.lasted, time.Now())
		}
		a.wait(ctx, end, pause)
	}
	a.setOff()
	return nil
}

func (a *Agent) setOff() {
	a.setCloud(func(c *CloudStatus) { *c = CloudStatus{URL: c.URL, State: StateOff, Epoch: c.Epoch, Error: c.Error} })
}

// wait lets time pass before the next session, or returns at once when kicked.
func (a *Agent) wait(ctx context.Context, end ending, p *pause) {
	d := p.after(end)
	if d <= 0 {
		return
	}
	at := a.cfg.Now().Add(d)
	a.setCloud(func(c *CloudStatus) {
		c.State, c.Retry = StateWaiting, &at
		if errors.Is(end.err, ErrForked) {
			c.State = StateStopped
		}
		if errors.Is(end.err, ErrRevoked) {
			c.State = StateRevoked
		}
	})
	a.cfg.Log.Info("session ended", "why", end.text(), "retry", d.Round(time.Millisecond))
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-a.kicked:
		p.reset()
	}
}

// purpose says what a session is for.
type purpose uint8

const (
	toFollow purpose = iota // until it breaks
	toSync                  // until all is proven
	toGreet                 // until the cloud has let the device in
)

// syncTries is how often SyncOnce tries in a row without reaching a welcome.
const syncTries = 3

// SyncOnce syncs until this device has proven that every kind equals the
// cloud's and that no chunk is missing or unsent, and returns nil only then.
// progress, if not nil, gets a snapshot whenever something moved. The error is
// one of ErrNotReachable, ErrCloudFails, ErrRefused, ErrRevoked, ErrUnknownAccount, ErrForked, or a
// *NotInSyncError (ErrNotInSync, ErrHeld), a *HeldError (ErrHeld: equality is
// proven, but a person has to decide on a deletion that came); or that of the store.
func (a *Agent) SyncOnce(ctx context.Context, progress func(Status)) error {
	return a.once(ctx, toSync, progress)
}

// Greet opens a session and ends it as soon as the cloud has let this device in,
// and returns nil then; otherwise the error is one of SyncOnce.
func (a *Agent) Greet(ctx context.Context) error { return a.once(ctx, toGreet, nil) }

func (a *Agent) once(ctx context.Context, what purpose, progress func(Status)) error {
	if !a.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer a.running.Store(false)
	var end *Status // how it ended, if that is known
	if progress != nil {
		stop := a.follow(ctx, progress)
		defer func() { stop(end) }()
	}
	defer a.setOff()
	inSync := func(ctx context.Context) error {
		a.setOff()
		s, err := a.snapshot(ctx)
		if err != nil {
			return err
		}
		end = &s
		return checkStatus(&s)
	}
	pause := newPause()
	var last error
	welcomed := false
	for tries := 0; tries < syncTries; {
		got := a.session(ctx, what)
		welcomed = welcomed || got.welcomed
		switch {
		case got.local != nil:
			return got.local
		case what == toGreet && got.err == nil && got.retry == syncproto.RetryNever && ctx.Err() == nil:
			return nil
		case got.err == nil && got.retry == syncproto.RetryNever && ctx.Err() == nil:
			a.maintain(ctx) // a device that never runs for long would not get to it
			return inSync(ctx)
		case errors.Is(got.err, ErrRefused), errors.Is(got.err, ErrUnknownAccount), errors.Is(got.err, ErrForked), errors.Is(got.err, ErrPlain), errors.Is(got.err, ErrRevoked):
			return got.err
		}
		if got.err != nil {
			last = got.err
		}
		if got.good && pause.worked(got.lasted, time.Now()) {
			tries = 0
		} else if got.retry != syncproto.RetryAtOnce {
			tries++
		}
		d := pause.after(got)
		if deadline, ok := ctx.Deadline(); ctx.Err() != nil || ok && time.Until(deadline) < d || d > syncPauseMax {
			break
		}
		if tries < syncTries && !sleep(ctx, d) {
			break
		}
	}
	if last == nil && welcomed {
		return inSync(context.WithoutCancel(ctx))
	}
	return unserved(last)
}

// syncPauseMax is the longest that SyncOnce waits for a cloud that asks to come
// back later.
const syncPauseMax = 30 * time.Second

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// checkStatus is the outcome of a sync that ended with this status.
func checkStatus(s *Status) error {
	e := &NotInSyncError{Trust: s.Trust.err(), ChunksMissing: s.Blobs.Missing, ChunksAbsent: s.Blobs.Absent, ChunksUnsent: s.Blobs.Unsent}
	for _, k := range s.Kinds {
		e.Held += k.Held
	}
	switch {
	case s.InSync() && e.Held > 0:
		return &HeldError{e.Held}
	case s.InSync():
		return nil
	}
	for _, w := range s.Trust.Withheld {
		e.Withheld = append(e.Withheld, cmp.Or(w.Name, w.Device))
	}
	for name, k := range s.Kinds {
		switch {
		case k.Restoring:
			e.Restoring = append(e.Restoring, name)
		case !k.InSync:
			e.Kinds = append(e.Kinds, name)
		}
	}
	syncproto.SortKinds(e.Kinds)
	syncproto.SortKinds(e.Restoring)
	for _, p := range s.Problems {
		if p.Code == syncproto.ProblemDiffers || p.Code == syncproto.ProblemNotOpen || p.Code == syncproto.ProblemRejected || p.Code == syncproto.ProblemQuota {
			e.Problems = append(e.Problems, p)
		}
	}
	return e
}

// Prove has the next session, or the one that is open, read back a sample of
// what the cloud acknowledged, whenever the last one was.
func (a *Agent) Prove() { a.prove.Store(true) }

// Kick asks for a session now, or for a fresh proof when one is open.
func (a *Agent) Kick() {
	select {
	case a.kicked <- struct{}{}:
	default:
	}
}

// houseEvery is the time between two rounds of upkeep: each costs a write.
const houseEvery = 10 * time.Minute

// keepHouse counts the time that the agent runs and lets the store do what can
// wait.
func (a *Agent) keepHouse(ctx context.Context) {
	t := time.NewTicker(houseEvery)
	defer t.Stop()
	counted := time.Now()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		now := time.Now()
		if err := a.cfg.Store.Ran(context.WithoutCancel(ctx), now.Sub(counted)); err != nil {
			a.cfg.Log.Warn("count running time", "error", err)
		}
		counted = now
		if ctx.Err() != nil {
			return
		}
		a.maintain(ctx)
	}
}

func (a *Agent) maintain(ctx context.Context) {
	if err := a.cfg.Store.Maintain(ctx); err != nil && ctx.Err() == nil {
		a.cfg.Log.Warn("maintain the store", "error", err)
	}
}
