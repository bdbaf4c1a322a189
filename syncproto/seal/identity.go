package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Identity is what a device keeps of an account: never the secret, never the
// root. It never prints itself.
type Identity struct {
	Account Account
	Data    DataSecret
	Seed    DeviceSeed
	Chain   []Cert // from the root to this device
}

// DeviceSeed is the seed of a device's own Ed25519 key. It never prints itself.
type DeviceSeed [32]byte

// Format prints "(secret)", whatever the verb.
func (s DeviceSeed) Format(f fmt.State, _ rune) { redact(f) }

// MarshalText prints "(secret)", so that no encoder writes the bytes.
func (s DeviceSeed) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// ErrIdentity is the error of ParseIdentity.
var ErrIdentity = errors.New("identity is damaged")

// The stored form: this line, a CBOR array, and the first 8 bytes of the
// SHA-256 of both, since a flipped bit of D would show nowhere else.
const (
	identityHead     = "sidekeep/v1/identity\n"
	identitySumBytes = 8
)

// NewIdentity draws a device key from rand and has the secret's root certify
// it, with a random serial. The caller forgets s.
func NewIdentity(s Secret, rand io.Reader) (*Identity, error) {
	var seed DeviceSeed
	var serial [8]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return nil, fmt.Errorf("draw a device key: %w", err)
	}
	if _, err := io.ReadFull(rand, serial[:]); err != nil {
		return nil, fmt.Errorf("draw a serial: %w", err)
	}
	id := &Identity{Account: s.Account(), Data: s.Data(), Seed: seed}
	n := uint64(0)
	for _, b := range serial {
		n = n<<8 | uint64(b)
	}
	id.Chain = []Cert{SignCert(s.Root(), id.Account, id.Device(), n)}
	return id, nil
}

// Keys returns the data keys.
func (id *Identity) Keys() *Keys { return NewKeys(id.Account, id.Data) }

func (id *Identity) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(id.Seed[:]) }

// Device returns the device's public key.
func (id *Identity) Device() DeviceKey {
	return DeviceKey(id.key().Public().(ed25519.PublicKey))
}

// Authenticate signs in with the device's key: 64 bytes.
func (id *Identity) Authenticate(in AuthInput) []byte {
	return ed25519.Sign(id.key(), AuthMessage(in))
}

// Certify makes a certificate for another device, and returns the whole chain
// that leads to it. The error is ErrChain if the chain would be too long.
func (id *Identity) Certify(device DeviceKey, serial uint64) ([]Cert, error) {
	if len(id.Chain) >= ChainMax {
		return nil, ErrChain
	}
	return append(id.Chain[:len(id.Chain):len(id.Chain)], SignCert(id.key(), id.Account, device, serial)), nil
}

// Revoke ends the trust in devices, in this device's name. What comes of it,
// Trust decides. The caller gives at most RevokedMax devices.
func (id *Identity) Revoke(devices []DeviceKey, serial uint64) Revoke {
	return SignRevoke(id.key(), id.Account, devices, serial)
}

// Marshal returns the identity as it is stored, in a file of its own that only
// the owner can read.
func (id *Identity) Marshal() []byte {
	b := appendHead([]byte(identityHead), majorArray, 4)
	b = appendBytes(b, id.Account[:])
	b = appendBytes(b, id.Data[:])
	b = appendBytes(b, id.Seed[:])
	b = appendHead(b, majorArray, uint64(len(id.Chain)))
	for i := range id.Chain {
		b = append(b, id.Chain[i].Marshal()...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:identitySumBytes]...)
}

// ParseIdentity reads what Marshal wrote and verifies its chain. The error is
// ErrIdentity.
func ParseIdentity(b []byte) (*Identity, error) {
	if len(b) < identitySumBytes || !bytes.HasPrefix(b, []byte(identityHead)) {
		return nil, ErrIdentity
	}
	body, want := b[:len(b)-identitySumBytes], b[len(b)-identitySumBytes:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:identitySumBytes], want) {
		return nil, ErrIdentity
	}
	r := reader{b: body[len(identityHead):]}
	id := new(Identity)
	r.exactly(majorArray, 4)
	r.fixed(id.Account[:])
	r.fixed(id.Data[:])
	r.fixed(id.Seed[:])
	for range r.count(majorArray, ChainMax) {
		id.Chain = append(id.Chain, r.cert())
	}
	if !r.done() || VerifyChain(id.Account, id.Device(), id.Chain) != nil {
		return nil, ErrIdentity
	}
	return id, nil
}

// Format prints the account only, whatever the verb.
func (id *Identity) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "identity of %s", id.Account) }
