package syncproto

import "sidekeep/localstore/record"

// How much of a cloud's talk may bring nothing before the device hangs up and
// comes back later. A cloud can make up neither versions nor chunks that open,
// so whatever it invents or repeats counts here.
const (
	wasteBase    = 4096 // messages and versions, beside what follows
	wasteOwn     = 4    // for each version here: what is known may come again
	wasteGain    = 4    // for each version that was news
	notOpenMax   = 4096 // different versions that do not open
	notOpenNamed = 32   // of them that are reported one by one
	effortMax    = 12   // reconciles of one kind that did not bring peace
)

// deviceWaste is the account of one session's talk.
type deviceWaste struct {
	spent   uint64 // versions and messages that brought nothing
	gain    uint64 // versions that were news
	notOpen int    // different versions that do not open, of all kinds
}

// wasted notes n messages or versions that brought nothing to a kind of which
// own versions are here. It closes the session and returns false when that is
// more than an honest cloud could cause.
func (s *DeviceSession) wasted(n int, own uint64) bool {
	s.waste.spent += uint64(max(n, 0))
	if s.waste.spent > wasteBase+wasteOwn*own+wasteGain*s.waste.gain {
		s.fail(CodeTooLarge, "a cloud that repeats itself")
		return false
	}
	return true
}

// gained notes n versions that were news: whoever brings them may go on.
func (s *DeviceSession) gained(k *deviceKind, n int) {
	s.waste.gain += uint64(n)
	if k.reconciler != nil {
		k.reconciler.Credit(uint64(n))
	}
}

// closedOnes notes versions that do not open, to be reported to the cloud, and
// returns how many of them are not known already.
func (s *DeviceSession) closedOnes(k *deviceKind, refs []Ref) (fresh int) {
	for _, r := range refs {
		if k.notOpen[r] || s.waste.notOpen >= notOpenMax {
			continue
		}
		fresh++
		s.waste.notOpen++
		k.notOpen[r] = true
		k.aside = append(k.aside, r)
		if s.waste.notOpen <= notOpenNamed {
			s.do(DeviceProblem{Kind: k.name, Code: ProblemNotOpen, Ref: &r, Text: "a version of the cloud does not open"})
		}
	}
	return fresh
}

// tooManyKinds closes the session of a cloud that names ever new kinds, and
// returns one that nobody looks at.
func (s *DeviceSession) tooManyKinds(name record.Kind) *deviceKind {
	s.fail(CodeTooLarge, "a cloud that names too many kinds")
	return newDeviceKind(name)
}
