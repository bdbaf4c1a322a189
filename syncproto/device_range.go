package syncproto

import (
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// NewRange returns the wire form of a step of reconcile.
func NewRange(id RequestID, kind record.Kind, m rangeset.Message) *Range {
	r := &Range{ID: id, Kind: kind, Lower: append([]byte{}, m.Lower...), Spans: make([]Span, len(m.Ranges))}
	for i, g := range m.Ranges {
		sp := Span{Upper: append([]byte{}, g.Upper...), Mode: RangeMode(g.Mode)}
		if g.Mode == rangeset.Fingerprint {
			sp.Count, sp.Sum = g.Digest.Count, g.Digest.Sum
		}
		for _, it := range g.Items {
			sp.Items = append(sp.Items, NewRef(it.ID, it.Version))
		}
		r.Spans[i] = sp
	}
	return r
}

// Message returns the step of reconcile that r carries.
func (m *Range) Message() rangeset.Message {
	out := rangeset.Message{Lower: m.Lower, Ranges: make([]rangeset.Range, len(m.Spans))}
	for i, sp := range m.Spans {
		g := rangeset.Range{Upper: sp.Upper, Mode: rangeset.Mode(sp.Mode), Digest: rangeset.Digest{Count: sp.Count, Sum: sp.Sum}}
		for _, r := range sp.Items {
			g.Items = append(g.Items, rangeset.Item{ID: r.Record(), Version: r.Version()})
		}
		out.Ranges[i] = g
	}
	return out
}
