package syncproto

import (
	"testing"

	"sidekeep/localstore/record"
)

// openCloud returns a machine in the open state, as after a welcome.
func openCloud() *CloudSession {
	s := NewCloudSession(CloudConfig{})
	s.state, s.hello = cloudOpen, &Hello{}
	return s
}

func receivedBy(t *testing.T, s *CloudSession, m Message) []CloudAction {
	t.Helper()
	b, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return s.Handle(Received{b})
}

// TestCloudEndsInEveryState: what ends a session ends it in every state, once,
// and nothing comes after.
func TestCloudEndsInEveryState(t *testing.T) {
	for _, state := range []cloudState{cloudWaitsHello, cloudWaitsAuth, cloudClaims, cloudContested, cloudOpen} {
		for _, c := range []struct {
			ev   CloudEvent
			last Type
			code Code
		}{
			{Draining{}, TypeBye, CodeShutdown},
			{Superseded{}, TypeError, CodeSuperseded},
			{Refused{30}, TypeWait, CodeBusy},
			{Deadline{}, TypeError, CodeTimeout},
			{Received{[]byte{1}}, TypeError, CodeBadMessage},
		} {
			s := openCloud()
			s.state = state
			got := s.Handle(c.ev)
			if _, ok := c.ev.(Deadline); ok && state == cloudOpen {
				if got != nil {
					t.Errorf("a deadline in the open state: %v", got)
				}
				continue
			}
			if len(got) != 2 || got[0].(SendToDevice).Message.Type() != c.last || got[1].(HangUp).Code != c.code {
				t.Errorf("%T while it %s: %v", c.ev, state, got)
			}
			for _, ev := range []CloudEvent{Draining{}, Received{}, Continue{}, Moved{}, Failed{}, ChunksStored{}} {
				if got := s.Handle(ev); got != nil {
					t.Errorf("%T after the end: %v", ev, got)
				}
			}
		}
	}
}

// TestCloudWorksInOrderOfNeed: chunks are stored first, then what others wrote is
// sent by the priority of its kind, then answers are continued.
func TestCloudWorksInOrderOfNeed(t *testing.T) {
	s := openCloud()
	receivedBy(t, s, &Live{ID: 1})
	s.Handle(States{})
	receivedBy(t, s, &Want{ID: 2, Chunks: []record.ChunkID{{1}, {2}}})
	receivedBy(t, s, &Fetch{ID: 3, Kind: "notes", Refs: []Ref{{1}}})
	s.storing = []CloudChunk{{}}
	s.Handle(Moved{Kinds: []record.Kind{"zebras", record.Notes, "apes", record.Contacts}})
	var did []string
	for s.Busy() && len(did) < 20 {
		for _, a := range s.Handle(Continue{}) {
			var after []CloudAction
			switch a := a.(type) {
			case DoStoreChunks:
				did, after = append(did, "store"), s.Handle(ChunksStored{})
			case DoReadLog:
				did, after = append(did, string(a.Kind)), s.Handle(LogRead{Kind: a.Kind, Next: 1, State: KindState{Kind: a.Kind}})
			case DoFetch:
				did, after = append(did, "fetch"), s.Handle(Fetched{Done: len(a.Refs)})
			case DoReadChunk:
				did, after = append(did, "chunk"), s.Handle(ChunkRead{})
			case SendToDevice:
				did = append(did, a.Message.Type().String())
			}
			for _, a := range after {
				if _, err := Encode(a.(SendToDevice).Message); err != nil && did[len(did)-1] != "store" {
					t.Error(err)
				}
			}
		}
	}
	want := []string{"store", "contacts", "notes", "apes", "zebras", "fetch", "chunk", "chunk", "absent"}
	if len(did) != len(want) {
		t.Fatalf("did %q, want %q", did, want)
	}
	for i := range want {
		if did[i] != want[i] {
			t.Fatalf("did %q, want %q", did, want)
		}
	}
}

// TestCloudFailuresNameTheirRequest: the storage fails; reads and pushes fail
// alone, what has no request id ends the session, nothing is acknowledged.
func TestCloudFailuresNameTheirRequest(t *testing.T) {
	sealed := vectorSealed(t, "FN:x")
	for _, m := range []Message{
		&Push{ID: 7, Versions: []SealedVersion{{Header: sealed.Header, Body: sealed.Body}}},
		&Pull{ID: 7, Kind: "notes"}, &Walk{ID: 7, Kind: "notes"}, &Live{ID: 7}, &Prove{ID: 7}, &Have{ID: 7, Chunks: []record.ChunkID{{1}}},
		&Fetch{ID: 7, Kind: "notes", Refs: []Ref{{1}}}, &Aside{ID: 7, Kind: "notes", Refs: []Ref{{1}}}, &Range{ID: 7, Kind: "notes", Spans: []Span{{}}},
	} {
		s := openCloud()
		receivedBy(t, s, m)
		if s.Busy() {
			s.Handle(Continue{})
		}
		got := s.Handle(Failed{CodeDiskFull})
		if len(got) != 1 {
			t.Fatalf("%s: %v", m.Type(), got)
		}
		if e, ok := got[0].(SendToDevice).Message.(*ErrorMessage); !ok || *e != (ErrorMessage{CodeDiskFull, 7}) {
			t.Errorf("%s: %+v", m.Type(), got[0])
		}
		if s.Live() || s.Busy() {
			t.Errorf("%s: live %v, busy %v", m.Type(), s.Live(), s.Busy())
		}
	}
	s := openCloud()
	s.storing = []CloudChunk{{}}
	s.Handle(Continue{})
	if got := s.Handle(Failed{CodeDiskFull}); len(got) != 2 || got[1] != (HangUp{CodeDiskFull}) {
		t.Errorf("a chunk: %v", got)
	}
}

// TestCloudRecountsAfterAReconcile: a prove after a range has the kind counted
// again, once.
func TestCloudRecountsAfterAReconcile(t *testing.T) {
	s := openCloud()
	receivedBy(t, s, &Range{ID: 1, Kind: "notes", Spans: []Span{{}}})
	s.Handle(RangeAnswered{&Range{ID: 1, Kind: "notes", Spans: []Span{{}}}})
	for _, want := range []int{1, 0} {
		a := receivedBy(t, s, &Prove{ID: 2, Kinds: []Held{{Kind: "contacts"}, {Kind: "notes"}}})[0].(DoProve)
		if len(a.Recount) != want {
			t.Errorf("recounts %q", a.Recount)
		}
		s.Handle(States{})
	}
}

// TestCloudForgetsOwnVersionsInBounds: what a session remembers of its own
// pushes is bounded, and forgetting only repeats.
func TestCloudForgetsOwnVersionsInBounds(t *testing.T) {
	f := newFeed()
	for i := range ownMax + 1 {
		f.pushed([]CloudVersion{{Kind: "notes"}}, []Seq{Seq(i + 1)}, nil)
		if f.owned > ownMax {
			t.Fatal("without bound")
		}
	}
	items := f.read("notes", []BatchItem{{Seq: 5}, {Seq: ownMax + 1}, {Seq: ownMax + 2}})
	if len(items) != 2 || items[0].Seq != 5 || items[1].Seq != ownMax+2 {
		t.Errorf("left %v", items)
	}
}

// TestCloudFollowsFromTheSameState: the welcome says no more than that, and what
// others write comes from there on.
func TestCloudFollowsFromTheSameState(t *testing.T) {
	s := openCloud()
	s.state = cloudClaims
	got := s.Handle(Claimed{Epoch: Epoch{1}, Head: 5, Kinds: []KindState{{Kind: record.Notes, Count: 1, Head: 5}}, Same: true})
	if w, ok := got[0].(SendToDevice).Message.(*Welcome); !ok || !w.Same || w.Kinds != nil || len(w.Limits) != 1 || w.Limits.Walk() != BatchRecordsMax {
		t.Fatalf("welcome: %+v", got[0])
	}
	if !s.Live() || s.Busy() {
		t.Fatalf("live %v, busy %v", s.Live(), s.Busy())
	}
	s.Handle(Moved{Kinds: []record.Kind{record.Notes}})
	if got := s.Handle(Continue{}); len(got) != 1 || got[0] != (DoReadLog{Kind: record.Notes, After: 5, BytesMax: BatchBytesMax}) {
		t.Errorf("reads %+v", got)
	}
}

// TestCloudDoesNotGiveBackWhatItWasGiven: a device that follows from before its own
// pushes, whose acks it may not have seen, is given only what others wrote.
func TestCloudDoesNotGiveBackWhatItWasGiven(t *testing.T) {
	for _, c := range []struct {
		name   string
		heads  []Seq // of the kind after each push; another device's writes in the gaps
		after  Seq
		behind bool
	}{
		{"nothing between", []Seq{3, 4, 5}, 2, false},
		{"read after the first", []Seq{3, 4, 5}, 3, false},
		{"read nothing", []Seq{3, 4, 5}, 0, true},
		{"others between", []Seq{3, 5}, 2, true},
		{"others between, and read", []Seq{3, 5}, 4, false},
	} {
		sealed := vectorSealed(t, "FN:x")
		s := openCloud()
		for i, head := range c.heads {
			receivedBy(t, s, &Push{ID: RequestID(i + 1), Versions: []SealedVersion{{Header: sealed.Header, Body: sealed.Body}}})
			s.Handle(Committed{Head: head, Seqs: []Seq{head}, Kinds: []KindState{{Kind: record.Contacts, Count: 1, Prev: head - 1, Head: head}}})
		}
		head := c.heads[len(c.heads)-1]
		receivedBy(t, s, &Live{ID: 9, Kinds: []Held{{Kind: record.Contacts, After: c.after}}})
		s.Handle(States{Head: head, Kinds: []KindState{{Kind: record.Contacts, Count: 1, Head: head}}})
		if s.Busy() != c.behind {
			t.Errorf("%s: something to give: %v", c.name, s.Busy())
		}
	}
}

// TestCloudWalks: an answer says up to where it goes as long as more follows, and
// the state of the kind when nothing does.
func TestCloudWalks(t *testing.T) {
	s := openCloud()
	s.conf.Limits[LimitWalk] = 2
	after, upto := NewRef(record.ID{1}, record.VersionID{2}), NewRef(record.ID{3}, record.VersionID{4})
	got := receivedBy(t, s, &Walk{ID: 3, Kind: record.Notes, After: after, BytesMax: 1 << 40})
	if len(got) != 1 || got[0] != (DoWalk{Kind: record.Notes, After: after, RecordsMax: 2, BytesMax: BatchBytesMax}) {
		t.Fatalf("does %+v", got)
	}
	state := KindState{Kind: record.Notes, Count: 4, Head: 9}
	items := []BatchItem{{Seq: 5, Header: []byte{1}, Body: []byte{1}}}
	b := s.Handle(Walked{Kind: record.Notes, Items: items, Upto: upto, State: state})[0].(SendToDevice).Message.(*Batch)
	if b.ID != 3 || !b.More || b.Upto != upto || b.Next != 0 || b.State != nil || len(b.Items) != 1 {
		t.Errorf("a page: %+v", b)
	}
	receivedBy(t, s, &Walk{ID: 4, Kind: record.Notes, After: upto})
	b = s.Handle(Walked{Kind: record.Notes, Items: items, State: state})[0].(SendToDevice).Message.(*Batch)
	if b.ID != 4 || b.More || b.Upto != (Ref{}) || b.Next != 0 || b.State == nil || *b.State != state {
		t.Errorf("the last page: %+v", b)
	}
}
