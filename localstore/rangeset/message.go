package rangeset

import "errors"

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
	List        Mode = 2 // all items that the sender has in the range (only from the cloud)
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

// Diff is what one answer showed.
type Diff struct {
	Have []Item // here, not there: to be pushed
	Need []Item // there, not here: to be fetched
}
