package agent

import (
	"context"
	"errors"
	"fmt"

	"sidekeep/localstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// perform carries out one action of the machine and returns the event that
// answers it, if any. An error is the store's, and ends the session.
func (s *session) perform(action syncproto.DeviceAction) (syncproto.DeviceEvent, error) {
	store := s.a.cfg.Store
	switch a := action.(type) {
	case syncproto.DeviceSend:
		return nil, s.send(a.Message)
	case syncproto.DeviceSetTimer:
		s.arm(a)
	case syncproto.DeviceWelcomed:
		s.welcomed(a)
	case syncproto.DeviceStateChanged:
		s.stateChanged(a.Live)
	case syncproto.DeviceProved:
		s.a.proved()
		if err := s.a.memory.sawDevices(a.Devices); err != nil {
			s.a.cfg.Log.Warn("remember when devices were seen", "error", err)
		}
		s.stateChanged(s.machine.Live())
	case syncproto.DeviceProblem:
		s.problem(a)
	case syncproto.DeviceMailed:
		s.a.mailed(inbound{m: a.Message})
	case syncproto.DeviceClose:
		s.closed(a)
	case syncproto.StoreBegin:
		return s.begin(a)
	case syncproto.StoreStatements:
		return s.statements(a)
	case syncproto.StoreFork:
		return nil, s.fork(a.Reason)
	case syncproto.StoreApply:
		return s.apply(a)
	case syncproto.StoreMint:
		return s.mint(a)
	case syncproto.StoreAcked:
		return nil, store.Acked(s.local, refsOf(a.Refs))
	case syncproto.StoreRange:
		return s.ranges(a)
	case syncproto.StoreRecount:
		if _, err := store.Recount(s.local, a.Kind); err != nil {
			return nil, err
		}
		d, err := store.Digest(s.local, a.Kind)
		return syncproto.LocalRecounted{Kind: a.Kind, Own: d}, err
	case syncproto.StoreCloud:
		return nil, s.cloudState(a)
	case syncproto.StoreOffer:
		ids, err := store.UnsentChunks(s.local, a.After, a.Max)
		return syncproto.LocalOffered{IDs: ids}, err
	case syncproto.StoreLoad:
		return s.load(a)
	case syncproto.StoreChunksAcked:
		s.lostPieces.given(s.a, a.IDs)
		return nil, store.ChunksAcked(s.local, a.IDs)
	case syncproto.StoreChunksLost:
		had, err := store.ChunksLost(s.local, a.IDs)
		s.lostPieces.tell(s.a, had)
		return nil, err
	case syncproto.StoreMissing:
		if !s.roomForChunks() {
			return syncproto.LocalMissing{}, nil
		}
		ids, err := store.MissingChunks(s.local, a.Max)
		return syncproto.LocalMissing{IDs: ids}, err
	case syncproto.StoreKeep:
		return s.keep(a)
	case syncproto.StoreTestify:
		return s.testify()
	case syncproto.StoreCompare:
		n, err := store.CompareWitnesses(s.local, a.Final)
		return syncproto.LocalCompared{Lacking: n}, err
	case syncproto.StorePick:
		return s.pickSample()
	case syncproto.StoreOpen:
		return s.open(a), nil
	case syncproto.StoreSampled:
		return s.sampled(a)
	default:
		return nil, fmt.Errorf("agent: an action that it does not know: %T", action)
	}
	return nil, nil
}

func refsOf(refs []syncproto.Ref) []localstore.Ref {
	out := make([]localstore.Ref, len(refs))
	for i, r := range refs {
		out[i] = localstore.Ref{ID: r.Record(), VersionID: r.Version()}
	}
	return out
}

func (s *session) welcomed(w syncproto.DeviceWelcomed) {
	s.end.welcomed = true
	if err := s.a.memory.sawVersion(s.a.target.origin, w.Version); err != nil {
		s.a.cfg.Log.Warn("remember the protocol version", "error", err)
	}
	s.a.sawTime(w.Time, s.leaf)
	s.a.setAbsent(0)
	s.a.setViews(nil) // those of the session before
	s.a.setCloud(func(c *CloudStatus) {
		c.State, c.Epoch, c.Error, c.Retry = StateSyncing, fmt.Sprintf("%x", w.Epoch[:]), s.a.lasting, nil
	})
}

func (s *session) stateChanged(live bool) {
	views := s.machine.Kinds()
	state := StateSyncing
	waiting := false // for the cloud's answer about a kind that comes before
	for _, v := range views {
		waiting = waiting || !live && !v.Proven && !v.Restoring && v.Fault == ""
		s.end.good = s.end.good || v.Proven && !waiting
		if v.Proven {
			s.givenBack(v.Kind)
		}
	}
	if live {
		state = StateLive
	}
	s.a.setAbsent(s.machine.Absent())
	s.a.setViews(views)
	rest := s.machine.AtRest()
	s.a.setCloud(func(c *CloudStatus) {
		c.State = state
		if rest {
			c.Error, s.a.lasting = "", ""
		}
	})
}

func (s *session) problem(p syncproto.DeviceProblem) {
	problem := Problem{Kind: p.Kind, Code: p.Code, Text: p.Text}
	if p.Ref != nil {
		problem.ID = p.Ref.Record().String()
	}
	s.a.addProblem(problem)
}

func (s *session) begin(a syncproto.StoreBegin) (syncproto.DeviceEvent, error) {
	store := s.a.cfg.Store
	if err := store.ClaimAccepted(s.local, localstore.Token(a.Token)); err != nil {
		return nil, err
	}
	if err := store.ResetEpoch(s.local, localstore.Epoch(a.Epoch)); err != nil {
		return nil, err
	}
	if err := store.OfferAgain(s.local); err != nil {
		return nil, err
	}
	var b syncproto.LocalBegan
	var err error
	if b.Sample, err = store.SampleDue(s.local); err != nil {
		return nil, err
	}
	if s.a.prove.Swap(false) {
		b.Sample = true
	}
	held, err := s.a.held(s.local)
	b.Kinds = held.Kinds
	return b, err
}

// held returns what the store has of each kind, and how far each was read.
func (a *Agent) held(ctx context.Context) (h syncproto.DeviceHeld, err error) {
	epoch, err := a.cfg.Store.Epoch(ctx)
	if err != nil {
		return h, err
	}
	h.Epoch = syncproto.Epoch(epoch)
	kinds, err := a.cfg.Store.Kinds(ctx)
	if err != nil {
		return h, err
	}
	for _, k := range append(kinds, record.Witness) {
		c, err := a.cfg.Store.Cursor(ctx, k)
		if err != nil {
			return h, err
		}
		d, err := a.cfg.Store.Digest(ctx, k)
		if err != nil {
			return h, err
		}
		was, err := a.cfg.Store.CloudState(ctx, k)
		if err != nil {
			return h, err
		}
		l := syncproto.LocalKind{Kind: k, Cursor: syncproto.Seq(c.Seq), Own: d, Proven: was.Epoch == epoch && was.Digest.Equal(d)}
		if c.Part != nil {
			l.Cursor = 0
			if c.Epoch == epoch {
				l.Walk = syncproto.WalkPlace{Base: syncproto.Seq(c.Seq), Upto: syncproto.NewRef(c.Part.ID, c.Part.VersionID)}
			}
		}
		h.Kinds = append(h.Kinds, l)
	}
	return h, nil
}

// fork makes the next claim use a fresh replica id, unless that happened too
// often in one day.
func (s *session) fork(why syncproto.ForkReason) error {
	reason := map[syncproto.ForkReason]string{
		syncproto.ForkStale: localstore.ForkStale, syncproto.ForkUnknown: localstore.ForkUnknown, syncproto.ForkCounter: localstore.ForkCounter,
	}[why]
	ok := true
	if why != syncproto.ForkStale { // the store counts those
		var err error
		if ok, err = s.a.memory.mayFork(s.a.now()); err != nil {
			return err
		}
	}
	var err error
	if ok {
		err = s.a.cfg.Store.Fork(s.local, reason)
	}
	if !ok || errors.Is(err, localstore.ErrForkLimit) {
		s.done = true
		s.end.err, s.end.retry = ErrForked, syncproto.RetryBackoff
		s.a.addProblem(Problem{Code: "forked", Text: "the cloud refused this device's identity too often within 24 hours: it lost or got back its data each time, or another handset is a copy of this one; sync goes on when the 24 hours have passed"})
		return nil
	}
	return err
}

// apply opens what came and joins it into the store. What does not open never
// blocks the rest.
func (s *session) apply(a syncproto.StoreApply) (syncproto.DeviceEvent, error) {
	store := s.a.cfg.Store
	r := syncproto.LocalApplied{Kind: a.Kind}
	in := make([]localstore.Incoming, 0, len(a.Items))
	for _, item := range a.Items {
		h, err := seal.ParseHeader(item.Header)
		if err != nil {
			s.a.addProblem(Problem{Kind: a.Kind, Code: syncproto.ProblemNotOpen, Text: "the cloud gave something that is not a version"})
			continue
		}
		in = append(in, localstore.Incoming{ID: h.ID, VersionID: h.VersionID, Open: func() *record.Version {
			o, err := s.a.keys.OpenVersion(seal.Sealed{Header: item.Header, Body: item.Body})
			if err != nil || o.Kind != a.Kind {
				return nil
			}
			return o.Version
		}})
	}
	var cursor *localstore.Cursor
	switch w := a.Walk; {
	case a.Cursor != 0:
		cursor = &localstore.Cursor{Epoch: localstore.Epoch(s.machine.Epoch()), Seq: uint64(a.Cursor)}
	case w.Base != 0:
		part := localstore.Ref{ID: w.Upto.Record(), VersionID: w.Upto.Version()}
		cursor = &localstore.Cursor{Epoch: localstore.Epoch(s.machine.Epoch()), Seq: uint64(w.Base), Part: &part}
	}
	var err error
	if r.Overtaken, err = s.overtaken(a.Kind, in); err != nil {
		return nil, err
	}
	if len(in) > 0 || cursor != nil {
		applied, err := store.Apply(s.local, a.Kind, in, cursor)
		if err != nil {
			return nil, err
		}
		for _, ref := range applied.NotOpen {
			r.NotOpen = append(r.NotOpen, syncproto.NewRef(ref.ID, ref.VersionID))
		}
		// What was set aside is judged when minting, too.
		r.Changed, r.ToPush, r.Fork = applied.Changed+applied.SetAside, len(applied.ToPush) > 0 || applied.SetAside > 0, applied.Fork
		for _, c := range applied.Clashes {
			s.a.addProblem(Problem{Kind: a.Kind, Code: "clash", ID: c.ID.String(), Text: "two devices wrote under one identity; all values were kept"})
		}
	}
	d, err := store.Digest(s.local, a.Kind)
	r.Own = d
	return r, err
}

// inHalves calls do for 0 to n-1, if n is at least many in two goroutines.
func inHalves(n, many int, do func(i int)) {
	half := 0
	if n >= many {
		half = n / 2
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range half {
			do(i)
		}
	}()
	for i := half; i < n; i++ {
		do(i)
	}
	<-done
}

// sealAhead is how many versions are minted before they are sealed.
const sealAhead = 64

// mint gives what goes out, sealed. Sealing goes on beside the minting.
func (s *session) mint(a syncproto.StoreMint) (syncproto.DeviceEvent, error) {
	store := s.a.cfg.Store
	made := make(chan *localstore.Outgoing, sealAhead)
	done := make(chan map[record.VersionID]seal.Sealed)
	go func() { done <- s.sealAll(made) }()
	out, err := store.Mint(s.local, a.Kind, a.After, a.RecordsMax, a.BytesMax, func(o *localstore.Outgoing) { made <- o })
	close(made)
	sealed := <-done
	if err != nil {
		return nil, err
	}
	r := syncproto.LocalMinted{Kind: a.Kind, Versions: make([]syncproto.MintedVersion, len(out))}
	for i := range out {
		o := &out[i]
		v, ready := sealed[o.VersionID]
		if !ready {
			v = s.sealed(o)
		}
		r.Versions[i] = syncproto.MintedVersion{Ref: syncproto.NewRef(o.ID, o.VersionID), Order: o.Order, Sealed: v}
	}
	r.Own, err = store.Digest(s.local, a.Kind)
	return r, err
}

func (s *session) sealAll(made <-chan *localstore.Outgoing) map[record.VersionID]seal.Sealed {
	sealed := make(map[record.VersionID]seal.Sealed)
	for o := range made {
		sealed[o.VersionID] = s.sealed(o)
	}
	return sealed
}

func (s *session) sealed(o *localstore.Outgoing) seal.Sealed {
	return s.a.keys.SealEncoded(o.Kind, o.ID, o.VersionID, o.Version, o.Encoded)
}

// ranges takes one step of reconcile against the store's set of a kind.
func (s *session) ranges(a syncproto.StoreRange) (syncproto.DeviceEvent, error) {
	store := s.a.cfg.Store
	r := syncproto.LocalRanged{Kind: a.Kind}
	var have []localstore.Ref
	err := store.ReadSet(s.local, a.Kind, func(set rangeset.Set) error {
		if a.Answer != nil {
			diff, err := a.Reconciler.Handle(set, *a.Answer)
			if errors.Is(err, rangeset.ErrMessage) {
				r.Err = err
				return nil
			}
			if err != nil {
				return err
			}
			r.Need, r.Have = diff.Need, len(diff.Have)
			for _, it := range diff.Have {
				have = append(have, localstore.Ref{ID: it.ID, VersionID: it.Version})
			}
		}
		m, done, err := a.Reconciler.Next(set)
		if err == nil && !done {
			r.Next = &m
		}
		return err
	})
	if err == nil && len(have) > 0 {
		have, err = store.MarkUnsent(s.local, have)
	}
	if err == nil && r.Err == nil {
		s.compared(a.Kind, have, r.Need, r.Next == nil)
	}
	return r, err
}

func (s *session) cloudState(a syncproto.StoreCloud) error {
	store := s.a.cfg.Store
	epoch := localstore.Epoch(s.machine.Epoch())
	c := localstore.CloudState{Digest: rangeset.Digest{Count: a.State.Count, Sum: a.State.Sum}, Epoch: epoch, Head: uint64(a.State.Head), Restoring: a.State.State == syncproto.KindRestoring}
	if a.Proven {
		c.ProvenAt = s.a.cfg.Now()
	}
	if err := store.SetCloudState(s.local, a.State.Kind, c); err != nil {
		return err
	}
	if a.Cursor == 0 {
		return nil
	}
	return store.SetCursor(s.local, a.State.Kind, localstore.Cursor{Epoch: epoch, Seq: uint64(a.Cursor)})
}

// load gives chunks, sealed. A damaged one is left out and reported.
func (s *session) load(a syncproto.StoreLoad) (syncproto.DeviceEvent, error) {
	chunks, bad, err := s.chunks.load(s.local, a.IDs)
	if err != nil {
		return nil, err
	}
	if bad > 0 {
		s.a.addProblem(Problem{Code: syncproto.ProblemBadChunk, Text: "a piece of a picture is damaged on this device"})
	}
	if s.set == nil { // a Stepper has no work beside its steps
		s.chunks.ahead(s.local, a.Next)
	}
	return syncproto.LocalLoaded{Chunks: chunks}, nil
}

// keep opens chunks and stores those that are what they say they are.
func (s *session) keep(a syncproto.StoreKeep) (syncproto.DeviceEvent, error) {
	var r syncproto.LocalKept
	opened := make([]localstore.Chunk, len(a.Chunks))
	inHalves(len(a.Chunks), 2, func(i int) {
		c := a.Chunks[i]
		if id, plain, err := s.a.keys.OpenChunk(seal.Sealed{Header: c.Header, Body: c.Body}); err == nil {
			opened[i] = localstore.Chunk{ID: id, Data: plain}
		}
	})
	var chunks []localstore.Chunk
	for _, c := range opened {
		if c.Data == nil {
			r.Bad++
			continue
		}
		chunks = append(chunks, c)
		r.IDs = append(r.IDs, c.ID)
	}
	if len(chunks) == 0 {
		return r, nil
	}
	if err := s.a.cfg.Store.PutChunks(s.local, chunks); err != nil {
		return nil, err
	}
	for _, c := range a.Chunks {
		syncproto.Free(c.Body)
	}
	return r, nil
}
