package rangeset

import "fmt"

// Answer is the cloud's end of reconcile. For each Fingerprint range of m it
// says Skip if set is equal there, and otherwise gives the List of its items or
// the Fingerprints of smaller ranges. An answer may end before m does; the
// device then asks again from there. The error wraps ErrMessage if m is bad.
//
// The cost is two scans of what m covers; the answer is at most RangesMax
// ranges and ItemsMax items.
func Answer(set Set, m Message) (Message, error) {
	if err := m.Check(); err != nil {
		return Message{}, err
	}
	a := answerer{set: set, out: Message{Lower: m.Lower}}
	own := make([]Digest, len(m.Ranges))
	lower, skipping, small, large := m.Lower, false, 0, 0
	var differ uint64 // items in ranges that differ
	for i, r := range m.Ranges {
		if r.Mode == List {
			return Message{}, fmt.Errorf("%w: a device does not list", ErrMessage)
		}
		if r.Mode == Fingerprint {
			d, err := digestOf(set, lower, r.Upper)
			if err != nil {
				return Message{}, err
			}
			own[i] = d
		}
		skip := r.Mode == Skip || own[i] == r.Digest
		if !skip {
			differ += own[i].Count
		}
		switch {
		case !skip && own[i].Count > ListMax:
			large++
		case !skip || !skipping:
			small++
		}
		lower, skipping = r.Upper, skip
	}
	a.few = differ <= listFewItems
	if large > 0 {
		a.most = min(partsMax, (RangesMax-small)/large)
	}
	lower = m.Lower
	for i, r := range m.Ranges {
		whole, err := a.add(lower, r, own[i])
		if err != nil {
			return Message{}, err
		}
		if !whole {
			break
		}
		lower = r.Upper
	}
	return a.out, nil
}

// answerer gathers an answer within the limits of a message.
type answerer struct {
	set   Set
	out   Message
	most  int // parts of one range, so that the splits of all fit the message
	items int
	few   bool // all that differs is listed
}

// add answers one asked range. It reports false when the message is full and
// the range, or its end, is left unanswered.
func (a *answerer) add(lower Bound, asked Range, own Digest) (bool, error) {
	free := RangesMax - len(a.out.Ranges)
	switch {
	case free == 0:
		return false, nil
	case asked.Mode == Skip || own == asked.Digest:
		a.out.Ranges = appendSkip(a.out.Ranges, asked.Upper)
		return true, nil
	case own.Count <= ListMax, a.few, asked.Digest.Count == 0, a.most < partsWorth && own.Count <= listCrowdedItems:
		return a.list(lower, asked.Upper, own.Count)
	}
	// Where so many ranges differ that nothing fits, the first few are split well.
	parts := partsOf(own.Count, partsMax)
	if a.most >= partsWorth {
		parts = partsOf(own.Count, a.most)
	}
	if parts > free {
		return false, nil
	}
	ranges, err := splitOf(a.set, lower, asked.Upper, own.Count, parts)
	a.out.Ranges = append(a.out.Ranges, ranges...)
	return true, err
}

func (a *answerer) list(lower, upper Bound, count uint64) (bool, error) {
	free := ItemsMax - a.items
	if count > uint64(free) && len(a.out.Ranges) > 0 {
		return false, nil
	}
	items, rest, err := listOf(a.set, lower, upper, free)
	if err != nil {
		return false, err
	}
	a.items += len(items)
	if rest != nil {
		upper = rest
	}
	a.out.Ranges = append(a.out.Ranges, Range{Upper: upper, Mode: List, Items: items})
	return rest == nil, nil
}
