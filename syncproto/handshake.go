package syncproto

import (
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// Hello is the device's first message: who it is, which versions it speaks and
// the claim on its replica id (SPEC.md section "Handshake").
type Hello struct {
	Versions []uint64         `cbor:"1,keyasint"` // that the device speaks
	Account  [32]byte         `cbor:"2,keyasint"` // Ed25519 public key of the root
	Device   [32]byte         `cbor:"3,keyasint"` // Ed25519 public key of the device
	Replica  record.ReplicaID `cbor:"4,keyasint"`
	Nonce    Nonce            `cbor:"5,keyasint"`
	Last     Token            `cbor:"6,keyasint,omitzero"`  // last token a cloud accepted; zero when none ever was
	Pending  []Token          `cbor:"7,keyasint"`           // tokens without an answer, newest last
	Counter  uint64           `cbor:"8,keyasint"`           // highest own counter the device has issued
	Create   bool             `cbor:"9,keyasint,omitempty"` // make the account if the cloud does not know it
	// Admission shows that the cloud's operator agreed to the account.
	Admission Admission `cbor:"10,keyasint,omitzero"`
}

const helloKeyMax = 10

// Admission is a token that a cloud's operator gave an account. To devices it is
// 16 bytes without a meaning; zero is none.
type Admission [16]byte

// Type returns TypeHello.
func (*Hello) Type() Type { return TypeHello }

func (m *Hello) check() error {
	switch {
	case len(m.Versions) == 0:
		return errorf(CodeBadMessage, "no versions")
	case len(m.Versions) > VersionsMax:
		return errorf(CodeTooLarge, "%d versions", len(m.Versions))
	case len(m.Pending) == 0:
		return errorf(CodeBadMessage, "no claim token")
	case len(m.Pending) > PendingTokensMax:
		return errorf(CodeTooLarge, "%d claim tokens", len(m.Pending))
	case m.Counter > record.CounterMax:
		return errorf(CodeTooLarge, "counter out of range")
	}
	for _, t := range m.Pending {
		if t == (Token{}) {
			return errorf(CodeBadMessage, "zero token")
		}
	}
	return nil
}

// Newest returns the token that this hello asks the cloud to store.
func (m *Hello) Newest() Token { return m.Pending[len(m.Pending)-1] }

// Challenge is the cloud's answer to hello.
type Challenge struct {
	Version uint64 `cbor:"1,keyasint"` // the one that both will speak
	Nonce   Nonce  `cbor:"2,keyasint"`
}

// Type returns TypeChallenge.
func (*Challenge) Type() Type { return TypeChallenge }

func (m *Challenge) check() error { return nil }

// Auth proves that the device holds its key, and that the root certified it.
type Auth struct {
	Signature [64]byte `cbor:"1,keyasint"` // Ed25519 of the device key over seal.AuthMessage
	Chain     []Link   `cbor:"2,keyasint"` // certificates, the root's first
	// State is what the device holds; zero if it does not say.
	State StateDigest `cbor:"3,keyasint,omitzero"`
}

// Link is one certificate of a chain, without what follows from its place: the
// account is the hello's, the issuer the device of the link before, or the root.
type Link struct {
	Device    [32]byte `cbor:"1,keyasint"`
	Serial    uint64   `cbor:"2,keyasint"`
	Signature [64]byte `cbor:"3,keyasint"`
}

// NewLinks returns a chain of certificates as it travels.
func NewLinks(chain []seal.Cert) []Link {
	links := make([]Link, len(chain))
	for i, c := range chain {
		links[i] = Link{Device: c.Device, Serial: c.Serial, Signature: c.Signature}
	}
	return links
}

// Certs returns the chain as certificates of account. They are not verified.
func (m *Auth) Certs(account seal.Account) []seal.Cert {
	certs := make([]seal.Cert, len(m.Chain))
	issuer := seal.DeviceKey(account)
	for i, l := range m.Chain {
		certs[i] = seal.Cert{Account: account, Device: l.Device, Issuer: issuer, Serial: l.Serial, Signature: l.Signature}
		issuer = l.Device
	}
	return certs
}

// Type returns TypeAuth.
func (*Auth) Type() Type { return TypeAuth }

func (m *Auth) check() error {
	if len(m.Chain) == 0 {
		return errorf(CodeBadMessage, "no certificate")
	}
	if len(m.Chain) > CertChainMax {
		return errorf(CodeTooLarge, "%d certificates", len(m.Chain))
	}
	return nil
}

// ClaimState is the cloud's verdict on a claim (SPEC.md section "Claims").
type ClaimState uint64

// The verdicts.
const (
	ClaimAccepted ClaimState = 0 // the replica may mint and push
	ClaimStale    ClaimState = 1 // the cloud has stored another token: fork
	ClaimUnknown  ClaimState = 2 // the cloud does not know this replica: fork
)

// Welcome opens the session.
type Welcome struct {
	Epoch  Epoch       `cbor:"1,keyasint"`
	Head   Seq         `cbor:"2,keyasint"` // newest sequence of the account
	Claim  ClaimState  `cbor:"3,keyasint"`
	Seen   uint64      `cbor:"4,keyasint"`           // highest counter of this replica in any header the cloud holds
	Kinds  []KindState `cbor:"5,keyasint,omitempty"` // every kind that ever held a version, unless Same
	Limits Limits      `cbor:"6,keyasint,omitempty"` // those that are not the protocol's own
	Time   uint64      `cbor:"7,keyasint"`           // the cloud's clock, seconds since 1970
	// Statements tells the set of statements that the cloud has; zero is none, or Same.
	Statements seal.StatementsDigest `cbor:"8,keyasint,omitzero"`
	// Same says that the cloud is in the state that the device named in its auth: the
	// session is live from there.
	Same bool `cbor:"9,keyasint,omitempty"`
	// Devices is that of a Proof, with Same only; of few devices.
	Devices []DeviceSeen `cbor:"10,keyasint,omitempty"`
}

// Type returns TypeWelcome.
func (*Welcome) Type() Type { return TypeWelcome }

func (m *Welcome) check() error {
	if m.Claim > ClaimUnknown {
		return errorf(CodeBadMessage, "claim state %d", m.Claim)
	}
	if m.Seen > record.CounterMax {
		return errorf(CodeTooLarge, "counter out of range")
	}
	if len(m.Limits) > LimitsMax {
		return errorf(CodeTooLarge, "%d limits", len(m.Limits))
	}
	if m.Same && (m.Claim != ClaimAccepted || len(m.Kinds) > 0 || m.Statements != seal.StatementsDigest{}) {
		return errorf(CodeBadMessage, "the same state, and another")
	}
	if len(m.Devices) > welcomeDevicesMax || len(m.Devices) > 0 && !m.Same {
		return errorf(CodeBadMessage, "%d devices in a welcome", len(m.Devices))
	}
	return checkKindStates(m.Kinds)
}

// welcomeDevicesMax bounds the devices that a welcome tells of: it is to stay small.
const welcomeDevicesMax = 4
