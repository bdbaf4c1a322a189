package agent

import (
	"fmt"

	"sidekeep/localstore/record"
)

// ProblemCloudLost is the code of the problem that says what the cloud lost, and
// whether it has it again.
const ProblemCloudLost = "cloud_lost"

// cloudLost tells that the cloud lacks versions that it had acknowledged once, or
// that came from it.
func (s *session) cloudLost(kind record.Kind, n int) {
	if n == 0 {
		return
	}
	if s.missed == nil {
		s.missed = map[record.Kind]int{}
	}
	s.missed[kind] += n
	s.a.replaceProblem(Problem{Kind: kind, Code: ProblemCloudLost,
		Text: fmt.Sprintf("the cloud has lost %d of %s that it had; this device has them, and gives them back", s.missed[kind], kind)})
}

// givenBack tells that the cloud is proven to have again what it lost of a kind.
func (s *session) givenBack(kind record.Kind) {
	n := s.missed[kind]
	if n == 0 {
		return
	}
	delete(s.missed, kind)
	s.a.replaceProblem(Problem{Kind: kind, Code: ProblemCloudLost,
		Text: fmt.Sprintf("the cloud had lost %d of %s; it has them again, proven", n, kind)})
}

// cloudLostChunks tells that the cloud says itself that it lacks pieces of
// pictures that it had acknowledged.
func (s *session) cloudLostChunks(n int) {
	if n > 0 {
		s.a.addProblem(Problem{Code: ProblemCloudLost, Text: fmt.Sprintf("the cloud has lost %d pieces of pictures; this device has them, and gives them back", n)})
	}
}
