package syncproto

import (
	"slices"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// Bounds of a sample.
const (
	sampleTriesMax = 3
	sampleBytesMax = 2 << 20 // headers and bodies of the versions
)

type samplePhase uint8

const (
	sampleIdle    samplePhase = iota
	sampleReading             // asking for versions and chunks
	sampleOpening             // the store opens what came
	sampleProving             // something is missing: does the cloud still say that it has all?
)

// deviceSample reads back what the cloud acknowledged (SPEC.md section
// "Samples"). What the cloud does not give counts against it only if nothing of
// it changed meanwhile, by the cloud's own word.
type deviceSample struct {
	due    bool
	phase  samplePhase
	tries  int
	before map[record.Kind]sampleKind

	read    Sample
	queue   []KindRefs       // to be fetched
	pieces  []record.ChunkID // to be wanted
	waiting int              // fetches without their last batch
	wanting bool             // a want is under way
	left    int              // chunks that may still come for it
	items   []BatchItem
	bytes   int
	chunks  []*Chunk

	missing Sample
	ended   RequestID        // last request before the last answer came
	proof   RequestID        // last request that was answered by a proof
	lost    []record.ChunkID // as that proof named them
}

// sampleKind is how a kind stood when the reading began.
type sampleKind struct {
	cloud KindState
	own   rangeset.Digest
}

// begin asks for a sample as soon as all is at rest.
func (p *deviceSample) begin() {
	if p.phase == sampleIdle {
		p.due, p.tries = true, 0
	}
}

// plan takes the next step, and reports whether nothing is left to do. Every
// kind is at rest.
func (p *deviceSample) plan(s *DeviceSession) bool {
	switch p.phase {
	case sampleIdle:
		if !p.due || !s.up.done() || !s.down.idle() {
			return !p.due
		}
		p.due = false
		s.ask(StorePick{})
	case sampleReading:
		p.ask(s)
	case sampleProving:
		if p.proof > p.ended {
			p.judge(s)
			return !s.busy && p.plan(s) // no event may follow
		}
		if s.room() {
			s.prove(false)
		}
	}
	return false
}

// picked takes what the store chose, and leaves out the kinds that the cloud
// does not claim to have whole.
func (p *deviceSample) picked(s *DeviceSession, l LocalPicked) {
	*p = deviceSample{tries: p.tries, proof: p.proof, before: map[record.Kind]sampleKind{}}
	for _, k := range s.kinds {
		p.before[k.name] = sampleKind{k.cloud, k.own}
	}
	for _, r := range l.Sample.Versions {
		if k := s.kind(r.Kind); k.equal() && !k.restoring() && k.fault == "" {
			p.read.Versions = append(p.read.Versions, r)
		}
	}
	p.read.Chunks = l.Sample.Chunks
	s.up.again() // some chunks were put back, to be offered
	if p.read.Empty() {
		return
	}
	p.queue, p.pieces = slices.Clone(p.read.Versions), p.read.Chunks
	p.phase = sampleReading
}

// ask sends what is still to be asked for.
func (p *deviceSample) ask(s *DeviceSession) {
	for len(p.queue) > 0 && s.room() {
		q := p.queue[0]
		p.queue = p.queue[1:]
		p.waiting++
		s.send(&Fetch{ID: s.request(&deviceRequest{kind: s.kind(q.Kind), typ: TypeFetch, left: len(q.Refs), sample: true}), Kind: q.Kind, Refs: q.Refs})
	}
	if len(p.pieces) > 0 && s.room() && len(s.down.wants) == 0 {
		ids := p.pieces
		p.pieces, p.wanting, p.left = nil, true, len(ids)
		s.send(&Want{ID: s.request(&deviceRequest{typ: TypeWant, sample: true}), Chunks: ids})
	}
	if len(p.queue) == 0 && len(p.pieces) == 0 && p.waiting == 0 && !p.wanting {
		p.phase = sampleOpening
		s.ask(StoreOpen{Items: p.items, Chunks: p.chunks})
		p.items, p.chunks = nil, nil
	}
}

// batch takes a part of the answer to a fetch of the sample.
func (p *deviceSample) batch(s *DeviceSession, m *Batch, r *deviceRequest) {
	for i := range m.Items {
		p.bytes += len(m.Items[i].Header) + len(m.Items[i].Body)
	}
	r.left -= len(m.Items)
	switch {
	case r.left < 0 || m.More && len(m.Items) == 0:
		s.fail(CodeBadMessage, "a fetch that gives more than was asked")
		return
	case p.bytes > sampleBytesMax:
		s.fail(CodeTooLarge, "versions that are larger than they were")
		return
	}
	p.items = append(p.items, m.Items...)
	if !m.More {
		delete(s.requests, m.ID)
		p.waiting--
	}
}

// arrived takes a chunk of the sample.
func (p *deviceSample) arrived(s *DeviceSession, c *Chunk) {
	if p.left--; p.left < 0 {
		s.fail(CodeOutOfOrder, "a chunk that nobody wanted")
		return
	}
	p.chunks = append(p.chunks, c)
}

// opened compares what came with what was asked for.
func (p *deviceSample) opened(s *DeviceSession, l LocalOpened) {
	for _, n := range l.NotOpen {
		s.closedOnes(s.kind(n.Kind), n.Refs)
	}
	p.missing = Sample{}
	for _, want := range p.read.Versions {
		var got []Ref
		for _, o := range l.Opened.Versions {
			if o.Kind == want.Kind {
				got = append(got, o.Refs...)
			}
		}
		if refs := without(want.Refs, got); len(refs) > 0 {
			p.missing.Versions = append(p.missing.Versions, KindRefs{want.Kind, refs})
		}
	}
	p.missing.Chunks = without(p.read.Chunks, l.Opened.Chunks)
	p.ended, p.phase = s.lastID, sampleProving
	if p.missing.Empty() {
		p.phase = sampleIdle
		s.ask(StoreSampled{Read: p.read})
	}
}

// judge decides on what is missing, after a proof. If anything changed
// meanwhile, or the cloud owns up to what it lost, another sample is taken.
func (p *deviceSample) judge(s *DeviceSession) {
	p.phase = sampleIdle
	same := len(s.kinds) == len(p.before)
	for _, k := range s.kinds {
		b := p.before[k.name]
		same = same && k.cloud == b.cloud && k.own.Equal(b.own)
	}
	p.missing.Chunks = without(p.missing.Chunks, p.lost)
	if !same || p.missing.Empty() {
		p.tries++
		p.due = p.tries < sampleTriesMax
		return
	}
	s.ask(StoreSampled{Read: p.read, Missing: p.missing})
}

// sampled goes on after the outcome was stored: what was missing goes out again.
func (p *deviceSample) sampled(s *DeviceSession) {
	if !p.missing.Empty() {
		for _, k := range s.kinds {
			k.again = true
		}
		s.up.again()
	}
	s.do(DeviceStateChanged{s.live})
}

// without returns the elements of all that are not in some.
func without[T comparable](all, some []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return slices.Contains(some, v) })
}

// KindRefs names versions of one kind.
type KindRefs struct {
	Kind record.Kind
	Refs []Ref
}

// Sample names versions and chunks that the cloud acknowledged. No kind stands twice.
type Sample struct {
	Versions []KindRefs
	Chunks   []record.ChunkID
}

// Empty reports whether the sample names nothing.
func (p *Sample) Empty() bool { return len(p.Versions) == 0 && len(p.Chunks) == 0 }
