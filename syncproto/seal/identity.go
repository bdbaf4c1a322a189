package seal

import (
	"errors"
	"io"
)

// Identity is what a device keeps of an account: never the secret, never the root.
type Identity struct {
	Account Account
	Data    DataSecret
	Seed    [32]byte // of the device's own Ed25519 key
	Chain   []Cert
}

// NewIdentity draws a device key from rand and has the secret's root certify it.
func NewIdentity(s Secret, rand io.Reader) (*Identity, error) { return nil, errors.ErrUnsupported }

// Keys returns the data keys.
func (id *Identity) Keys() *Keys { return NewKeys(id.Account, id.Data) }

// Device returns the device's public key.
func (id *Identity) Device() DeviceKey { return DeviceKey{} }

// Authenticate signs in with the device's key.
func (id *Identity) Authenticate(in AuthInput) []byte { return nil }

// Marshal returns the identity as it is stored in a file of its own.
func (id *Identity) Marshal() []byte { return nil }

// ParseIdentity reads what Marshal wrote and verifies the chain.
func ParseIdentity(b []byte) (*Identity, error) { return nil, errors.ErrUnsupported }
