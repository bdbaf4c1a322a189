package seal

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Secret is the account secret S: whoever has it is the person. It is shown
// once as 24 words and forgotten by the device. It never prints itself.
type Secret [32]byte

// NewSecret draws a secret from rand, which must be ready and cryptographic.
func NewSecret(rand io.Reader) (Secret, error) {
	var s Secret
	if _, err := io.ReadFull(rand, s[:]); err != nil {
		return Secret{}, fmt.Errorf("draw an account secret: %w", err)
	}
	return s, nil
}

// Root returns the account's signing key (SPEC.md "Keys", label root-sign).
func (s Secret) Root() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(derive(s[:], labelRoot))
}

// Account returns the account id: the root's public key.
func (s Secret) Account() Account {
	return Account(s.Root().Public().(ed25519.PublicKey))
}

// Data returns the data secret D, which every device of the account keeps.
func (s Secret) Data() DataSecret { return DataSecret(derive(s[:], labelData)) }

// Format prints "(secret)", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { redact(f) }

// MarshalText prints "(secret)", so that no encoder writes the bytes.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// DataSecret is D, from which all data keys are derived. It never prints itself.
type DataSecret [32]byte

// Format prints "(secret)", whatever the verb.
func (d DataSecret) Format(f fmt.State, _ rune) { redact(f) }

// MarshalText prints "(secret)", so that no encoder writes the bytes.
func (d DataSecret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

const redacted = "(secret)"

func redact(w io.Writer) { io.WriteString(w, redacted) }

// Account is an account id: the 32-byte Ed25519 public key of its root.
type Account [32]byte

// String returns 64 lower-case hex digits.
func (a Account) String() string { return hex.EncodeToString(a[:]) }

// ParseAccount reads the text form of an account id.
func ParseAccount(s string) (Account, error) {
	var a Account
	if len(s) != 2*len(a) {
		return Account{}, fmt.Errorf("account id has %d characters, want %d hex digits", len(s), 2*len(a))
	}
	if _, err := hex.Decode(a[:], []byte(s)); err != nil {
		return Account{}, errors.New("account id is not hexadecimal")
	}
	return a, nil
}

// Salt and labels of HKDF-SHA256 (RFC 5869); SPEC.md "Keys" lists them.
const (
	salt             = "sidekeep/v1"
	labelRoot        = "root-sign"
	labelData        = "data"
	labelSealVersion = "seal-version"
	labelSealChunk   = "seal-chunk"
	labelNonce       = "nonce"
	labelIDRecord    = "id-record"
	labelIDVersion   = "id-version"
	labelIDChunk     = "id-chunk"
	labelBackup      = "backup"
)

// derive is HKDF-SHA256 of secret with our salt and a label, 32 bytes.
func derive(secret []byte, label string) []byte {
	k, err := hkdf.Key(sha256.New, secret, []byte(salt), label, 32)
	if err != nil {
		panic("seal: hkdf: " + err.Error()) // only for lengths above 255 hashes
	}
	return k
}
