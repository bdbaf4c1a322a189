package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
)

// Statement is one signed word about an account's devices: exactly one of its
// fields is set.
type Statement struct {
	Cert   *Cert
	Revoke *Revoke
	Moved  *Moved
}

// StatementBytesMax is the largest size of a marshalled statement.
const StatementBytesMax = RevokeBytesMax

// StatementID names a statement: the first half of the SHA-256 of the bytes that
// were signed. Two signatures under the same words are one statement.
type StatementID [16]byte

// ErrStatement is the error of a statement that can not be read, is of another
// account, or is not signed by its issuer.
var ErrStatement = errors.New("bad statement")

// ParseStatement reads a marshalled statement. It does not
// verify it; Verify does. The error is ErrStatement.
func ParseStatement(b []byte) (Statement, error) {
	if len(b) > StatementBytesMax {
		return Statement{}, ErrStatement
	}
	if c, err := ParseCert(b); err == nil {
		return Statement{Cert: &c}, nil
	}
	rd := reader{b: b}
	if r := rd.revoke(); rd.done() {
		return Statement{Revoke: &r}, nil
	}
	rd = reader{b: b}
	if m := rd.moved(); rd.done() {
		return Statement{Moved: &m}, nil
	}
	return Statement{}, ErrStatement
}

// Marshal returns the statement as it travels.
func (s Statement) Marshal() []byte {
	switch {
	case s.Cert != nil:
		return s.Cert.Marshal()
	case s.Revoke != nil:
		return s.Revoke.Marshal()
	}
	return s.Moved.Marshal()
}

// Issuer returns who signed: a device, or the account id itself for the root.
func (s Statement) Issuer() DeviceKey {
	switch {
	case s.Cert != nil:
		return s.Cert.Issuer
	case s.Revoke != nil:
		return s.Revoke.Issuer
	}
	return s.Moved.Issuer
}

// ID returns the statement's name.
func (s Statement) ID() StatementID {
	sum := sha256.Sum256(s.signed())
	return StatementID(sum[:len(StatementID{})])
}

// Verify checks that the statement is about account, and signed by its issuer.
// The error is ErrStatement.
func (s Statement) Verify(account Account) error {
	of, signature := s.account()
	issuer := s.Issuer()
	if of != account || !ed25519.Verify(issuer[:], s.signed(), signature) {
		return ErrStatement
	}
	return nil
}

func (s Statement) signed() []byte {
	switch {
	case s.Cert != nil:
		return s.Cert.statement()
	case s.Revoke != nil:
		return s.Revoke.statement()
	}
	return s.Moved.statement()
}

func (s Statement) account() (Account, []byte) {
	switch {
	case s.Cert != nil:
		return s.Cert.Account, s.Cert.Signature[:]
	case s.Revoke != nil:
		return s.Revoke.Account, s.Revoke.Signature[:]
	}
	return s.Moved.Account, s.Moved.Signature[:]
}

func compareIDs(a, b StatementID) int { return bytes.Compare(a[:], b[:]) }

// StatementsOf returns the certificates of a chain as statements.
func StatementsOf(chain []Cert) []Statement {
	out := make([]Statement, len(chain))
	for i := range chain {
		c := chain[i]
		out[i] = Statement{Cert: &c}
	}
	return out
}
