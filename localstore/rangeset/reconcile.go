package rangeset

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	roundsBase    = 16   // rounds allowed for a small set
	roundItems    = 64   // items of both sides that allow one round more
	itemsBaseMore = 4096 // items a cloud may list beyond what it declared: it may be growing
)

// Reconciler is the device's end of reconcile, for one kind. Call Next, send
// its message, pass the answer to Handle, until Next says done. It keeps bounds
// only; the set is read anew each time, so it may change in between.
type Reconciler struct {
	started    bool
	pending    []span  // to be asked, ascending and disjoint
	asked      Message // the message without an answer; no ranges if none
	roundsLeft uint64
	itemsLeft  uint64
}

type span struct{ lower, upper Bound }

// NewReconciler starts a reconcile of the whole kind. own and declared are the
// item counts of this device and of the cloud (as the cloud said in its kind
// state); together they bound the rounds and bytes before Handle gives up. A
// count beyond what is here is believed only as far as Credit confirms it.
func NewReconciler(own, declared uint64) *Reconciler {
	declared = min(declared, own+itemsBaseMore)
	return &Reconciler{
		roundsLeft: roundsBase + own/roundItems + declared/roundItems,
		itemsLeft:  declared + itemsBaseMore,
	}
}

// Credit says that n items which the cloud listed were fetched and are real.
func (r *Reconciler) Credit(n uint64) {
	r.itemsLeft += n
	r.roundsLeft += (n + roundItems - 1) / roundItems
}

// Next returns the next message to send, or done. The message stays valid.
func (r *Reconciler) Next(set Set) (m Message, done bool, err error) {
	if len(r.asked.Ranges) > 0 {
		return Message{}, false, errors.New("reconcile: no answer yet to the last message")
	}
	if !r.started {
		r.started = true
		own, err := digestOf(set, nil, nil)
		if err != nil {
			return Message{}, false, err
		}
		r.asked.Ranges, err = splitOf(set, nil, nil, own.Count, partsOf(own.Count, RangesMax))
		return r.asked, false, err
	}
	if len(r.pending) == 0 {
		return Message{}, true, nil
	}
	m.Lower = r.pending[0].lower
	at, taken := m.Lower, 0
	for _, s := range r.pending {
		gap := !bytes.Equal(at, s.lower)
		if gap && len(m.Ranges)+2 > RangesMax || len(m.Ranges) == RangesMax {
			break
		}
		if gap {
			m.Ranges = append(m.Ranges, Range{Upper: s.lower})
		}
		d, err := digestOf(set, s.lower, s.upper)
		if err != nil {
			return Message{}, false, err
		}
		m.Ranges = append(m.Ranges, Range{Upper: s.upper, Mode: Fingerprint, Digest: d})
		at = s.upper
		taken++
	}
	r.pending = r.pending[taken:]
	r.asked = m
	return m, false, nil
}

// Handle takes the cloud's answer to the last message of Next and returns the
// differences it shows, ascending. The error wraps ErrMessage if the answer is
// bad; the caller then closes and backs off.
func (r *Reconciler) Handle(set Set, m Message) (Diff, error) {
	if len(r.asked.Ranges) == 0 {
		return Diff{}, fmt.Errorf("%w: nothing was asked", ErrMessage)
	}
	if err := m.Check(); err != nil {
		return Diff{}, err
	}
	if !bytes.Equal(m.Lower, r.asked.Lower) {
		return Diff{}, fmt.Errorf("%w: begins elsewhere than asked", ErrMessage)
	}
	if r.roundsLeft == 0 {
		return Diff{}, fmt.Errorf("%w: too many rounds", ErrMessage)
	}
	r.roundsLeft--

	var diff Diff
	var next []span
	asked, askedLower := r.asked.Ranges, r.asked.Lower
	at := m.Lower
	for _, got := range m.Ranges {
		if len(asked) == 0 {
			return Diff{}, fmt.Errorf("%w: more than was asked", ErrMessage)
		}
		if got.Mode == Skip {
			// Whole asked ranges only: a part of one can not be known to be equal.
			if !bytes.Equal(at, askedLower) {
				return Diff{}, fmt.Errorf("%w: skips a part", ErrMessage)
			}
			for len(asked) > 0 && uppersCompare(asked[0].Upper, got.Upper) <= 0 {
				askedLower, asked = asked[0].Upper, asked[1:]
			}
			if !bytes.Equal(askedLower, got.Upper) {
				return Diff{}, fmt.Errorf("%w: skips a part", ErrMessage)
			}
			at = got.Upper
			continue
		}
		inside := uppersCompare(got.Upper, asked[0].Upper)
		if asked[0].Mode != Fingerprint || inside > 0 {
			return Diff{}, fmt.Errorf("%w: outside what was asked", ErrMessage)
		}
		if got.Mode == List {
			if err := r.compare(set, span{at, got.Upper}, got.Items, &diff); err != nil {
				return Diff{}, err
			}
		} else {
			if inside == 0 && bytes.Equal(at, askedLower) {
				return Diff{}, fmt.Errorf("%w: does not shrink", ErrMessage)
			}
			spans, err := r.narrow(set, span{at, got.Upper}, got.Digest)
			if err != nil {
				return Diff{}, err
			}
			next = append(next, spans...)
		}
		at = got.Upper
		if inside == 0 {
			askedLower, asked = asked[0].Upper, asked[1:]
		}
	}
	r.pending = append(append(next, unanswered(at, asked)...), r.pending...)
	r.asked = Message{}
	return diff, nil
}

// unanswered returns what of the asked ranges lies at or above at.
func unanswered(at Bound, asked []Range) []span {
	var left []span
	for _, a := range asked {
		if a.Mode == Fingerprint {
			left = append(left, span{at, a.Upper})
		}
		at = a.Upper
	}
	return left
}

// compare takes the cloud's whole list of a range apart into what only one has.
func (r *Reconciler) compare(set Set, s span, theirs []Item, diff *Diff) error {
	if uint64(len(theirs)) > r.itemsLeft {
		return fmt.Errorf("%w: more items than the cloud has", ErrMessage)
	}
	r.itemsLeft -= uint64(len(theirs))
	err := set.Scan(s.lower, s.upper, func(own Item) bool {
		for len(theirs) > 0 && theirs[0].Compare(own) < 0 {
			diff.Need = append(diff.Need, theirs[0])
			theirs = theirs[1:]
		}
		if len(theirs) > 0 && theirs[0] == own {
			theirs = theirs[1:]
		} else {
			diff.Have = append(diff.Have, own)
		}
		return true
	})
	diff.Need = append(diff.Need, theirs...)
	return err
}

// narrow returns what to ask next about a range for which the cloud gave a
// digest: nothing if it is equal here, smaller ranges if both sides hold too
// much to list it.
func (r *Reconciler) narrow(set Set, s span, theirs Digest) ([]span, error) {
	own, err := digestOf(set, s.lower, s.upper)
	if err != nil || own == theirs {
		return nil, err
	}
	if theirs.Count <= ListMax || own.Count <= ListMax {
		return []span{s}, nil
	}
	parts, err := splitOf(set, s.lower, s.upper, own.Count, partsOf(own.Count, partsMax))
	spans := make([]span, len(parts))
	at := s.lower
	for i, p := range parts {
		spans[i] = span{at, p.Upper}
		at = p.Upper
	}
	return spans, err
}
