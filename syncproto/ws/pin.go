package ws

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Pin names a server's public key: the SHA-256 of the SubjectPublicKeyInfo of its
// certificate (RFC 7469, section 2.4).
type Pin [sha256.Size]byte

const pinPrefix = "sha256/"

// PinOf returns the pin of a certificate's key.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// ParsePin reads what String wrote: "sha256/" and standard base64.
func ParsePin(s string) (Pin, error) {
	text, found := strings.CutPrefix(s, pinPrefix)
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if !found || err != nil || len(b) != sha256.Size || len(s) != len(Pin{}.String()) {
		return Pin{}, fmt.Errorf("%q is not a pin: it looks like sha256/ and 44 letters, digits and signs", s)
	}
	return Pin(b), nil
}

// String returns the pin as people pass it on.
func (p Pin) String() string { return pinPrefix + base64.StdEncoding.EncodeToString(p[:]) }

// ErrPin says that a server showed another key than the pinned ones.
var ErrPin = errors.New("the server's key is not the pinned one")

// Pinned makes conf accept a server that shows one of the pinned keys, and no
// other: authorities, name and dates of its certificate do not matter then, so
// that neither a dead clock nor a false authority comes in between. TLS 1.3
// proves that the server has the key. conf is changed in place.
func Pinned(conf *tls.Config, pins ...Pin) {
	conf.InsecureSkipVerify = true
	next := conf.VerifyConnection
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		if next != nil {
			if err := next(s); err != nil {
				return err
			}
		}
		if len(s.PeerCertificates) == 0 {
			return ErrPin
		}
		shown := PinOf(s.PeerCertificates[0])
		for _, p := range pins {
			if p == shown { // a pin is public: no need of constant time
				return nil
			}
		}
		return fmt.Errorf("%w: it showed %v", ErrPin, shown)
	}
}
