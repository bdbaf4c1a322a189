package syncproto

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sidekeep/localstore/record"
)

func fill[T any](n int, f func(i int) T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = f(i)
	}
	return s
}

func refAt(i int) Ref              { return Ref{byte(i >> 8), byte(i)} }
func chunkAt(i int) record.ChunkID { return record.ChunkID{byte(i >> 8), byte(i), 1} }

func stateAt(i int) KindState {
	return KindState{Kind: record.Kind(fmt.Sprintf("k%d", i))}
}

func heldAt(i int) Held { return Held{Kind: record.Kind(fmt.Sprintf("k%d", i))} }

func sealedOf(header, body int) SealedVersion {
	return SealedVersion{Header: make([]byte, header), Body: make([]byte, body)}
}

// TestMessageLimits encodes and decodes each message one under, at and one over
// each of its limits.
func TestMessageLimits(t *testing.T) {
	hello := *examples()[0].(*Hello)
	auth := *examples()[2].(*Auth)
	welcome := *examples()[3].(*Welcome)
	const counted = 10 // of counters: they are no int where that has 32 bits
	push := func(v ...SealedVersion) Message { return &Push{ID: 1, Versions: v} }
	item := func(i int, h, b int) BatchItem {
		return BatchItem{Seq: Seq(i + 1), Header: make([]byte, h), Body: make([]byte, b)}
	}
	for _, c := range []struct {
		name string
		most int
		make func(n int) Message
	}{
		{"VersionsMax", VersionsMax, func(n int) Message {
			m := hello
			m.Versions = fill(n, func(i int) uint64 { return uint64(i) })
			return &m
		}},
		{"PendingTokensMax", PendingTokensMax, func(n int) Message {
			m := hello
			m.Pending = fill(n, func(i int) Token { return Token{1, byte(i)} })
			return &m
		}},
		{"CounterMax in hello", counted, func(n int) Message {
			m := hello
			m.Counter = record.CounterMax - counted + uint64(n)
			return &m
		}},
		{"CounterMax in welcome", counted, func(n int) Message {
			m := welcome
			m.Seen = record.CounterMax - counted + uint64(n)
			return &m
		}},
		{"CertChainMax", CertChainMax, func(n int) Message {
			m := auth
			m.Chain = fill(n, func(int) Link { return Link{Serial: 1<<64 - 1} })
			return &m
		}},
		{"LimitsMax", LimitsMax, func(n int) Message {
			m := welcome
			m.Limits = Limits{}
			for i := range n {
				m.Limits[LimitID(i)] = 1
			}
			return &m
		}},
		{"KindsMax in welcome", KindsMax, func(n int) Message {
			m := welcome
			m.Kinds = fill(n, stateAt)
			return &m
		}},
		{"KindsMax in ack", KindsMax, func(n int) Message { return &Ack{ID: 1, Kinds: fill(n, stateAt)} }},
		{"KindsMax in proof", KindsMax, func(n int) Message { return &Proof{ID: 1, Kinds: fill(n, stateAt)} }},
		{"DevicesMax in proof", DevicesMax, func(n int) Message {
			return &Proof{ID: 1, Devices: fill(n, func(i int) DeviceSeen { return DeviceSeen{Device: [32]byte{byte(i)}, At: 9} })}
		}},
		{"KindsMax in live", KindsMax, func(n int) Message { return &Live{ID: 1, Kinds: fill(n, heldAt)} }},
		{"KindsMax in prove", KindsMax, func(n int) Message { return &Prove{ID: 1, Kinds: fill(n, heldAt)} }},
		{"KindBytesMax", KindBytesMax, func(n int) Message { return &Pull{ID: 1, Kind: record.Kind(strings.Repeat("k", n))} }},
		{"PushRecordsMax", PushRecordsMax, func(n int) Message {
			return push(fill(n, func(int) SealedVersion { return sealedOf(1, 1) })...)
		}},
		{"rejects in ack", PushRecordsMax, func(n int) Message {
			return &Ack{ID: 1, Rejects: fill(n, func(i int) Reject { return Reject{uint64(i), CodeBadHeader} })}
		}},
		{"PushBytesMax", PushBytesMax, func(n int) Message { return push(sealedOf(10, n/2), sealedOf(10, n-n/2-20)) }},
		{"HeaderBytesMax", HeaderBytesMax, func(n int) Message { return push(sealedOf(n, 1)) }},
		{"BodyBytesMax", BodyBytesMax, func(n int) Message { return push(sealedOf(HeaderBytesMax, n)) }},
		{"BatchRecordsMax", BatchRecordsMax, func(n int) Message {
			return &Batch{Kind: "notes", Items: fill(n, func(i int) BatchItem { return item(i, 1, 1) })}
		}},
		{"BatchBytesMax", BatchBytesMax, func(n int) Message {
			return &Batch{Kind: "notes", Items: []BatchItem{item(0, 10, n/2), item(1, 10, n-n/2-20)}}
		}},
		{"BodyBytesMax in batch", BodyBytesMax, func(n int) Message {
			return &Batch{Kind: "notes", Items: []BatchItem{item(0, HeaderBytesMax, n)}}
		}},
		{"FetchMax", FetchMax, func(n int) Message { return &Fetch{ID: 1, Kind: "notes", Refs: fill(n, refAt)} }},
		{"AsideMax", AsideMax, func(n int) Message { return &Aside{ID: 1, Kind: "notes", Refs: fill(n, refAt)} }},
		{"RangesMax", RangesMax, func(n int) Message {
			return &Range{ID: 1, Kind: "notes", Spans: fill(n, func(i int) Span { return Span{Upper: []byte{1, byte(i)}} })}
		}},
		{"RangeItemsMax", RangeItemsMax, func(n int) Message {
			return &Range{ID: 1, Kind: "notes", Spans: []Span{{Mode: RangeList, Items: fill(n, refAt)}}}
		}},
		{"PostBytesMax", PostBytesMax, func(n int) Message { return &Post{make([]byte, n)} }},
		{"PostBytesMax of a note", PostBytesMax, func(n int) Message { return &Offer{Note: make([]byte, n)} }},
		{"VersionsMax of enter", VersionsMax, func(n int) Message { return &Enter{Versions: fill(n, func(i int) uint64 { return uint64(i) })} }},
		{"BoundBytesMax", BoundBytesMax, func(n int) Message {
			return &Range{ID: 1, Kind: "notes", Spans: []Span{{Upper: fill(n, func(int) byte { return 1 })}}}
		}},
		{"BoundBytesMax of lower", BoundBytesMax, func(n int) Message {
			return &Range{ID: 1, Kind: "notes", Lower: make([]byte, n), Spans: []Span{{Upper: []byte{1}}}}
		}},
		{"HaveMax in have", HaveMax, func(n int) Message { return &Have{ID: 1, Chunks: fill(n, chunkAt)} }},
		{"HaveMax in need", HaveMax, func(n int) Message { return &Need{ID: 1, Chunks: fill(n, chunkAt)} }},
		{"HaveMax in want", HaveMax, func(n int) Message { return &Want{ID: 1, Chunks: fill(n, chunkAt)} }},
		{"HaveMax in absent", HaveMax, func(n int) Message { return &Absent{ID: 1, Chunks: fill(n, chunkAt)} }},
		{"HaveMax in stored", HaveMax, func(n int) Message { return &Stored{Chunks: fill(n, chunkAt)} }},
		{"ChunkHeaderBytesMax", ChunkHeaderBytesMax, func(n int) Message { return &Chunk{Header: make([]byte, n), Body: []byte{1}} }},
		{"ChunkBodyBytesMax", ChunkBodyBytesMax, func(n int) Message { return &Chunk{Header: []byte{1}, Body: make([]byte, n)} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n := c.most - 1; n <= c.most; n++ {
				b, err := Encode(c.make(n))
				if err != nil {
					t.Fatalf("%d: %v", n, err)
				}
				if _, err := Decode(b); err != nil {
					t.Errorf("%d: %v", n, err)
				}
			}
			over := c.make(c.most + 1)
			_, err := Encode(over)
			wantCode(t, "encode one over", err, CodeTooLarge)
			raw, err := encode(over)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Decode(raw)
			// More elements than the largest list are refused by the CBOR decoder itself.
			if c.most != RangeItemsMax || CodeOf(err) != CodeBadMessage {
				wantCode(t, "decode one over", err, CodeTooLarge)
			}
		})
	}
}

// TestMessageBytesMax: the size of the whole message is checked before it is read.
func TestMessageBytesMax(t *testing.T) {
	for _, c := range []struct {
		t    byte
		most int
	}{{byte(TypeHello), PreAuthBytesMax}, {byte(TypeChallenge), PreAuthBytesMax}, {byte(TypeAuth), PreAuthBytesMax}, {byte(TypePush), MessageBytesMax}} {
		at := append([]byte{0x82, c.t}, make([]byte, c.most-2)...)
		_, err := Decode(at)
		wantCode(t, "at", err, CodeBadMessage) // zeros are no body, but the size is good
		_, err = Decode(append(at, 0))
		wantCode(t, "one over", err, CodeTooLarge)
	}
}

func TestDeclaredLimits(t *testing.T) {
	if err := DefaultLimits().Check(); err != nil {
		t.Error(err)
	}
	for id, least := range limitMinima {
		for _, c := range []struct {
			value uint64
			good  bool
		}{{least - 1, false}, {least, true}, {least + 1, true}, {0, false}, {1 << 63, true}} {
			l := Limits{id: c.value, 77: 0}
			if err := l.Check(); (err == nil) != c.good || err != nil && CodeOf(err) != CodeLimits {
				t.Errorf("limit %d at %d: %v", id, c.value, err)
			}
		}
		own := DefaultLimits()[id]
		for _, c := range []struct{ declared, want uint64 }{{own - 1, own - 1}, {own, own}, {own + 1, own}} {
			if got := (Limits{id: c.declared}).Get(id); got != int(c.want) {
				t.Errorf("limit %d declared %d: %d", id, c.declared, got)
			}
		}
		if got := (Limits{}).Get(id); got != int(own) {
			t.Errorf("limit %d not declared: %d", id, got)
		}
	}
	for _, c := range []struct{ said, want uint64 }{{WaitSecondsMax - 1, WaitSecondsMax - 1}, {WaitSecondsMax, WaitSecondsMax}, {WaitSecondsMax + 1, WaitSecondsMax}, {1 << 63, WaitSecondsMax}} {
		if got := (&Wait{Seconds: c.said}).Capped(); got != c.want {
			t.Errorf("wait %d: %d", c.said, got)
		}
	}
}

// specLimits are the constants of limits.go by name.
var specLimits = map[string]int{
	"PreAuthBytesMax": PreAuthBytesMax, "PreAuthSeconds": PreAuthSeconds, "MessageBytesMax": MessageBytesMax, "VersionsMax": VersionsMax,
	"PendingTokensMax": PendingTokensMax, "CertChainMax": CertChainMax, "HeaderBytesMax": HeaderBytesMax, "BodyBytesMax": BodyBytesMax,
	"ChunkBytes": ChunkBytes, "ChunkHeaderBytesMax": ChunkHeaderBytesMax, "ChunkBodyBytesMax": ChunkBodyBytesMax, "PushRecordsMax": PushRecordsMax,
	"PushBytesMax": PushBytesMax, "PushWindowMax": PushWindowMax, "BatchRecordsMax": BatchRecordsMax, "BatchBytesMax": BatchBytesMax,
	"FetchMax": FetchMax, "AsideMax": AsideMax, "StatementsMax": StatementsMax, "KindBytesMax": KindBytesMax, "KindsMax": KindsMax, "DevicesMax": DevicesMax, "SiblingsMax": SiblingsMax,
	"MailboxSeconds": MailboxSeconds, "PostBytesMax": PostBytesMax, "PostsMax": PostsMax, "MailboxesMax": MailboxesMax,
	"AccountMailboxesMax": AccountMailboxesMax, "ReplicasMax": ReplicasMax, "RangesMax": RangesMax, "RangeItemsMax": RangeItemsMax, "BoundBytesMax": BoundBytesMax, "HaveMax": HaveMax,
	"ChunkWindowMax": ChunkWindowMax, "RequestsMax": RequestsMax, "WaitSecondsMax": WaitSecondsMax, "LimitsMax": LimitsMax, "DominatedDays": DominatedDays,
}

// TestSpecTables: the tables of SPEC.md say what the code does.
func TestSpecTables(t *testing.T) {
	spec, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([A-Z][A-Za-z]+)` \\| ([0-9,]+)")
	found := 0
	for _, m := range row.FindAllStringSubmatch(string(spec), -1) {
		if want, ok := specLimits[m[1]]; ok {
			found++
			if got, _ := strconv.Atoi(strings.ReplaceAll(m[2], ",", "")); got != want {
				t.Errorf("%s is %d, SPEC.md says %s", m[1], want, m[2])
			}
		}
	}
	if found != len(specLimits) {
		t.Errorf("%d of %d limits are in SPEC.md", found, len(specLimits))
	}
	source, err := os.ReadFile("limits.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t([A-Z]\w+) += `).FindAllStringSubmatch(string(source), -1) {
		if _, ok := specLimits[m[1]]; !ok && m[1] != "ProtocolVersion" && !strings.HasPrefix(m[1], "Limit") {
			t.Errorf("%s is not in the table", m[1])
		}
	}
	code := regexp.MustCompile("(?m)^\\| ([0-9]+) \\| `([a-z_]+)` \\| ")
	codes := map[Code]bool{}
	for _, m := range code.FindAllStringSubmatch(string(spec), -1) {
		n, _ := strconv.ParseUint(m[1], 10, 64)
		if _, ok := codeNames[Code(n)]; ok {
			codes[Code(n)] = true
		}
	}
	if len(codes) != len(codeNames)-1 { // none has no row
		t.Errorf("%d of %d codes are in SPEC.md", len(codes), len(codeNames)-1)
	}
}
