package rangeset

import (
	"bytes"
	"errors"
	"fmt"
)

// Limits of one range message, and of what an answer lists.
const (
	RangesMax = 64   // ranges a message, skipped ones included
	ItemsMax  = 2048 // items listed a message, all ranges together
	ListMax   = 32   // a range of so few items is listed rather than split
)

// Mode says what a range of a message carries. The numbers are the wire's.
type Mode uint8

// The modes of a range.
const (
	Skip        Mode = 0 // nothing to say: not asked about, or equal
	Fingerprint Mode = 1 // the sender's digest of the range
	List        Mode = 2 // all items that the sender has in the range; only the cloud lists
)

// Range is one piece of a message. It begins where the piece before it ended.
type Range struct {
	Upper  Bound // exclusive; empty = end of the set, only in the last range
	Mode   Mode
	Digest Digest // of Fingerprint
	Items  []Item // of List: ascending, inside the range
}

// Message is a row of adjacent ranges. The first begins at Lower.
type Message struct {
	Lower  Bound
	Ranges []Range
}

// ErrMessage is wrapped by every error that a peer's message causes: ranges out
// of order, outside what was asked, not shrinking, too many, or without end.
var ErrMessage = errors.New("bad range message")

// Check reports whether m is well formed: 1 to RangesMax ranges with ascending
// bounds, and lists that are ascending, inside their range and together no
// longer than ItemsMax. The error wraps ErrMessage.
func (m Message) Check() error {
	if len(m.Ranges) == 0 || len(m.Ranges) > RangesMax {
		return fmt.Errorf("%w: %d ranges", ErrMessage, len(m.Ranges))
	}
	lower, items := m.Lower, 0
	if len(lower) > ItemBytes {
		return fmt.Errorf("%w: bound too long", ErrMessage)
	}
	for i, r := range m.Ranges {
		if len(r.Upper) > ItemBytes {
			return fmt.Errorf("%w: bound too long", ErrMessage)
		}
		if last := i == len(m.Ranges)-1; compareUpper(r.Upper, lower) <= 0 || len(r.Upper) == 0 && !last {
			return fmt.Errorf("%w: range %d is out of order", ErrMessage, i)
		}
		if r.Mode > List || r.Mode != List && len(r.Items) > 0 || r.Mode != Fingerprint && r.Digest != (Digest{}) {
			return fmt.Errorf("%w: range %d has the wrong content", ErrMessage, i)
		}
		if items += len(r.Items); items > ItemsMax {
			return fmt.Errorf("%w: too many items", ErrMessage)
		}
		for j, it := range r.Items {
			if !Contains(lower, r.Upper, it) || j > 0 && r.Items[j-1].Compare(it) >= 0 {
				return fmt.Errorf("%w: item %d of range %d is out of place", ErrMessage, j, i)
			}
		}
		lower = r.Upper
	}
	return nil
}

// compareUpper compares a as an upper bound with b as a lower one: an empty a
// is the end of the set, an empty b its start.
func compareUpper(a, b Bound) int {
	if len(a) == 0 {
		return 1
	}
	return bytes.Compare(a, b)
}

// uppersCompare compares two upper bounds.
func uppersCompare(a, b Bound) int {
	switch {
	case len(a) == 0 && len(b) == 0:
		return 0
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return bytes.Compare(a, b)
}

// appendSkip adds a skipped range up to upper, grown together with one before it.
func appendSkip(rs []Range, upper Bound) []Range {
	if n := len(rs); n > 0 && rs[n-1].Mode == Skip {
		rs[n-1].Upper = upper
		return rs
	}
	return append(rs, Range{Upper: upper, Mode: Skip})
}

// Diff is what one answer showed.
type Diff struct {
	Have []Item // here, not there: to be pushed
	Need []Item // there, not here: to be fetched
}
