package syncproto

import (
	"slices"

	"sidekeep/localstore/record"
)

// feed is how far a session was given the log, and which versions need not be
// given because the session itself brought them.
type feed struct {
	cursors map[record.Kind]Seq    // of a live session
	behind  map[record.Kind]bool   // kinds with something after their cursor
	state   map[record.Kind]uint64 // of the kinds, as last told
	own     map[record.Kind][]Seq  // ascending: pushed in this session, not yet passed
	owned   int
	runs    map[record.Kind]KindState // the last row of pushes of this session with nothing of others in between: from Prev to Head
}

// ownMax bounds the remembered sequences of own versions. What is forgotten is
// sent to the device once more, which changes nothing there.
const ownMax = 16384

func newFeed() feed {
	return feed{cursors: map[record.Kind]Seq{}, behind: map[record.Kind]bool{}, state: map[record.Kind]uint64{}, own: map[record.Kind][]Seq{}, runs: map[record.Kind]KindState{}}
}

// begin starts to follow: the device's cursors, and the heads in the cloud.
func (f *feed) begin(held []Held, kinds []KindState) {
	clear(f.cursors)
	clear(f.behind)
	for _, h := range held {
		f.cursors[h.Kind] = f.stepOver(h.Kind, h.After)
	}
	f.tell(kinds)
	for _, k := range kinds {
		f.behind[k.Kind] = k.Head > f.cursors[k.Kind]
	}
}

// same starts to follow for a device that has read everything.
func (f *feed) same(kinds []KindState) {
	held := make([]Held, len(kinds))
	for i, k := range kinds {
		held[i] = Held{Kind: k.Kind, After: k.Head}
	}
	f.begin(held, kinds)
}

// tell notes the states that the device is told in a proof.
func (f *feed) tell(kinds []KindState) {
	for _, k := range kinds {
		f.state[k.Kind] = k.State
	}
}

func (f *feed) moved(kinds []record.Kind) {
	for _, k := range kinds {
		f.behind[k] = true
	}
}

// next returns the kind to read next: the most important one that is behind.
func (f *feed) next() (kind record.Kind, ok bool) {
	for k, b := range f.behind {
		if b && (!ok || k.Priority() < kind.Priority() || k.Priority() == kind.Priority() && k < kind) {
			kind, ok = k, true
		}
	}
	return kind, ok
}

func (f *feed) lagging() bool {
	_, ok := f.next()
	return ok
}

// pushed notes what this session brought. A cursor that stood at the head steps
// over it, as the device's own cursor does when it sees the ack.
func (f *feed) pushed(versions []CloudVersion, seqs []Seq, kinds []KindState) {
	for i, v := range versions {
		if seqs[i] == 0 {
			continue
		}
		if f.owned >= ownMax {
			clear(f.own)
			f.owned = 0
		}
		f.own[v.Kind] = append(f.own[v.Kind], seqs[i])
		f.owned++
	}
	for _, k := range kinds {
		if run, ok := f.runs[k.Kind]; ok && run.Head == k.Prev {
			k.Prev = run.Prev
		}
		f.runs[k.Kind] = k
		f.cursors[k.Kind] = f.stepOver(k.Kind, f.cursors[k.Kind])
	}
}

// stepOver moves a cursor over what this session itself brought, as the device's
// own cursor does when it sees the acks.
func (f *feed) stepOver(kind record.Kind, c Seq) Seq {
	if run, ok := f.runs[kind]; ok && c >= run.Prev {
		return max(c, run.Head)
	}
	return c
}

// read notes that a kind was read up to next, and drops own versions from items.
func (f *feed) read(kind record.Kind, items []BatchItem) []BatchItem {
	own := f.own[kind]
	if len(own) == 0 {
		return items
	}
	return slices.DeleteFunc(items, func(it BatchItem) bool {
		_, found := slices.BinarySearch(own, it.Seq)
		return found
	})
}
