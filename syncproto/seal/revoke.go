package seal

import (
	"bytes"
	"crypto/ed25519"
	"slices"
)

// RevokedMax is the largest number of devices that one statement revokes.
const RevokedMax = 16

// RevokeBytesMax is the largest size of a marshalled revocation.
const RevokeBytesMax = 1 + 34 + 1 + RevokedMax*34 + 34 + 9 + 66

// Revoke says that Issuer (the root or a certified device) ends the trust in
// Devices. What that comes to, Trust decides.
type Revoke struct {
	Account   Account
	Devices   []DeviceKey // 1 to RevokedMax, ascending, each once
	Issuer    DeviceKey   // the account id itself when the root signed
	Serial    uint64
	Signature [64]byte
}

const contextRevoke = "sidekeep/v1/revoke\x00"

// SignRevoke makes a revocation, signed by issuer. It sorts the devices; more
// than RevokedMax need more statements.
func SignRevoke(issuer ed25519.PrivateKey, account Account, devices []DeviceKey, serial uint64) Revoke {
	devices = slices.Clone(devices)
	slices.SortFunc(devices, compareKeys)
	r := Revoke{Account: account, Devices: slices.Compact(devices), Issuer: DeviceKey(issuer.Public().(ed25519.PublicKey)), Serial: serial}
	copy(r.Signature[:], ed25519.Sign(issuer, r.statement()))
	return r
}

func compareKeys(a, b DeviceKey) int { return bytes.Compare(a[:], b[:]) }

// statement is what the issuer signs: SPEC.md "Keys", statements.
func (r *Revoke) statement() []byte {
	return r.appendBody(appendHead([]byte(contextRevoke), majorArray, 4))
}

func (r *Revoke) appendBody(b []byte) []byte {
	b = appendBytes(b, r.Account[:])
	b = appendHead(b, majorArray, uint64(len(r.Devices)))
	for i := range r.Devices {
		b = appendBytes(b, r.Devices[i][:])
	}
	b = appendBytes(b, r.Issuer[:])
	return appendUint(b, r.Serial)
}

// Marshal returns the revocation as it travels.
func (r Revoke) Marshal() []byte {
	b := r.appendBody(appendHead(make([]byte, 0, RevokeBytesMax), majorArray, 5))
	return appendBytes(b, r.Signature[:])
}

func (rd *reader) revoke() Revoke {
	var r Revoke
	rd.exactly(majorArray, 5)
	rd.fixed(r.Account[:])
	n := rd.count(majorArray, RevokedMax)
	rd.bad = rd.bad || n == 0
	for range n {
		var k DeviceKey
		rd.fixed(k[:])
		if m := len(r.Devices); m > 0 && !ascending(r.Devices[m-1][:], k[:]) {
			rd.bad = true
		}
		r.Devices = append(r.Devices, k)
	}
	rd.fixed(r.Issuer[:])
	r.Serial = rd.uint(1<<64 - 1)
	rd.fixed(r.Signature[:])
	return r
}
