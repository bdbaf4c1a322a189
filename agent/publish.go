package agent

import (
	"context"
	"slices"
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// problemsMax bounds the problems that are kept; the oldest go first.
const problemsMax = 64

// Status returns a snapshot as of now.
func (a *Agent) Status(ctx context.Context) (Status, error) { return a.snapshot(ctx) }

// ReadStatus returns the snapshot of a device on which no agent runs: what the
// store knows, and when it was last proven.
func ReadStatus(ctx context.Context, c Config) (Status, error) {
	st, err := c.Store.Status(ctx)
	if err != nil {
		return Status{}, err
	}
	device := c.Device
	if device == "" {
		device = c.Identity.Device().String()
	}
	known, err := OpenDevices(c.Home, c.Identity.Account)
	if err != nil {
		return Status{}, err
	}
	base := Status{Moved: known.Moved(), Account: c.Identity.Account.String(), Device: device, Cloud: CloudStatus{URL: c.CloudURL, State: StateOff}}
	if base.Revoked = known.Ended(c.Identity); base.Revoked != nil {
		base.Cloud.State = StateRevoked
	}
	return statusOf(&st, c.Identity.Account, base, nil, time.Time{}), nil
}

// snapshot joins what the store counts with what the session knows.
func (a *Agent) snapshot(ctx context.Context) (Status, error) {
	st, err := a.cfg.Store.Status(ctx)
	if err != nil {
		return Status{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	base := Status{Moved: a.known.Moved(), Revoked: a.known.Ended(a.cfg.Identity), Account: a.cfg.Identity.Account.String(), Device: a.cfg.Device, Cloud: a.cloud, Problems: append([]Problem(nil), a.problems...)}
	s := statusOf(&st, a.cfg.Identity.Account, base, a.views, a.provenAt)
	s.Blobs.Absent = min(a.absent, s.Blobs.Missing)
	return s, nil
}

func statusOf(st *localstore.Status, account seal.Account, s Status, views []syncproto.DeviceKindView, provenAt time.Time) Status {
	var zero localstore.Epoch
	if s.Cloud.Epoch == "" && st.Epoch != zero {
		s.Cloud.Epoch = hexOf(st.Epoch[:])
	}
	if st.Replica != (record.ReplicaID{}) {
		s.Replica = st.Replica.String()
	}
	s.Kinds = make(map[record.Kind]KindStatus, len(st.Kinds))
	for name, k := range st.Kinds {
		out := kindStatus(&k)
		if hexOf(k.Cloud.Epoch[:]) != s.Cloud.Epoch { // another cloud's word says nothing of the one that answers now
			out.InSync, out.CloudDigest, out.Restoring = false, "", false
		}
		s.Kinds[name] = out
	}
	for _, v := range views {
		k, ok := s.Kinds[v.Kind]
		if !ok {
			continue
		}
		// The session knows better than what was last stored, unless it was
		// overtaken by a write that it has not seen.
		k.CloudDigest, k.Restoring = v.Cloud.String(), v.Restoring
		k.InSync = k.InSync && v.Proven && k.Digest == k.CloudDigest
		if k.InSync && k.ProvenAt.Before(provenAt) {
			k.ProvenAt = &provenAt
		}
		s.Kinds[v.Kind] = k
	}
	digests := make(map[record.Kind]rangeset.Digest, len(st.Kinds))
	for name, k := range st.Kinds {
		digests[name] = k.Digest
	}
	s.Code = Code(account, digests)
	s.Trust = trustOf(st)
	if s.Trust.State == TrustNotKept { // what it says of its digests is worth nothing
		for name, k := range s.Kinds {
			k.InSync = false
			s.Kinds[name] = k
		}
	}
	s.Blobs = BlobStatus{Chunks: st.Blobs.Chunks, Missing: st.Blobs.Missing, Unsent: st.Blobs.Unsent, Bytes: st.Blobs.Bytes}
	if len(st.Lost) > 0 {
		s.Lost, s.AtLeast = LostRecords(st.Lost), localstore.AtLeast(st.Lost)
	}
	for _, p := range st.Problems {
		problem := Problem{Code: p.Code, Text: p.Text, At: p.At}
		if p.ID != nil {
			problem.ID = p.ID.String()
		}
		s.Problems = append(s.Problems, problem)
	}
	return s
}

func kindStatus(k *localstore.KindStatus) KindStatus {
	out := KindStatus{
		Live: k.Live, Deleted: k.Deleted, Unsynced: k.Unsynced, Conflicts: k.Conflicts, Held: k.Held, HeldIn: k.HeldIn,
		Digest: k.Digest.String(), ProvenSeq: k.Cloud.Head, Restoring: k.Cloud.Restoring,
	}
	var never localstore.Epoch
	if k.Cloud.Epoch != never {
		out.CloudDigest = k.Cloud.Digest.String()
	}
	if !k.Cloud.ProvenAt.IsZero() {
		at := k.Cloud.ProvenAt
		out.ProvenAt = &at
		out.InSync = k.Unsynced == 0 && k.Digest.Equal(k.Cloud.Digest)
	}
	return out
}

func hexOf(b []byte) string { return rangeset.Digest{Sum: [16]byte(b)}.String() }

func (a *Agent) setCloud(change func(*CloudStatus)) {
	a.mu.Lock()
	before := a.cloud
	change(&a.cloud)
	changed := before.State != a.cloud.State || before.Error != a.cloud.Error || before.Epoch != a.cloud.Epoch
	a.mu.Unlock()
	if changed {
		a.notify()
	}
}

// proved notes that the cloud has just told what it holds.
func (a *Agent) proved() {
	a.proofs.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.provenAt = a.cfg.Now()
}

// setAbsent keeps how many missing chunks the cloud did not have; it stays said
// after the session.
func (a *Agent) setAbsent(n int) {
	a.mu.Lock()
	a.absent = n
	a.mu.Unlock()
}

func (a *Agent) setViews(views []syncproto.DeviceKindView) {
	a.mu.Lock()
	a.views = views
	a.mu.Unlock()
	a.notify()
}

// addProblem keeps a problem, once for each code and record.
func (a *Agent) addProblem(p Problem) {
	p.At = a.cfg.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.problems {
		if o := &a.problems[i]; o.Code == p.Code && o.ID == p.ID && o.Kind == p.Kind && o.Text == p.Text {
			o.At = p.At
			return
		}
	}
	a.cfg.Log.Warn("problem", "code", p.Code, "kind", string(p.Kind), "what", p.Text)
	a.problems = append(a.problems, p)
	if len(a.problems) > problemsMax {
		a.problems = a.problems[1:]
	}
}

// replaceProblem keeps a problem in place of one of the same code and kind.
func (a *Agent) replaceProblem(p Problem) {
	a.mu.Lock()
	a.problems = slices.DeleteFunc(a.problems, func(o Problem) bool { return o.Code == p.Code && o.Kind == p.Kind })
	a.mu.Unlock()
	a.addProblem(p)
	a.notify()
}

// notify tells the watchers that a snapshot would look different.
func (a *Agent) notify() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range a.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
}

// snapshotEvery is the shortest time between two snapshots for one watcher; and
// so many times what a snapshot takes, for it counts all records.
const (
	snapshotEvery = 100 * time.Millisecond
	snapshotShare = 20
)

// Watch calls each with a snapshot now and whenever something changed, until
// ctx ends or each returns false. Changes that follow each other closely come
// as one.
func (a *Agent) Watch(ctx context.Context, each func(Status) bool) error {
	w := make(chan struct{}, 1)
	a.mu.Lock()
	a.watchers[w] = struct{}{}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.watchers, w)
		a.mu.Unlock()
	}()
	for {
		began := time.Now()
		s, err := a.snapshot(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		pause := max(snapshotEvery, snapshotShare*time.Since(began))
		if !each(s) || !sleep(ctx, pause) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w:
		}
	}
}

// followAfter is how long a sync takes before anybody is told of it: a snapshot
// counts the records, and what is done within a second needs no progress.
const followAfter = time.Second

// follow gives snapshots to progress from a goroutine of its own until the
// returned function is called, which gives it the last one, or makes that.
func (a *Agent) follow(ctx context.Context, progress func(Status)) (stop func(end *Status)) {
	fctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !sleep(fctx, followAfter) {
			return
		}
		a.Watch(fctx, func(s Status) bool { progress(s); return true })
	}()
	return func(end *Status) {
		cancel()
		<-done
		if end == nil {
			s, err := a.snapshot(context.WithoutCancel(ctx))
			if err != nil {
				return
			}
			end = &s
		}
		progress(*end)
	}
}

// syncStall is how long SyncNow waits for something to move.
const syncStall = 20 * time.Second

// SyncNow asks a running agent for a fresh proof and waits until everything is
// in sync, as SyncOnce does, or waits for a person, or until nothing moves or no session comes about.
// Its errors are those of SyncOnce.
func (a *Agent) SyncNow(ctx context.Context, progress func(Status)) error {
	before, ended, samples := a.proofs.Load(), a.ended.Load(), a.samples.Load()
	proving := a.prove.Load()
	a.Kick()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stall := time.AfterFunc(syncStall, cancel)
	defer stall.Stop()
	var last Status
	err := a.Watch(ctx, func(s Status) bool {
		stall.Reset(syncStall)
		last = s
		if progress != nil {
			progress(s)
		}
		if a.proofs.Load() == before {
			return a.ended.Load()-ended < syncTries
		}
		return s.Cloud.State != StateLive || !s.settled() || proving && a.samples.Load() == samples
	})
	if err != nil {
		return err
	}
	if a.proofs.Load() != before {
		return checkStatus(&last)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return unserved(a.lastErr)
}
