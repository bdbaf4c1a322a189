package seal

import "crypto/ed25519"

// Moved says that Issuer (the root or a certified device) gave all data new keys,
// in another account. It changes nobody's trust, and names no account: whoever
// reads it asks the device that issued it.
type Moved struct {
	Account   Account
	Issuer    DeviceKey // the account id itself when the root signed
	At        uint64    // seconds since 1970, by the issuer's clock
	Signature [64]byte
}

const contextMoved = "sidekeep/v1/moved\x00"

// SignMoved makes the statement, signed by issuer.
func SignMoved(issuer ed25519.PrivateKey, account Account, at uint64) Moved {
	m := Moved{Account: account, Issuer: DeviceKey(issuer.Public().(ed25519.PublicKey)), At: at}
	copy(m.Signature[:], ed25519.Sign(issuer, m.statement()))
	return m
}

// statement is what the issuer signs: SPEC.md "Keys", statements.
func (m *Moved) statement() []byte {
	return m.appendBody(appendHead([]byte(contextMoved), majorArray, 3))
}

func (m *Moved) appendBody(b []byte) []byte {
	b = appendBytes(b, m.Account[:])
	b = appendBytes(b, m.Issuer[:])
	return appendUint(b, m.At)
}

// Marshal returns the statement as it travels.
func (m Moved) Marshal() []byte {
	return appendBytes(m.appendBody(appendHead(nil, majorArray, 4)), m.Signature[:])
}

func (rd *reader) moved() Moved {
	var m Moved
	rd.exactly(majorArray, 4)
	rd.fixed(m.Account[:])
	rd.fixed(m.Issuer[:])
	m.At = rd.uint(1<<40 - 1)
	rd.fixed(m.Signature[:])
	return m
}

// Moved returns the newest statement of a device that is trusted, or of the root,
// that this account was left, or nil.
func (s *Statements) Moved() *Moved {
	var last *Moved
	for _, st := range s.List() {
		m := st.Moved
		if m == nil || m.Issuer != DeviceKey(s.account) && !s.Trust().Trusted(m.Issuer) {
			continue
		}
		if last == nil || m.At > last.At {
			last = m
		}
	}
	return last
}
