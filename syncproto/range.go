package syncproto

import (
	"bytes"

	"sidekeep/localstore/record"
)

// RangeMode says what a span carries.
type RangeMode uint64

// The modes of a span.
const (
	RangeSkip        RangeMode = 0 // nothing to say: already equal, or already told
	RangeFingerprint RangeMode = 1 // count and sum of the span's items
	RangeList        RangeMode = 2 // all items of the span
)

// Span is one range of a Range message. It begins where the one before it
// ends, the first at the message's Lower.
type Span struct {
	Upper []byte    `cbor:"1,keyasint"` // first bytes of an item, exclusive; empty: to the end
	Mode  RangeMode `cbor:"2,keyasint"`
	Count uint64    `cbor:"3,keyasint,omitempty"` // fingerprint
	Sum   [16]byte  `cbor:"4,keyasint,omitzero"`  // fingerprint
	Items []Ref     `cbor:"5,keyasint,omitempty"` // list, ascending
}

// Range is one step of reconcile, the same shape in both directions: the device
// asks, the cloud answers under the same id.
type Range struct {
	ID    RequestID   `cbor:"1,keyasint"`
	Kind  record.Kind `cbor:"2,keyasint"`
	Lower []byte      `cbor:"3,keyasint"` // empty: from the beginning
	Spans []Span      `cbor:"4,keyasint"`
}

// Type returns TypeRange.
func (*Range) Type() Type { return TypeRange }

func (m *Range) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	if err := checkKind(m.Kind); err != nil {
		return err
	}
	if len(m.Spans) == 0 {
		return errorf(CodeBadMessage, "no ranges")
	}
	if len(m.Spans) > RangesMax {
		return errorf(CodeTooLarge, "%d ranges", len(m.Spans))
	}
	items := 0
	for i := range m.Spans {
		items += len(m.Spans[i].Items)
	}
	if items > RangeItemsMax {
		return errorf(CodeTooLarge, "%d items", items)
	}
	if len(m.Lower) > BoundBytesMax {
		return errorf(CodeTooLarge, "bound of %d bytes", len(m.Lower))
	}
	lower := m.Lower
	for i := range m.Spans {
		if err := m.Spans[i].check(lower, i == len(m.Spans)-1); err != nil {
			return err
		}
		lower = m.Spans[i].Upper
	}
	return nil
}

func (s *Span) check(lower []byte, last bool) error {
	switch {
	case len(s.Upper) > BoundBytesMax:
		return errorf(CodeTooLarge, "bound of %d bytes", len(s.Upper))
	case len(s.Upper) == 0 && !last:
		return errorf(CodeBadMessage, "a range after the end")
	case len(s.Upper) > 0 && bytes.Compare(s.Upper, lower) <= 0:
		return errorf(CodeBadMessage, "ranges out of order")
	case s.Mode > RangeList:
		return errorf(CodeBadMessage, "range mode %d", s.Mode)
	case s.Mode != RangeFingerprint && (s.Count != 0 || s.Sum != [16]byte{}):
		return errorf(CodeBadMessage, "a fingerprint in another mode")
	case s.Mode != RangeList && len(s.Items) > 0:
		return errorf(CodeBadMessage, "items in another mode")
	}
	for i := range s.Items {
		it := s.Items[i][:]
		if i > 0 && bytes.Compare(s.Items[i-1][:], it) >= 0 || bytes.Compare(it, lower) < 0 || len(s.Upper) > 0 && bytes.Compare(it, s.Upper) >= 0 {
			return errorf(CodeBadMessage, "items out of order")
		}
	}
	return nil
}
