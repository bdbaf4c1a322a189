package agent

import (
	"errors"
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Times of the looks for a cloud that lies, in a session that stays open.
const (
	sampleFirst = time.Minute
	sampleEvery = time.Hour // to see whether one is due
)

// sampleDue asks the machine for a sample if one is due, and returns when to
// look again.
func (s *session) sampleDue() time.Duration {
	due, err := s.a.cfg.Store.SampleDue(s.local)
	if err != nil {
		s.fault(err)
		return sampleEvery
	}
	if due {
		s.handle(syncproto.DeviceSample{})
	}
	return sampleEvery
}

// testify states what this device has seen.
func (s *session) testify() (syncproto.DeviceEvent, error) {
	changed, err := s.a.cfg.Store.Testify(s.local, localstore.Witness{
		Device: s.a.cfg.Identity.Device().String(), Name: s.a.cfg.Device, Program: s.a.cfg.Program,
	})
	if err != nil {
		return nil, err
	}
	own, err := s.a.cfg.Store.Digest(s.local, record.Witness)
	return syncproto.LocalTestified{Own: own, Changed: changed}, err
}

func (s *session) pickSample() (syncproto.DeviceEvent, error) {
	p, err := s.a.cfg.Store.PickSample(s.local)
	if err != nil {
		return nil, err
	}
	r := syncproto.LocalPicked{Sample: syncproto.Sample{Chunks: p.Chunks}}
	for kind, refs := range p.Versions {
		k := syncproto.KindRefs{Kind: kind}
		for _, ref := range refs {
			k.Refs = append(k.Refs, syncproto.NewRef(ref.ID, ref.VersionID))
		}
		r.Sample.Versions = append(r.Sample.Versions, k)
	}
	return r, nil
}

// open opens what a sample brought: what opens has the ids that it gives.
func (s *session) open(a syncproto.StoreOpen) syncproto.LocalOpened {
	var r syncproto.LocalOpened
	for i := range a.Items {
		sealed := seal.Sealed{Header: a.Items[i].Header, Body: a.Items[i].Body}
		if o, err := s.a.keys.OpenVersion(sealed); err == nil {
			r.Opened.Versions = append(r.Opened.Versions, syncproto.KindRefs{Kind: o.Kind, Refs: []syncproto.Ref{syncproto.NewRef(o.ID, o.VersionID)}})
		} else if h, err := seal.ParseHeader(sealed.Header); err == nil {
			r.NotOpen = append(r.NotOpen, syncproto.KindRefs{Kind: h.Kind, Refs: []syncproto.Ref{syncproto.NewRef(h.ID, h.VersionID)}})
		}
	}
	for _, c := range a.Chunks {
		if id, _, err := s.a.keys.OpenChunk(seal.Sealed{Header: c.Header, Body: c.Body}); err == nil {
			r.Opened.Chunks = append(r.Opened.Chunks, id)
		}
	}
	return r
}

func (s *session) sampled(a syncproto.StoreSampled) (syncproto.DeviceEvent, error) {
	defer s.a.samples.Add(1)
	err := s.a.cfg.Store.Sampled(s.local, sampleOf(a.Read), sampleOf(a.Missing))
	return syncproto.LocalSampled{}, err
}

func sampleOf(p syncproto.Sample) localstore.Sample {
	out := localstore.Sample{Chunks: p.Chunks, Versions: map[record.Kind][]localstore.Ref{}}
	for _, k := range p.Versions {
		out.Versions[k.Kind] = refsOf(k.Refs)
	}
	return out
}

// TrustStatus is the part of a Status that says why the cloud's word is
// believed: what was last proven of it beside digests, when, and by what.
type TrustStatus struct {
	// State is TrustKept, TrustUnproven, TrustNotKept or TrustWithholds.
	State string `json:"state"`
	// SampledAt is when a sample of what the cloud acknowledged was last read
	// back whole; Versions and Chunks how many were in it.
	SampledAt *time.Time `json:"sampled_at,omitempty"`
	Versions  int        `json:"sample_versions"`
	Chunks    int        `json:"sample_chunks"`
	// FailedAt is since when the cloud does not give what it acknowledged, and
	// Missing how much of the last sample.
	FailedAt *time.Time `json:"failed_at,omitempty"`
	Missing  int        `json:"sample_missing,omitempty"`
	// Statements counts the replicas, this one too, whose word on what they have
	// seen was compared with what is here.
	Statements int `json:"statements"`
	// Withheld names the devices that have seen writes which the cloud does not give here.
	Withheld []localstore.Withheld `json:"withheld,omitempty"`
}

// States of trust, as Status.Trust.State has them.
const (
	TrustUnproven  = "unproven"  // no sample was read back yet
	TrustKept      = "kept"      // the last sample was whole, and no device has seen more
	TrustNotKept   = "not_kept"  // the cloud does not keep what it acknowledges
	TrustWithholds = "withholds" // the cloud withholds what another device has seen
)

func trustOf(st *localstore.Status) TrustStatus {
	t := TrustStatus{State: TrustUnproven, Versions: st.Sample.Versions, Chunks: st.Sample.Chunks, Missing: st.Sample.Missing, Statements: st.Stated, Withheld: st.Withheld}
	if !st.Sample.At.IsZero() {
		t.State, t.SampledAt = TrustKept, &st.Sample.At
	}
	if len(st.Withheld) > 0 {
		t.State = TrustWithholds
	}
	if st.Sample.Failed() {
		t.State, t.FailedAt = TrustNotKept, &st.Sample.FailedAt
	}
	return t
}

// What a sync ends with when digests are equal and the cloud lies. Both come
// with ErrNotInSync.
var (
	// ErrNotKept: the cloud does not give what it has acknowledged.
	ErrNotKept = errors.New("the cloud does not keep what it acknowledges")
	// ErrWithholds: another device has seen writes that the cloud does not give here.
	ErrWithholds = errors.New("the cloud withholds what another device has seen")
)

// err is nil unless the cloud was caught.
func (t *TrustStatus) err() error {
	switch t.State {
	case TrustNotKept:
		return ErrNotKept
	case TrustWithholds:
		return ErrWithholds
	}
	return nil
}
