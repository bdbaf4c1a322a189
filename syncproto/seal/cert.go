package seal

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
)

// DeviceKey is a device's Ed25519 public key.
type DeviceKey [32]byte

// String returns 64 lower-case hex digits.
func (k DeviceKey) String() string { return hex.EncodeToString(k[:]) }

// ChainMax is the largest number of certificates from the root to a device.
const ChainMax = 8

// CertBytesMax is the largest size of a marshalled certificate.
const CertBytesMax = 1 + 3*34 + 9 + 66

// Cert says that Issuer (the root or a certified device) vouches for Device.
type Cert struct {
	Account   Account
	Device    DeviceKey
	Issuer    DeviceKey // the account id itself when the root signed
	Serial    uint64
	Signature [64]byte
}

const contextCert = "sidekeep/v1/cert\x00"

// ErrCert is the error of ParseCert.
var ErrCert = errors.New("bad certificate")

// ErrChain is the error of a chain that does not lead from the account's root to the device.
var ErrChain = errors.New("certificate chain does not lead to the device")

// SignCert makes the certificate of device, signed by issuer.
func SignCert(issuer ed25519.PrivateKey, account Account, device DeviceKey, serial uint64) Cert {
	c := Cert{Account: account, Device: device, Issuer: DeviceKey(issuer.Public().(ed25519.PublicKey)), Serial: serial}
	copy(c.Signature[:], ed25519.Sign(issuer, c.statement()))
	return c
}

// statement is what the issuer signs: SPEC.md "Keys", certificate.
func (c *Cert) statement() []byte {
	return c.appendBody(appendHead([]byte(contextCert), majorArray, 4))
}

func (c *Cert) appendBody(b []byte) []byte {
	b = appendBytes(b, c.Account[:])
	b = appendBytes(b, c.Device[:])
	b = appendBytes(b, c.Issuer[:])
	return appendUint(b, c.Serial)
}

// Marshal returns the certificate as it travels.
func (c Cert) Marshal() []byte {
	b := c.appendBody(appendHead(make([]byte, 0, CertBytesMax), majorArray, 5))
	return appendBytes(b, c.Signature[:])
}

// ParseCert reads a marshalled certificate. It does not verify it; VerifyChain
// does. The error is ErrCert.
func ParseCert(b []byte) (Cert, error) {
	r := reader{b: b}
	c := r.cert()
	if !r.done() {
		return Cert{}, ErrCert
	}
	return c, nil
}

func (r *reader) cert() Cert {
	var c Cert
	r.exactly(majorArray, 5)
	r.fixed(c.Account[:])
	r.fixed(c.Device[:])
	r.fixed(c.Issuer[:])
	c.Serial = r.uint(1<<64 - 1)
	r.fixed(c.Signature[:])
	return c
}

// VerifyChain checks that chain (the root's certificate first, at most ChainMax)
// leads from the account's root to device, each link signed by the one before
// it. The error is ErrChain.
func VerifyChain(account Account, device DeviceKey, chain []Cert) error {
	if len(chain) == 0 || len(chain) > ChainMax || chain[len(chain)-1].Device != device {
		return ErrChain
	}
	issuer := DeviceKey(account)
	for i := range chain {
		c := &chain[i]
		if c.Account != account || c.Issuer != issuer || !ed25519.Verify(issuer[:], c.statement(), c.Signature[:]) {
			return ErrChain
		}
		issuer = c.Device
	}
	return nil
}
