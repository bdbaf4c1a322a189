package seal

import (
	"crypto/ed25519"
	"errors"

	"sidekeep/localstore/record"
)

// DeviceKey is a device's Ed25519 public key.
type DeviceKey [32]byte

// String returns 64 lower-case hex digits.
func (k DeviceKey) String() string { return "" }

// ChainMax is the largest number of certificates from the root to a device.
const ChainMax = 8

// Cert says that Issuer (the root or a certified device) vouches for Device.
type Cert struct {
	Account   Account
	Device    DeviceKey
	Issuer    DeviceKey // the account id itself when the root signed
	Serial    uint64
	Signature [64]byte
}

// SignCert makes the certificate of device, signed by issuer.
func SignCert(issuer ed25519.PrivateKey, account Account, device DeviceKey, serial uint64) Cert {
	return Cert{}
}

// Marshal returns the certificate as it travels.
func (c Cert) Marshal() []byte { return nil }

// ParseCert reads a marshalled certificate. It does not verify it.
func ParseCert(b []byte) (Cert, error) { return Cert{}, errors.ErrUnsupported }

// ErrChain is the error of a chain that does not lead from the account's root to the device.
var ErrChain = errors.New("certificate chain does not lead to the device")

// VerifyChain checks that chain (root's certificate first) leads from the
// account's root to device.
func VerifyChain(account Account, device DeviceKey, chain []Cert) error { return ErrChain }

// AuthInput is what a device signs to authenticate.
type AuthInput struct {
	DeviceNonce, CloudNonce [32]byte
	Account                 Account
	Device                  DeviceKey
	Replica                 record.ReplicaID
	Token                   [16]byte // newest claim token of the hello
	Transcript              [32]byte // SHA-256 of the hello's and the challenge's bytes, one after the other
	Origin                  string   // configured origin: scheme://host:port, lower case, port always there
}

// AuthMessage returns the bytes that the device signs and the cloud verifies.
func AuthMessage(in AuthInput) []byte { return nil }

// VerifyAuth reports whether sig is device's signature over in.
func VerifyAuth(in AuthInput, sig []byte) bool { return false }
