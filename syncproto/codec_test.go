package syncproto

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// examples has one good message of every type.
func examples() []Message {
	state := KindState{Kind: record.Contacts, Count: 2, Sum: [16]byte{15: 9}, Head: 7}
	acked := state
	acked.Prev = 5
	sealed := SealedVersion{Header: []byte{1}, Body: []byte{2, 3}}
	ref := NewRef(record.ID{1}, record.VersionID{2})
	chunks := []record.ChunkID{{1}, {2}}
	return []Message{
		&Hello{Versions: []uint64{ProtocolVersion}, Account: [32]byte{1}, Device: [32]byte{2}, Replica: record.ReplicaID{3}, Nonce: Nonce{4},
			Last: Token{5}, Pending: []Token{{6}, {7}}, Counter: 8, Create: true},
		&Challenge{Version: ProtocolVersion, Nonce: Nonce{1}},
		&Auth{Signature: [64]byte{1}, Chain: []Link{{Device: [32]byte{1}, Serial: 2, Signature: [64]byte{3}}}},
		&Welcome{Epoch: Epoch{1}, Head: 7, Claim: ClaimStale, Seen: 3, Kinds: []KindState{state}, Limits: DefaultLimits(), Time: 1},
		&Push{ID: 1, Versions: []SealedVersion{sealed}},
		&Ack{ID: 1, Head: 7, Rejects: []Reject{{Index: 0, Code: CodeBadHeader}}, Kinds: []KindState{acked}},
		&Pull{ID: 1, Kind: record.Notes, After: 2, BytesMax: 1000},
		&Batch{ID: 1, Kind: record.Contacts, Items: []BatchItem{{Seq: 3, Header: []byte{1}, Body: []byte{2}}}, Next: 4, State: &state},
		&Fetch{ID: 1, Kind: record.Notes, Refs: []Ref{ref}},
		&Live{ID: 1, Kinds: []Held{{Kind: record.Notes, After: 3, Count: 1, Sum: [16]byte{1}}}},
		&Proof{ID: 1, Head: 7, Kinds: []KindState{state}, Devices: []DeviceSeen{{Device: [32]byte{3}, At: 9}}},
		&Prove{ID: 1, Kinds: []Held{{Kind: record.Notes, Count: 1, Sum: [16]byte{1}}}},
		&Range{ID: 1, Kind: record.Notes, Lower: []byte{}, Spans: []Span{
			{Upper: []byte{1}, Mode: RangeFingerprint, Count: 2, Sum: [16]byte{3}}, {Upper: []byte{}, Mode: RangeList, Items: []Ref{ref}}}},
		&Have{ID: 1, Chunks: chunks},
		&Need{ID: 1, Chunks: []record.ChunkID{}},
		&Chunk{Header: []byte{1}, Body: []byte{2}},
		&Stored{Chunks: chunks},
		&Want{ID: 1, Chunks: chunks},
		&Absent{ID: 1, Chunks: []record.ChunkID{}},
		&Wait{Seconds: 10, Code: CodeBusy},
		&ErrorMessage{Code: CodeRefused, Ref: 3},
		&Bye{},
		&Aside{ID: 1, Kind: record.Notes, Refs: []Ref{ref}},
		&Offer{Mailbox: seal.Mailbox{1}, Note: []byte{2}},
		&Opened{Seconds: 600},
		&Enter{Versions: []uint64{ProtocolVersion}, Mailbox: seal.Mailbox{1}},
		&Post{Sealed: []byte{1, 2}},
		&Shut{Code: CodeTimeout},
		&Statements{List: [][]byte{}, Set: seal.StatementsDigest{1}},
		&Walk{ID: 1, Kind: record.Notes, After: ref, BytesMax: 1000},
	}
}

func TestEveryTypeRoundTrips(t *testing.T) {
	for i, m := range examples() {
		if int(m.Type()) != i+1 {
			t.Fatalf("example %d is a %s", i, m.Type())
		}
		b, err := Encode(m)
		if err != nil {
			t.Fatalf("%s: %v", m.Type(), err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %x: %v", m.Type(), b, err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s: got %+v, want %+v", m.Type(), got, m)
		}
		for n := range b {
			if _, err := Decode(b[:n]); err == nil {
				t.Errorf("%s cut to %d bytes decodes", m.Type(), n)
			}
		}
		if _, err := Decode(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("%s with a byte after its end decodes", m.Type())
		}
	}
}

func wantCode(t *testing.T, what string, err error, code Code) {
	t.Helper()
	if !errors.Is(err, &Error{Code: code}) {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}
