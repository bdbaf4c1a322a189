package seal

import (
	"crypto/ed25519"
	"errors"
	"io"
)

// Secret is the account secret S: whoever has it is the person. It is shown
// once as 24 words and forgotten by the device.
type Secret [32]byte

// NewSecret draws a secret from rand.
func NewSecret(rand io.Reader) (Secret, error) { return Secret{}, errors.ErrUnsupported }

// Words returns the secret as 24 English BIP39 words, separated by spaces.
func (s Secret) Words() string { return "" }

// ParseWords reads 24 words in any case, with any spacing, numbered or not.
// The error says what is wrong without repeating a word.
func ParseWords(text string) (Secret, error) { return Secret{}, errors.ErrUnsupported }

// Root returns the account's signing key.
func (s Secret) Root() ed25519.PrivateKey { return nil }

// Account returns the account id: the root's public key.
func (s Secret) Account() Account { return Account{} }

// Data returns the data secret D, which every device of the account keeps.
func (s Secret) Data() DataSecret { return DataSecret{} }

// Account is an account id: the 32-byte Ed25519 public key of its root.
type Account [32]byte

// String returns 64 lower-case hex digits.
func (a Account) String() string { return "" }

// ParseAccount reads the text form of an account id.
func ParseAccount(s string) (Account, error) { return Account{}, errors.ErrUnsupported }

// DataSecret is D, from which all data keys are derived. Its String and
// GoString show nothing.
type DataSecret [32]byte
