package syncproto

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// The golden vectors of testdata/wire (SPEC.md section "Test vectors"). Run with
// -update to write them anew from vectors_make_test.go; that changes them for
// every other implementation, so it is for new vectors only.

var updateVectors = flag.Bool("update", false, "write testdata/wire anew")

const wireDir = "../testdata/wire"

// vector is one message, the state in which it meets one end, and what follows.
type vector struct {
	Name    string `json:"name"`
	To      string `json:"to"`
	State   string `json:"state"`
	Message string `json:"message"`
	Fill    int    `json:"fill,omitempty"`
	Outcome string `json:"outcome"`
	Answer  string `json:"answer,omitempty"`
	Code    Code   `json:"code,omitempty"`
	Codes   []Code `json:"codes,omitempty"` // of a push's versions; 0: stored
}

func (v *vector) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Message)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return append(b, make([]byte, v.Fill)...)
}

// happened is what a machine did with a message, in the words of a vector.
type happened struct {
	outcome, answer string
	code            Code
	codes           []Code
}

func (v *vector) expected() happened {
	return happened{v.Outcome, v.Answer, v.Code, v.Codes}
}

func (h happened) equal(o happened) bool {
	return h.outcome == o.outcome && h.answer == o.answer && h.code == o.code && slices.Equal(h.codes, o.codes)
}

func TestWireVectors(t *testing.T) {
	if *updateVectors {
		writeVectors(t)
	}
	files, err := filepath.Glob(filepath.Join(wireDir, "*.json"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files of vectors, %v", len(files), err)
	}
	all := map[string]vector{}
	var order []vector
	for _, path := range files {
		if filepath.Base(path) == "account.json" {
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var vs []vector
		if err := json.Unmarshal(raw, &vs); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, v := range vs {
			if _, twice := all[v.Name]; twice {
				t.Errorf("two vectors are named %q", v.Name)
			}
			all[v.Name] = v
			order = append(order, v)
		}
	}
	for _, v := range order {
		t.Run(v.To+"/"+v.Name, func(t *testing.T) {
			var got happened
			switch v.To {
			case "cloud":
				got = runCloudVector(t, all, v)
			case "device":
				got = runDeviceVector(t, all, v)
			default:
				t.Fatalf("to %q", v.To)
			}
			if !got.equal(v.expected()) {
				t.Errorf("in state %q: got %+v, want %+v", v.State, got, v.expected())
			}
		})
	}
}

func runCloudVector(t *testing.T, all map[string]vector, v vector) happened {
	t.Helper()
	s := NewCloudSession(CloudConfig{Nonce: vectorCloudNonce, Origins: []string{vectorOrigin}})
	prelude := func(name string, then ...CloudEvent) {
		t.Helper()
		p := all[name]
		s.Handle(Received{p.bytes(t)})
		for _, ev := range then {
			s.Handle(ev)
		}
	}
	switch v.State {
	case "waits for hello":
	case "waits for auth":
		prelude("hello")
	case "open":
		prelude("hello")
		prelude("auth", Listed{Trusted: true}, Claimed{Epoch: vectorEpoch})
	case "open, stale claim":
		prelude("hello")
		prelude("auth", Listed{Trusted: true}, Claimed{Epoch: vectorEpoch, State: ClaimStale})
	case "guest":
		prelude("enter", MailboxEntered{Note: []byte{1}})
	case "contested": // the device was shown that it is not trusted
		prelude("hello")
		prelude("auth", Listed{})
	default:
		t.Fatalf("state %q", v.State)
	}
	return describeCloud(s.Handle(Received{v.bytes(t)}))
}

func describeCloud(actions []CloudAction) happened {
	h := happened{outcome: "taken"}
	for _, a := range actions {
		switch a := a.(type) {
		case SendToDevice:
			switch m := a.Message.(type) {
			case *ErrorMessage:
				h.outcome, h.code = "failed", m.Code
			case *Ack:
				h.outcome = "rejected"
				for _, r := range m.Rejects {
					h.codes = append(h.codes, r.Code)
				}
			default:
				h.answer = m.Type().String()
			}
		case HangUp:
			h.outcome, h.code = "closed", a.Code
		case DoTrust:
			h.answer = "trust"
		case DoList:
			h.answer = "list"
		case DoCommit:
			h.answer = "commit"
		case DoReadLog:
			h.answer = "read log"
		case DoWalk:
			h.answer = "walk"
		case DoProve:
			h.answer = "prove"
		case DoSetAside:
			h.answer = "set aside"
		case DoAnswerRange:
			h.answer = "range"
		case DoFindMissing:
			h.answer = "find chunks"
		case DoOpenMailbox:
			h.answer = "open mailbox"
		case DoEnterMailbox:
			h.answer = "enter mailbox"
		case DoPost:
			h.answer = "hand on"
		case DoShutMailbox:
			h.answer = "shut mailbox"
		}
	}
	return h
}

// vectorDevice returns the machine of the device that the vectors are from.
func vectorDevice(t testing.TB) *DeviceSession {
	return NewDeviceSession(DeviceConfig{Identity: vectorIdentity(t), Origin: vectorOrigin, Create: true,
		Claim: DeviceClaim{Replica: vectorReplica, Pending: []Token{vectorToken}}})
}

func runDeviceVector(t *testing.T, all map[string]vector, v vector) happened {
	t.Helper()
	s := vectorDevice(t)
	s.Handle(DeviceOpened{Nonce: vectorDeviceNonce})
	prelude := func(name string) {
		t.Helper()
		p := all[name]
		m, err := Decode(p.bytes(t))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.Handle(DeviceReceived{m})
	}
	switch v.State {
	case "hello sent":
	case "auth sent":
		prelude("challenge")
	case "working": // the pull of contacts is request 1
		prelude("challenge")
		prelude("welcome")
		s.Handle(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts}}})
	case "working, mailbox offered":
		prelude("challenge")
		prelude("welcome")
		s.Handle(LocalBegan{Kinds: []LocalKind{{Kind: record.Contacts}}})
		s.Handle(DeviceMail{&Offer{Mailbox: seal.Mailbox{1}, Note: []byte{1}}})
	default:
		t.Fatalf("state %q", v.State)
	}
	m, err := Decode(v.bytes(t))
	if err != nil {
		return happened{outcome: "closed", code: CodeOf(err)}
	}
	return describeDevice(s.Handle(DeviceReceived{m}))
}

func describeDevice(actions []DeviceAction) happened {
	h := happened{outcome: "taken"}
	for _, a := range actions {
		switch a := a.(type) {
		case DeviceSend:
			if _, bye := a.Message.(*Bye); !bye {
				h.answer = a.Message.Type().String()
			}
		case StoreBegin:
			h.answer = "claim durable"
		case StoreFork:
			h.answer = "fork"
		case StoreStatements:
			h.answer = "list"
		case StoreApply:
			h.answer = "apply"
		case DeviceMailed:
			h.answer = "hand on"
		case DeviceClose:
			h.outcome = "closed"
			var e *Error
			if errors.As(a.Err, &e) {
				h.code = e.Code
			}
		}
	}
	return h
}

// What is fixed in the vectors.
var (
	vectorOrigin      = "wss://cloud.example.org:443"
	vectorReplica     = record.ReplicaID{0xa1, 1, 2, 3, 4, 5, 6, 7}
	vectorToken       = Token{0xb1, 1, 2, 3}
	vectorDeviceNonce = Nonce{0xc1, 1, 2, 3}
	vectorCloudNonce  = Nonce{0xd1, 1, 2, 3}
	vectorEpoch       = Epoch{0xe1, 1, 2, 3}
	vectorRecord      = record.ID{0xf1, 1, 2, 3}
)

func vectorSecret(t testing.TB) seal.Secret {
	t.Helper()
	s, err := seal.NewSecret(bytes.NewReader(bytes.Repeat([]byte("sidekeep"), 8)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func vectorIdentity(t testing.TB) *seal.Identity {
	t.Helper()
	id, err := seal.NewIdentity(vectorSecret(t), bytes.NewReader(bytes.Repeat([]byte("device"), 40)))
	if err != nil {
		t.Fatal(err)
	}
	id.Chain[0].Serial = 1
	id.Chain[0] = seal.SignCert(vectorSecret(t).Root(), id.Account, id.Device(), 1)
	return id
}

// vectorSealed is a version as the vectors' device seals it.
func vectorSealed(t testing.TB, line string) seal.Sealed {
	t.Helper()
	v := &record.Version{Vector: record.Vector{vectorReplica: 1},
		Fields: map[string][]record.Entry{"FN": {{Dot: record.Dot{Replica: vectorReplica, Counter: 1}, Line: []byte(line)}}}}
	s, err := vectorIdentity(t).Keys().SealVersion(record.Contacts, vectorRecord, v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestVectorAccount: account.json gives what the vectors were made with.
func TestVectorAccount(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(wireDir, "account.json"))
	if err != nil {
		t.Fatal(err)
	}
	var a map[string]string
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	if want := vectorAccount(t); fmt.Sprint(a) != fmt.Sprint(want) {
		t.Errorf("account.json is %v, want %v", a, want)
	}
}

func vectorAccount(t testing.TB) map[string]string {
	id := vectorIdentity(t)
	return map[string]string{
		"words": vectorSecret(t).Words(), "account": id.Account.String(), "device_seed": hex.EncodeToString(id.Seed[:]),
		"device": id.Device().String(), "certificate": hex.EncodeToString(id.Chain[0].Marshal()), "replica": vectorReplica.String(),
		"token": hex.EncodeToString(vectorToken[:]), "device_nonce": hex.EncodeToString(vectorDeviceNonce[:]),
		"cloud_nonce": hex.EncodeToString(vectorCloudNonce[:]), "origin": vectorOrigin, "epoch": hex.EncodeToString(vectorEpoch[:]),
		"record": vectorRecord.String(),
	}
}

func writeVectors(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(wireDir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, v any) {
		t.Helper()
		b, err := json.MarshalIndent(v, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join(wireDir, name), append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("account.json", vectorAccount(t))
	for name, vs := range makeVectors(t) {
		write(name, vs)
	}
}
