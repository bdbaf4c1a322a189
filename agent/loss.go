package agent

import (
	"errors"
	"fmt"

	"sidekeep/localstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// ProblemCloudLost is the code of the problem that says what the cloud lost, and
// whether it has it again.
const ProblemCloudLost = "cloud_lost"

// missed is what a session finds missing of a kind at the cloud, that it had
// acknowledged once or that came from it.
type missed struct {
	versions map[record.ID]record.VersionID
	// unclear are records of which the cloud has a version that is not here: it may
	// have moved on (this database was restored or salvaged) and lost nothing.
	unclear map[record.ID]bool
	told    int
}

// compared takes what one step of reconcile found of a kind, and tells at the end
// what the cloud lost.
func (s *session) compared(kind record.Kind, had []localstore.Ref, need []rangeset.Item, end bool) {
	m := s.missed[kind]
	if m == nil {
		if s.missed == nil {
			s.missed = map[record.Kind]*missed{}
		}
		m = &missed{versions: map[record.ID]record.VersionID{}, unclear: map[record.ID]bool{}}
		s.missed[kind] = m
	}
	for _, r := range had {
		m.versions[r.ID] = r.VersionID
	}
	for _, it := range need {
		m.unclear[it.ID] = true
	}
	if end {
		s.cloudLost(kind, m)
	}
}

// overtaken looks at what the cloud had where a version of this device was
// missing: what has seen that version stands in its place. It returns how many did.
func (s *session) overtaken(kind record.Kind, in []localstore.Incoming) (n int, err error) {
	m := s.missed[kind]
	if m == nil || len(m.unclear) == 0 {
		return 0, nil
	}
	for i := range in {
		id := in[i].ID
		if !m.unclear[id] {
			continue
		}
		if in[i].Version = in[i].Open(); in[i].Version == nil {
			continue
		}
		delete(m.unclear, id)
		version, ok := m.versions[id]
		if !ok {
			continue
		}
		own, err := s.a.cfg.Store.Version(s.local, id)
		if errors.Is(err, localstore.ErrNotFound) || errors.Is(err, localstore.ErrDamaged) {
			continue
		}
		if err != nil {
			return n, err
		}
		if own.VersionID == version && in[i].Version.Vector.Includes(own.Version.Vector) {
			delete(m.versions, id)
			n++
		}
	}
	if len(m.unclear) == 0 {
		s.cloudLost(kind, m)
	}
	return n, nil
}

// cloudLost tells what the cloud lost of a kind, as far as that is certain.
func (s *session) cloudLost(kind record.Kind, m *missed) {
	n := 0
	for id := range m.versions {
		if !m.unclear[id] {
			n++
		}
	}
	if n == 0 || n == m.told {
		return
	}
	m.told = n
	s.a.replaceProblem(Problem{Kind: kind, Code: ProblemCloudLost,
		Text: fmt.Sprintf("the cloud has lost %d of %s that it had; this device has them, and gives them back", n, kind)})
}

// givenBack tells that the cloud is proven to have again what it lost of a kind.
func (s *session) givenBack(kind record.Kind) {
	m := s.missed[kind]
	if m == nil {
		return
	}
	delete(s.missed, kind)
	if n := len(m.versions); n > 0 {
		s.a.replaceProblem(Problem{Kind: kind, Code: ProblemCloudLost,
			Text: fmt.Sprintf("the cloud had lost %d of %s; it has them again, proven", n, kind)})
	}
}

// lostPieces are the pieces of pictures that a session finds missing at the
// cloud, and that it had acknowledged.
type lostPieces struct {
	n       int
	waiting map[record.ChunkID]bool // not given back yet
}

// tell tells of more of them.
func (l *lostPieces) tell(a *Agent, had []record.ChunkID) {
	if len(had) == 0 {
		return
	}
	if l.waiting == nil {
		l.waiting = map[record.ChunkID]bool{}
	}
	for _, id := range had {
		l.waiting[id] = true
	}
	l.n += len(had)
	a.replaceProblem(Problem{Code: ProblemCloudLost, Text: fmt.Sprintf("the cloud has lost %d pieces of pictures that it had; this device has them, and gives them back", l.n)})
}

// given tells, after the last of them, that the cloud has them again.
func (l *lostPieces) given(a *Agent, ids []record.ChunkID) {
	if len(l.waiting) == 0 {
		return
	}
	for _, id := range ids {
		delete(l.waiting, id)
	}
	if len(l.waiting) == 0 {
		a.replaceProblem(Problem{Code: ProblemCloudLost, Text: fmt.Sprintf("the cloud had lost %d pieces of pictures; it has acknowledged them again", l.n)})
	}
}
