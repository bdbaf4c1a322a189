package syncproto

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"testing"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// vectorMaker collects vectors for one end.
type vectorMaker struct {
	t     testing.TB
	to    string
	state string
	all   []vector
}

func (m *vectorMaker) raw(name string, b []byte, want happened) {
	m.all = append(m.all, vector{Name: name, To: m.to, State: m.state, Message: hex.EncodeToString(b),
		Outcome: want.outcome, Answer: want.answer, Code: want.code, Codes: want.codes})
}

// filled is a message that ends with n zero bytes more.
func (m *vectorMaker) filled(name string, b []byte, n int, want happened) {
	m.raw(name, b, want)
	m.all[len(m.all)-1].Fill = n
}

// message encodes without looking at limits, so that bad ones can be made.
func (m *vectorMaker) message(name string, msg Message, want happened) {
	m.raw(name, m.encode(msg), want)
}

func (m *vectorMaker) encode(msg Message) []byte {
	m.t.Helper()
	b, err := encode(msg)
	if err != nil {
		m.t.Fatalf("%s: %v", msg.Type(), err)
	}
	return b
}

func taken(answer string) happened { return happened{outcome: "taken", answer: answer} }
func closed(c Code) happened       { return happened{outcome: "closed", code: c} }
func failed(c Code) happened       { return happened{outcome: "failed", code: c} }
func rejected(c ...Code) happened  { return happened{outcome: "rejected", codes: c} }
func cut(b []byte) []byte          { return b[:len(b)-1] }
func flip(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
func rawBody(t Type, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return append([]byte{0x82, byte(t)}, b...)
}

func makeVectors(t testing.TB) map[string][]vector {
	return map[string][]vector{
		"handshake.json":        makeHandshake(t),
		"push.json":             makePush(t),
		"requests.json":         makeRequests(t),
		"chunks.json":           makeChunks(t),
		"control.json":          makeControl(t),
		"statements.json":       makeStatements(t),
		"device_handshake.json": makeDeviceHandshake(t),
		"device_working.json":   makeDeviceWorking(t),
		"invite.json":           makeInvite(t),
	}
}

func vectorHello(t testing.TB) Hello {
	id := vectorIdentity(t)
	return Hello{Versions: []uint64{ProtocolVersion}, Account: id.Account, Device: id.Device(), Replica: vectorReplica, Nonce: vectorDeviceNonce,
		Pending: []Token{vectorToken}, Create: true}
}

// vectorAuth is the answer of id to the vectors' challenge.
func vectorAuth(t testing.TB, id *seal.Identity, change func(*seal.AuthInput)) *Auth {
	t.Helper()
	h := vectorHello(t)
	hello, err := Encode(&h)
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := Encode(&Challenge{Version: ProtocolVersion, Nonce: vectorCloudNonce})
	if err != nil {
		t.Fatal(err)
	}
	in := seal.AuthInput{DeviceNonce: h.Nonce, CloudNonce: vectorCloudNonce, Account: h.Account, Device: h.Device, Replica: h.Replica,
		Token: h.Newest(), Transcript: seal.Transcript(hello, challenge), Origin: vectorOrigin}
	change(&in)
	return &Auth{Signature: [64]byte(id.Authenticate(in)), Chain: NewLinks(id.Chain)}
}

func makeHandshake(t testing.TB) []vector {
	m := &vectorMaker{t: t, to: "cloud", state: "waits for hello"}
	hello := func(change func(*Hello)) Message {
		h := vectorHello(t)
		change(&h)
		return &h
	}
	good := m.encode(hello(func(*Hello) {}))
	m.raw("hello", good, taken("challenge"))
	m.message("hello that offers more versions", hello(func(h *Hello) { h.Versions = []uint64{1, 2, 9} }), taken("challenge"))
	m.message("hello with a last token", hello(func(h *Hello) { h.Last = Token{1} }), taken("challenge"))
	m.message("hello with an admission token", hello(func(h *Hello) { h.Admission = Admission{1} }), taken("challenge"))
	// One key more: the map's head is the byte after the type.
	more := append(bytes.Clone(good), 0x0b, 0x63, 'n', 'e', 'w')
	more[2]++
	m.raw("hello with a key of a later version", more, taken("challenge"))
	m.message("hello without a common version", hello(func(h *Hello) { h.Versions = []uint64{0, 1, 3} }), closed(CodeVersion))
	m.raw("hello, last byte missing", cut(good), closed(CodeBadMessage))
	m.raw("hello and a byte more", append(bytes.Clone(good), 0), closed(CodeBadMessage))
	m.message("hello without versions", hello(func(h *Hello) { h.Versions = []uint64{} }), closed(CodeBadMessage))
	m.message("hello without a token", hello(func(h *Hello) { h.Pending = nil }), closed(CodeBadMessage))
	m.message("hello with a zero token", hello(func(h *Hello) { h.Pending = []Token{{}} }), closed(CodeBadMessage))
	m.message("hello with nine tokens", hello(func(h *Hello) { h.Pending = fill(9, func(i int) Token { return Token{1, byte(i)} }) }), closed(CodeTooLarge))
	m.message("hello with 17 versions", hello(func(h *Hello) { h.Versions = fill(17, func(i int) uint64 { return uint64(i) }) }), closed(CodeTooLarge))
	m.message("hello with a counter of 2^48", hello(func(h *Hello) { h.Counter = record.CounterMax + 1 }), closed(CodeTooLarge))
	short := bytes.Replace(good, append([]byte{0x58, 32}, h32(t)...), append([]byte{0x58, 31}, h32(t)[1:]...), 1)
	m.raw("hello with an account of 31 bytes", short, closed(CodeBadMessage))
	long := bytes.Replace(good, []byte{0x01, 0x81, 0x02}, []byte{0x01, 0x81, 0x18, 0x02}, 1)
	m.raw("hello with a number in a long form", long, closed(CodeBadMessage))
	m.raw("hello with a false that is written out", bytes.Replace(good, []byte{0x09, 0xf5}, []byte{0x09, 0xf4}, 1), closed(CodeBadMessage))
	m.raw("hello with an indefinite map", append(append([]byte{0x82, 1, 0xbf}, good[3:]...), 0xff), closed(CodeBadMessage))
	m.raw("hello with a tag", bytes.Replace(good, []byte{0x01, 0x81, 0x02}, []byte{0x01, 0x81, 0xc1, 0x02}, 1), closed(CodeBadMessage))
	m.filled("hello of 1,024 bytes", good, PreAuthBytesMax-len(good), closed(CodeBadMessage))
	m.filled("hello of 1,025 bytes", good, PreAuthBytesMax+1-len(good), closed(CodeTooLarge))
	m.raw("nothing", nil, closed(CodeBadMessage))
	m.raw("a text", []byte("hello"), closed(CodeBadMessage))
	m.raw("a type in a long form", []byte{0x82, 0x18, 0x01, 0xa0}, closed(CodeBadMessage))
	m.raw("an unknown type before hello", []byte{0x82, 0x18, 0x63, 0xa0}, closed(CodeUnknownType))
	m.message("pull before hello", &Pull{ID: 1, Kind: "notes"}, closed(CodeOutOfOrder))
	m.message("bye before hello", &Bye{}, closed(CodeNone))

	m.state = "waits for auth"
	id := vectorIdentity(t)
	auth := vectorAuth(t, id, func(*seal.AuthInput) {})
	m.message("auth", auth, taken("trust"))
	change := func(f func(*Auth)) Message {
		a := &Auth{Signature: auth.Signature, Chain: append([]Link{}, auth.Chain...)}
		f(a)
		return a
	}
	m.message("auth with a state", change(func(a *Auth) { a.State = StateDigest{1} }), taken("trust"))
	m.raw("auth with a state of zeros", append(append([]byte{0x82, 3, 0xa3}, m.encode(auth)[3:]...), append([]byte{3, 0x50}, make([]byte, 16)...)...), closed(CodeBadMessage))
	m.message("auth with a forged signature", change(func(a *Auth) { a.Signature[0] ^= 1 }), closed(CodeRefused))
	for _, c := range []struct {
		name   string
		change func(*seal.AuthInput)
	}{
		{"another origin", func(in *seal.AuthInput) { in.Origin = "wss://other.example.org:443" }},
		{"the origin without TLS", func(in *seal.AuthInput) { in.Origin = "ws://cloud.example.org:443" }},
		{"another cloud's nonce", func(in *seal.AuthInput) { in.CloudNonce[0] ^= 1 }},
		{"another transcript", func(in *seal.AuthInput) { in.Transcript[0] ^= 1 }},
		{"another replica", func(in *seal.AuthInput) { in.Replica[0] ^= 1 }},
		{"another token", func(in *seal.AuthInput) { in.Token[0] ^= 1 }},
	} {
		m.message("auth signed over "+c.name, vectorAuth(t, id, c.change), closed(CodeRefused))
	}
	m.message("auth with a forged certificate", change(func(a *Auth) { a.Chain[0].Signature[0] ^= 1 }), closed(CodeRefused))
	m.message("auth with another serial", change(func(a *Auth) { a.Chain[0].Serial++ }), closed(CodeRefused))
	middle := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32))
	middleKey := seal.DeviceKey(middle.Public().(ed25519.PublicKey))
	chain := []seal.Cert{seal.SignCert(vectorSecret(t).Root(), id.Account, middleKey, 2), seal.SignCert(middle, id.Account, id.Device(), 3)}
	m.message("auth by a device that another device certified", change(func(a *Auth) { a.Chain = NewLinks(chain) }), taken("trust"))
	m.message("auth with the links exchanged", change(func(a *Auth) { a.Chain = NewLinks([]seal.Cert{chain[1], chain[0]}) }), closed(CodeRefused))
	m.message("auth with the second link only", change(func(a *Auth) { a.Chain = NewLinks(chain[1:]) }), closed(CodeRefused))
	m.message("auth with a chain to another device", change(func(a *Auth) { a.Chain = NewLinks(chain[:1]) }), closed(CodeRefused))
	m.message("auth certified by itself", change(func(a *Auth) {
		a.Chain = NewLinks([]seal.Cert{seal.SignCert(ed25519.NewKeyFromSeed(id.Seed[:]), id.Account, id.Device(), 1)})
	}), closed(CodeRefused))
	m.message("auth without a certificate", change(func(a *Auth) { a.Chain = nil }), closed(CodeBadMessage))
	m.message("auth with nine certificates", change(func(a *Auth) { a.Chain = fill(9, func(int) Link { return a.Chain[0] }) }), closed(CodeTooLarge))
	m.raw("auth, last byte missing", cut(m.encode(auth)), closed(CodeBadMessage))
	m.raw("hello a second time", good, closed(CodeOutOfOrder))
	m.message("push before auth", &Push{ID: 1, Versions: []SealedVersion{{Header: []byte{1}, Body: []byte{1}}}}, closed(CodeOutOfOrder))
	return m.all
}

// h32 is the account as it stands in the hello.
func h32(t testing.TB) []byte {
	id := vectorIdentity(t)
	return id.Account[:]
}

func makePush(t testing.TB) []vector {
	m := &vectorMaker{t: t, to: "cloud", state: "open"}
	s := vectorSealed(t, "FN:Ada Lovelace")
	good := SealedVersion{Header: s.Header, Body: s.Body}
	push := func(vs ...SealedVersion) Message { return &Push{ID: 1, Versions: vs} }
	future := SealedVersion{Header: bytes.Clone(s.Header), Body: s.Body}
	future.Header[0]++
	m.message("push", push(good), taken("commit"))
	m.message("push of a forged body", push(SealedVersion{Header: s.Header, Body: flip(s.Body, len(s.Body)-1)}), taken("commit"))
	m.message("push of another record's id", push(SealedVersion{Header: bytes.Replace(s.Header, vectorRecord[:], make([]byte, 16), 1), Body: s.Body}), taken("commit"))
	m.message("push of noise as header", push(SealedVersion{Header: []byte("noise"), Body: s.Body}), rejected(CodeBadHeader))
	m.message("push of a later format", push(future), rejected(CodeBadHeader))
	m.message("push of a body cut short", push(SealedVersion{Header: s.Header, Body: cut(s.Body)}), rejected(CodeBadHeader))
	m.message("push of a header cut short", push(SealedVersion{Header: cut(s.Header), Body: s.Body}), rejected(CodeBadHeader))
	m.message("push of a good version and a bad one", push(good, future), taken("commit"))
	m.message("push of nothing", push(), closed(CodeBadMessage))
	m.message("push with request 0", &Push{Versions: []SealedVersion{good}}, closed(CodeBadMessage))
	m.message("push of an empty header", push(SealedVersion{Header: []byte{}, Body: s.Body}), closed(CodeBadMessage))
	m.message("push of 501 versions", push(fill(PushRecordsMax+1, func(int) SealedVersion { return SealedVersion{Header: []byte{1}, Body: []byte{1}} })...), closed(CodeTooLarge))
	m.raw("push, last byte missing", cut(m.encode(push(good))), closed(CodeBadMessage))
	m.raw("push with a key more", rawBody(TypePush, "a3 01 01 02 81 82 41 01 41 01 03 00"), closed(CodeBadMessage))
	m.raw("push with a key twice", rawBody(TypePush, "a3 01 01 01 01 02 81 82 41 01 41 01"), closed(CodeBadMessage))
	m.raw("push with keys out of order", rawBody(TypePush, "a2 02 81 82 41 01 41 01 01 01"), closed(CodeBadMessage))
	m.raw("push of a version in three parts", rawBody(TypePush, "a2 01 01 02 81 83 41 01 41 01 41 01"), closed(CodeBadMessage))
	m.raw("push of a version without a body", rawBody(TypePush, "a2 01 01 02 81 81 41 01"), closed(CodeBadMessage))
	m.raw("push with null for its versions", rawBody(TypePush, "a2 01 01 02 f6"), closed(CodeBadMessage))
	m.raw("push that claims 2^32 versions", rawBody(TypePush, "a2 01 01 02 9a ff ff ff ff"), closed(CodeBadMessage))
	m.filled("push of a body one over", rawBody(TypePush, "a2 01 01 02 81 82 41 01 5a 00 03 c0 1b"), BodyBytesMax+1, closed(CodeTooLarge))
	m.filled("a message of 393,216 bytes", rawBody(TypePush, "a0"), MessageBytesMax-3, closed(CodeBadMessage))
	m.filled("a message of 393,217 bytes", rawBody(TypePush, "a0"), MessageBytesMax-2, closed(CodeTooLarge))
	m.state = "open, stale claim"
	m.message("push with a stale claim", push(good), failed(CodeNotClaimed))
	m.message("pull with a stale claim", &Pull{ID: 1, Kind: "notes", BytesMax: 1000}, taken("read log"))
	return m.all
}

func makeRequests(t testing.TB) []vector {
	m := &vectorMaker{t: t, to: "cloud", state: "open"}
	ref := NewRef(vectorRecord, record.VersionID{1})
	span := func(upper string, mode RangeMode) Span { return Span{Upper: []byte(upper), Mode: mode} }
	rng := func(spans ...Span) Message { return &Range{ID: 1, Kind: "notes", Spans: spans} }
	m.message("pull", &Pull{ID: 1, Kind: "contacts", After: 7, BytesMax: 65536}, taken("read log"))
	m.message("pull of a kind that nobody knows", &Pull{ID: 1, Kind: "shoe-sizes_2"}, taken("read log"))
	m.message("pull of a kind in capitals", &Pull{ID: 1, Kind: "Notes"}, closed(CodeBadMessage))
	m.message("pull of a kind without a name", &Pull{ID: 1}, closed(CodeBadMessage))
	m.message("pull of a kind of 32 bytes", &Pull{ID: 1, Kind: record.Kind(strings.Repeat("k", 32))}, taken("read log"))
	m.message("pull of a kind of 33 bytes", &Pull{ID: 1, Kind: record.Kind(strings.Repeat("k", 33))}, closed(CodeTooLarge))
	m.message("pull with request 0", &Pull{Kind: "notes"}, closed(CodeBadMessage))
	m.message("walk", &Walk{ID: 1, Kind: "contacts", BytesMax: 65536}, taken("walk"))
	m.message("walk after a version", &Walk{ID: 1, Kind: "contacts", After: ref, BytesMax: 65536}, taken("walk"))
	m.message("walk with request 0", &Walk{Kind: "contacts"}, closed(CodeBadMessage))
	m.message("walk of a kind without a name", &Walk{ID: 1}, closed(CodeBadMessage))
	m.raw("walk after nothing", rawBody(TypeWalk, "a4 01 01 02 65 6e 6f 74 65 73 03 40 04 00"), closed(CodeBadMessage))
	m.message("fetch", &Fetch{ID: 1, Kind: "notes", Refs: []Ref{ref}}, taken(""))
	m.message("fetch of nothing", &Fetch{ID: 1, Kind: "notes"}, closed(CodeBadMessage))
	m.message("fetch of 501", &Fetch{ID: 1, Kind: "notes", Refs: fill(FetchMax+1, refAt)}, closed(CodeTooLarge))
	m.message("live", &Live{ID: 1, Kinds: []Held{{Kind: "contacts", After: 3, Count: 1, Sum: [16]byte{1}}}}, taken("prove"))
	m.message("live that names a kind twice", &Live{ID: 1, Kinds: []Held{{Kind: "notes"}, {Kind: "notes"}}}, closed(CodeBadMessage))
	m.message("prove", &Prove{ID: 1, Kinds: []Held{{Kind: "contacts", Count: 1, Sum: [16]byte{1}}}}, taken("prove"))
	m.message("prove with a cursor", &Prove{ID: 1, Kinds: []Held{{Kind: "contacts", After: 3}}}, closed(CodeBadMessage))
	m.message("aside", &Aside{ID: 1, Kind: "notes", Refs: []Ref{ref}}, taken("set aside"))
	m.message("aside of 65", &Aside{ID: 1, Kind: "notes", Refs: fill(AsideMax+1, refAt)}, closed(CodeTooLarge))
	m.message("range", rng(Span{Upper: []byte("a"), Mode: RangeFingerprint, Count: 1, Sum: [16]byte{1}}, span("b", RangeSkip), span("", RangeFingerprint)), taken("range"))
	m.message("range out of order", rng(span("b", RangeSkip), span("a", RangeSkip)), closed(CodeBadMessage))
	m.message("range of nothing", rng(span("a", RangeSkip), span("a", RangeSkip)), closed(CodeBadMessage))
	m.message("range after the end", rng(span("", RangeSkip), span("a", RangeSkip)), closed(CodeBadMessage))
	m.message("range of an unknown mode", rng(span("a", 3)), closed(CodeBadMessage))
	m.message("range in which a device lists", rng(Span{Mode: RangeList, Items: []Ref{ref}}), closed(CodeBadMessage))
	m.message("range of 65 spans", rng(fill(RangesMax+1, func(i int) Span { return Span{Upper: []byte{1, byte(i)}} })...), closed(CodeTooLarge))
	m.message("range with a bound of 33 bytes", rng(Span{Upper: make([]byte, 33)}), closed(CodeTooLarge))
	m.state = "open, stale claim"
	m.message("aside with a stale claim", &Aside{ID: 1, Kind: "notes", Refs: []Ref{ref}}, failed(CodeNotClaimed))
	return m.all
}

func makeChunks(t testing.TB) []vector {
	m := &vectorMaker{t: t, to: "cloud", state: "open"}
	s, err := vectorIdentity(t).Keys().SealChunk([]byte("a small chunk"))
	if err != nil {
		t.Fatal(err)
	}
	ids := []record.ChunkID{{1}}
	m.message("have", &Have{ID: 1, Chunks: ids}, taken("find chunks"))
	m.message("have of nothing", &Have{ID: 1}, closed(CodeBadMessage))
	m.message("have of 1,025", &Have{ID: 1, Chunks: fill(HaveMax+1, chunkAt)}, closed(CodeTooLarge))
	m.message("chunk", &Chunk{Header: s.Header, Body: s.Body}, taken(""))
	m.message("chunk with a forged body", &Chunk{Header: s.Header, Body: flip(s.Body, 30)}, taken(""))
	m.message("chunk with noise as header", &Chunk{Header: []byte("noise"), Body: s.Body}, closed(CodeBadChunk))
	m.message("chunk cut short", &Chunk{Header: s.Header, Body: cut(s.Body)}, closed(CodeBadChunk))
	m.message("chunk without a body", &Chunk{Header: s.Header, Body: []byte{}}, closed(CodeBadMessage))
	m.message("chunk with a header of 129 bytes", &Chunk{Header: make([]byte, 129), Body: s.Body}, closed(CodeTooLarge))
	m.filled("chunk with a body one over", rawBody(TypeChunk, "a2 01 41 01 02 5a 00 01 00 1b"), ChunkBodyBytesMax+1, closed(CodeTooLarge))
	m.message("want", &Want{ID: 1, Chunks: ids}, taken(""))
	m.message("want of nothing", &Want{ID: 1}, closed(CodeBadMessage))
	m.state = "open, stale claim"
	m.message("chunk with a stale claim", &Chunk{Header: s.Header, Body: s.Body}, closed(CodeNotClaimed))
	m.message("want with a stale claim", &Want{ID: 1, Chunks: ids}, taken(""))
	return m.all
}

func makeControl(t testing.TB) []vector {
	m := &vectorMaker{t: t, to: "cloud", state: "open"}
	m.message("bye", &Bye{}, closed(CodeNone))
	m.message("error of a device", &ErrorMessage{Code: CodeBadMessage}, closed(CodeNone))
	m.message("error without a code", &ErrorMessage{}, closed(CodeBadMessage))
	m.raw("an unknown type", []byte{0x82, 0x18, 0x63, 0xa0}, closed(CodeUnknownType))
	m.raw("type 0", []byte{0x82, 0x00, 0xa0}, closed(CodeUnknownType))
	m.raw("three things in an envelope", []byte{0x83, 0x16, 0xa0, 0xa0}, closed(CodeBadMessage))
	m.raw("a body that is an array", []byte{0x82, 0x16, 0x80}, closed(CodeBadMessage))
	m.raw("a body with a text key", []byte{0x82, 0x16, 0xa1, 0x61, 'a', 0x00}, closed(CodeBadMessage))
	m.message("a hello in the open state", &Hello{Versions: []uint64{ProtocolVersion}, Pending: []Token{{1}}}, closed(CodeOutOfOrder))
	m.message("a welcome to a cloud", &Welcome{Limits: Limits{}}, closed(CodeOutOfOrder))
	m.message("an ack to a cloud", &Ack{ID: 1}, closed(CodeOutOfOrder))
	m.message("a wait to a cloud", &Wait{Seconds: 1, Code: CodeBusy}, closed(CodeOutOfOrder))
	return m.all
}

// vectorWelcome lets the device in. The cloud holds one contact, and is older than walk.
func vectorWelcome() *Welcome {
	limits := DefaultLimits()
	delete(limits, LimitWalk)
	return &Welcome{Epoch: vectorEpoch, Head: 10, Kinds: []KindState{{Kind: record.Contacts, Count: 1, Sum: [16]byte{1}, Head: 10}},
		Limits: limits, Time: 1_800_000_000}
}

func makeDeviceHandshake(t testing.TB) []vector {
	m := &vectorMaker{t: t, to: "device", state: "hello sent"}
	challenge := &Challenge{Version: ProtocolVersion, Nonce: vectorCloudNonce}
	m.message("challenge", challenge, taken("auth"))
	m.message("challenge with a version that was not offered", &Challenge{Version: ProtocolVersion + 1}, closed(CodeVersion))
	m.message("challenge with version 0", &Challenge{}, closed(CodeVersion))
	m.raw("challenge, last byte missing", cut(m.encode(challenge)), closed(CodeBadMessage))
	m.raw("challenge with a key more", append(append([]byte{0x82, 2, 0xa3}, m.encode(challenge)[3:]...), 3, 0), closed(CodeBadMessage))
	m.filled("challenge of 1,025 bytes", m.encode(challenge), PreAuthBytesMax+1-len(m.encode(challenge)), closed(CodeTooLarge))
	m.message("welcome without a challenge", vectorWelcome(), closed(CodeOutOfOrder))
	m.message("a hello to a device", &Hello{Versions: []uint64{ProtocolVersion}, Pending: []Token{{1}}}, closed(CodeOutOfOrder))
	m.message("error: no common version", &ErrorMessage{Code: CodeVersion}, closed(CodeVersion))
	m.message("wait before the challenge", &Wait{Seconds: 60, Code: CodeBusy}, closed(CodeBusy))

	m.state = "auth sent"
	welcome := func(change func(*Welcome)) Message {
		w := vectorWelcome()
		change(w)
		return w
	}
	m.message("welcome", vectorWelcome(), taken("claim durable"))
	m.message("welcome with a limit of a later version", welcome(func(w *Welcome) { w.Limits[31] = 5 }), taken("claim durable"))
	m.message("welcome to a cloud that knows walk", welcome(func(w *Welcome) { w.Limits[LimitWalk] = BatchRecordsMax }), taken("claim durable"))
	m.message("welcome with a stale claim", welcome(func(w *Welcome) { w.Claim = ClaimStale }), happened{outcome: "closed", answer: "fork"})
	m.message("welcome to an unknown replica", welcome(func(w *Welcome) { w.Claim = ClaimUnknown }), happened{outcome: "closed", answer: "fork"})
	m.message("welcome in the same state as a device that named none", &Welcome{Epoch: vectorEpoch, Same: true}, closed(CodeBadMessage))
	m.message("welcome in the same state and in another", welcome(func(w *Welcome) { w.Same = true }), closed(CodeBadMessage))
	m.message("welcome without limits", welcome(func(w *Welcome) { w.Limits = nil }), taken("claim durable"))
	m.message("welcome with an unknown claim state", welcome(func(w *Welcome) { w.Claim = 3 }), closed(CodeBadMessage))
	m.message("welcome with a limit below its minimum", welcome(func(w *Welcome) { w.Limits[LimitMessageBytes] = MessageBytesMax - 1 }), closed(CodeLimits))
	m.message("welcome with 33 limits", welcome(func(w *Welcome) {
		w.Limits = Limits{}
		for i := range LimitID(33) {
			w.Limits[i+100] = 1
		}
	}), closed(CodeTooLarge))
	m.message("welcome that names a kind twice", welcome(func(w *Welcome) { w.Kinds = append(w.Kinds, w.Kinds[0]) }), closed(CodeBadMessage))
	m.raw("welcome, last byte missing", cut(m.encode(vectorWelcome())), closed(CodeBadMessage))
	m.message("challenge a second time", challenge, closed(CodeOutOfOrder))
	m.message("error: refused", &ErrorMessage{Code: CodeRefused}, closed(CodeRefused))
	m.message("error: unknown account", &ErrorMessage{Code: CodeUnknownAccount}, closed(CodeUnknownAccount))
	m.message("error with a code of a later version", &ErrorMessage{Code: 9999}, closed(9999))
	return m.all
}

func makeDeviceWorking(t testing.TB) []vector {
	m := &vectorMaker{t: t, to: "device", state: "working"}
	s := vectorSealed(t, "FN:Ada Lovelace")
	state := vectorWelcome().Kinds[0]
	item := BatchItem{Seq: 10, Header: s.Header, Body: s.Body}
	batch := func(change func(*Batch)) Message {
		b := &Batch{ID: 1, Kind: record.Contacts, Items: []BatchItem{item}, Next: 10, State: &state}
		change(b)
		return b
	}
	m.message("batch", batch(func(*Batch) {}), taken("apply"))
	m.message("batch with a forged body", batch(func(b *Batch) { b.Items = []BatchItem{{Seq: 10, Header: s.Header, Body: flip(s.Body, 30)}} }), taken("apply"))
	m.message("batch of another kind", batch(func(b *Batch) { b.Kind, b.State = record.Notes, nil }), closed(CodeOutOfOrder))
	m.message("batch that nobody asked for", batch(func(b *Batch) { b.ID = 5 }), closed(CodeOutOfOrder))
	m.message("batch that is live before live", batch(func(b *Batch) { b.ID = 0 }), closed(CodeOutOfOrder))
	m.message("batch with a state although more follows", batch(func(b *Batch) { b.More = true }), closed(CodeBadMessage))
	m.message("batch with the state of another kind", batch(func(b *Batch) { b.State = &KindState{Kind: "notes"} }), closed(CodeBadMessage))
	m.message("batch with sequences out of order", batch(func(b *Batch) { b.Items = []BatchItem{item, item} }), closed(CodeBadMessage))
	m.message("batch with a version after its end", batch(func(b *Batch) { b.Next = 9 }), closed(CodeBadMessage))
	m.message("batch with sequence 0", batch(func(b *Batch) { b.Items = []BatchItem{{Seq: 0, Header: s.Header, Body: s.Body}} }), closed(CodeBadMessage))
	m.message("batch of a walk that was not asked for", batch(func(b *Batch) { b.Next, b.State, b.More, b.Upto = 0, nil, true, Ref{1} }), closed(CodeBadMessage))
	m.message("batch of a walk that ends, up to a version", batch(func(b *Batch) { b.Next, b.Upto = 0, Ref{1} }), closed(CodeBadMessage))
	m.message("batch up to a sequence and up to a version", batch(func(b *Batch) { b.State, b.More, b.Upto = nil, true, Ref{1} }), closed(CodeBadMessage))
	m.message("batch of 501", batch(func(b *Batch) {
		b.Next = 1000
		b.Items = fill(BatchRecordsMax+1, func(i int) BatchItem { return BatchItem{Seq: Seq(i + 1), Header: []byte{1}, Body: []byte{1}} })
	}), closed(CodeTooLarge))
	m.raw("batch, last byte missing", cut(m.encode(batch(func(*Batch) {}))), closed(CodeBadMessage))
	m.message("ack that nobody asked for", &Ack{ID: 1, Kinds: []KindState{state}}, closed(CodeOutOfOrder))
	m.message("stored that nobody asked for", &Stored{Chunks: []record.ChunkID{{1}}}, closed(CodeOutOfOrder))
	m.message("proof that nobody asked for", &Proof{ID: 7}, closed(CodeOutOfOrder))
	m.message("proof that tells of 65 devices", &Proof{ID: 7, Devices: fill(DevicesMax+1, func(i int) DeviceSeen { return DeviceSeen{Device: [32]byte{byte(i)}, At: 9} })}, closed(CodeTooLarge))
	m.message("range that nobody asked for", &Range{ID: 1, Kind: "contacts", Spans: []Span{{}}}, closed(CodeOutOfOrder))
	m.message("push to a device", &Push{ID: 1, Versions: []SealedVersion{{Header: s.Header, Body: s.Body}}}, closed(CodeOutOfOrder))
	m.raw("an unknown type to a device", []byte{0x82, 0x18, 0x63, 0xa0}, closed(CodeUnknownType))
	m.filled("a message of 393,217 bytes to a device", rawBody(TypeBatch, "a0"), MessageBytesMax-2, closed(CodeTooLarge))
	m.message("wait", &Wait{Seconds: 1 << 40, Code: CodeBusy}, closed(CodeBusy))
	m.message("bye to a device", &Bye{}, closed(CodeShutdown))
	m.message("error: superseded", &ErrorMessage{Code: CodeSuperseded}, closed(CodeSuperseded))
	return m.all
}
