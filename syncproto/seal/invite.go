package seal

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/crypto/chacha20poly1305"
)

// InviteWordCount is how many words show an invite's code.
const InviteWordCount = 8

// InviteCode is the one-time code of an invite: 88 random bits, shown as 8
// words. It never prints itself.
type InviteCode [11]byte

// NewInviteCode draws a code from rand, which must be cryptographic.
func NewInviteCode(rand io.Reader) (InviteCode, error) {
	var c InviteCode
	if _, err := io.ReadFull(rand, c[:]); err != nil {
		return InviteCode{}, fmt.Errorf("draw an invite's code: %w", err)
	}
	return c, nil
}

// ParseInviteCode reads 8 words as ParseWords reads 24. The error is a *WordsError.
func ParseInviteCode(text string) (InviteCode, error) {
	var c InviteCode
	if err := fromWords(text, c[:]); err != nil {
		return InviteCode{}, err
	}
	return c, nil
}

// Words returns the code as 8 words, separated by spaces.
func (c InviteCode) Words() string { return toWords(c[:]) }

// Format prints "(secret)", whatever the verb.
func (c InviteCode) Format(f fmt.State, _ rune) { redact(f) }

// MarshalText prints "(secret)", so that no encoder writes the bytes.
func (c InviteCode) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Mailbox names an invite's mailbox at the cloud.
type Mailbox [16]byte

// Labels and contexts of invites; SPEC.md "Invites" lists them.
const (
	labelMailbox      = "invite-mailbox"
	labelInviteNonce  = "invite-nonce"
	labelFromInviter  = "invite-from-inviter"
	labelFromGuest    = "invite-from-guest"
	labelGrant        = "invite-grant"
	labelTaken        = "invite-taken"
	contextInvite     = "sidekeep/v1/invite\x00"
	contextCommitment = "sidekeep/v1/invite-commitment\x00"
	contextTranscript = "sidekeep/v1/invite-transcript\x00"
)

// InviteNameBytesMax bounds the name that a guest gives itself.
const InviteNameBytesMax = 64

// InvitePinsMax bounds the pins in a grant.
const InvitePinsMax = 4

// Mailbox returns the mailbox that belongs to the code.
func (c InviteCode) Mailbox() Mailbox { return Mailbox(derive(c[:], labelMailbox)[:16]) }

// InviteKey is one end's X25519 key (RFC 7748) of one invite. It never prints itself.
type InviteKey struct{ k *ecdh.PrivateKey }

// NewInviteKey draws a key from rand.
func NewInviteKey(rand io.Reader) (InviteKey, error) {
	var seed [32]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return InviteKey{}, fmt.Errorf("draw an invite's key: %w", err)
	}
	k, err := ecdh.X25519().NewPrivateKey(seed[:])
	return InviteKey{k}, err
}

// Public returns the public half.
func (k InviteKey) Public() (p [32]byte) {
	copy(p[:], k.k.PublicKey().Bytes())
	return p
}

// Format prints "(secret)", whatever the verb.
func (k InviteKey) Format(f fmt.State, _ rune) { redact(f) }

// Guest is how a new device presents itself.
type Guest struct {
	Device DeviceKey
	Public [32]byte // its InviteKey
	Name   string   // what its person calls it; at most InviteNameBytesMax bytes of UTF-8
}

// Grant is what an invited device gets.
type Grant struct {
	Account Account
	Data    DataSecret
	Address string // of the cloud, as the inviter has it configured
	// Admission is the token of the cloud's operator; zero is none.
	Admission [16]byte
	Pins      [][32]byte // of the cloud's key, if the inviter goes by them; at most InvitePinsMax
	Chain     []Cert
}

// Format prints the account only, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "grant of %s", g.Account) }

// Commitment fixes the inviter's public key before the guest tells its own, so
// that neither a cloud nor someone who overheard the code can try keys until
// two check codes are equal.
func (k InviteKey) Commitment() [32]byte { return commitment(k.Public()) }

func commitment(public [32]byte) [32]byte {
	return sha256.Sum256(append([]byte(contextCommitment), public[:]...))
}

// The posts of an invite, in the order of each sender.
type post struct {
	label  string // of the key
	number byte   // within the direction
}

var (
	postCommitment = post{labelFromInviter, 0}
	postGuest      = post{labelFromGuest, 0}
	postReveal     = post{labelFromInviter, 1}
)

func (c InviteCode) seal(p post, plain []byte) []byte {
	m := c.Mailbox()
	return sealPost(derive(c[:], p.label), derive(c[:], labelInviteNonce), inviteAD(m[:], p.number), plain)
}

func (c InviteCode) open(p post, sealed []byte) ([]byte, error) {
	m := c.Mailbox()
	return openPost(derive(c[:], p.label), derive(c[:], labelInviteNonce), inviteAD(m[:], p.number), sealed)
}

func inviteAD(bound []byte, number byte) []byte {
	return append(append([]byte(contextInvite), bound...), number)
}

func sealPost(key, nonceKey, ad, plain []byte) []byte {
	n := postNonce(nonceKey, ad, plain)
	return aead(key).Seal(n, n, plain, ad)
}

func openPost(key, nonceKey, ad, sealed []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead {
		return nil, ErrOpen
	}
	n := sealed[:chacha20poly1305.NonceSizeX]
	plain, err := aead(key).Open(nil, n, sealed[len(n):], ad)
	if err != nil || !hmac.Equal(n, postNonce(nonceKey, ad, plain)) {
		return nil, ErrOpen
	}
	return plain, nil
}

// postNonce is made from all that is sealed, as nonces of versions are.
func postNonce(key, ad, plain []byte) []byte {
	h := hmac.New(sha256.New, key)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(ad)))
	h.Write(n[:])
	h.Write(ad)
	h.Write(plain)
	return h.Sum(nil)[:chacha20poly1305.NonceSizeX]
}

// SealCommitment is the inviter's first post, which the mailbox is opened with.
func (c InviteCode) SealCommitment(commitment [32]byte) []byte {
	return c.seal(postCommitment, commitment[:])
}

// OpenCommitment opens what SealCommitment made. The error is ErrOpen.
func (c InviteCode) OpenCommitment(sealed []byte) ([32]byte, error) {
	return open32(c.open(postCommitment, sealed))
}

// SealGuest is the guest's first post.
func (c InviteCode) SealGuest(g Guest) []byte { return c.seal(postGuest, g.marshal()) }

func (g Guest) marshal() []byte {
	b := appendHead(nil, majorArray, 3)
	b = appendBytes(b, g.Device[:])
	b = appendBytes(b, g.Public[:])
	return appendText(b, g.Name)
}

// OpenGuest opens what SealGuest made. The error is ErrOpen.
func (c InviteCode) OpenGuest(sealed []byte) (Guest, error) {
	plain, err := c.open(postGuest, sealed)
	if err != nil {
		return Guest{}, err
	}
	r := reader{b: plain}
	var g Guest
	r.exactly(majorArray, 3)
	r.fixed(g.Device[:])
	r.fixed(g.Public[:])
	g.Name = r.text(InviteNameBytesMax)
	if !r.done() || !utf8.ValidString(g.Name) {
		return Guest{}, ErrOpen
	}
	return g, nil
}

// SealReveal is the inviter's second post: its public key.
func (c InviteCode) SealReveal(public [32]byte) []byte { return c.seal(postReveal, public[:]) }

// OpenReveal opens what SealReveal made, and checks that it is what the
// commitment said. The error is ErrOpen.
func (c InviteCode) OpenReveal(sealed []byte, committed [32]byte) ([32]byte, error) {
	public, err := open32(c.open(postReveal, sealed))
	if err == nil && commitment(public) != committed {
		err = ErrOpen
	}
	return public, err
}

func open32(plain []byte, err error) ([32]byte, error) {
	if err != nil || len(plain) != 32 {
		return [32]byte{}, ErrOpen
	}
	return [32]byte(plain), nil
}

// InviteSecret is what both ends share after the reveal: it needs the code and
// one of the private keys, so that a code that becomes known later opens nothing
// that was recorded.
type InviteSecret struct {
	key        []byte
	transcript [32]byte
}

// NewInviteSecret joins own, the other end's public key, and what both know:
// the inviter's public key and the guest. The error is ErrOpen for a public key
// that gives no secret.
func NewInviteSecret(c InviteCode, own InviteKey, other, inviter [32]byte, g Guest) (*InviteSecret, error) {
	public, err := ecdh.X25519().NewPublicKey(other[:])
	if err != nil {
		return nil, ErrOpen
	}
	shared, err := own.k.ECDH(public)
	if err != nil {
		return nil, ErrOpen
	}
	h := sha256.New()
	mailbox := c.Mailbox()
	io.WriteString(h, contextTranscript)
	h.Write(mailbox[:])
	h.Write(inviter[:])
	h.Write(g.marshal())
	return &InviteSecret{append(shared, c[:]...), [32]byte(h.Sum(nil))}, nil
}

// Format prints "(secret)", whatever the verb.
func (s *InviteSecret) Format(f fmt.State, _ rune) { redact(f) }

// Check is the short code that both ends show: six digits of what both saw.
func (s *InviteSecret) Check() string {
	n := binary.BigEndian.Uint64(s.transcript[:]) % 1e6
	return fmt.Sprintf("%03d %03d", n/1000, n%1000)
}

// SealGrant is the inviter's last post.
func (s *InviteSecret) SealGrant(g Grant) []byte {
	b := appendHead(nil, majorArray, 6)
	b = appendBytes(b, g.Account[:])
	b = appendBytes(b, g.Data[:])
	b = appendText(b, g.Address)
	b = appendBytes(b, g.Admission[:])
	b = appendHead(b, majorArray, uint64(len(g.Pins)))
	for _, p := range g.Pins {
		b = appendBytes(b, p[:])
	}
	b = appendHead(b, majorArray, uint64(len(g.Chain)))
	for i := range g.Chain {
		b = append(b, g.Chain[i].Marshal()...)
	}
	return s.seal(labelGrant, b)
}

// OpenGrant opens what SealGrant made, and checks that its certificates lead to
// device. The error is ErrOpen.
func (s *InviteSecret) OpenGrant(sealed []byte, device DeviceKey) (Grant, error) {
	plain, err := s.open(labelGrant, sealed)
	if err != nil {
		return Grant{}, err
	}
	r := reader{b: plain}
	var g Grant
	r.exactly(majorArray, 6)
	r.fixed(g.Account[:])
	r.fixed(g.Data[:])
	g.Address = r.text(OriginBytesMax)
	r.fixed(g.Admission[:])
	g.Pins = make([][32]byte, r.count(majorArray, InvitePinsMax))
	for i := range g.Pins {
		r.fixed(g.Pins[i][:])
	}
	for range r.count(majorArray, ChainMax) {
		g.Chain = append(g.Chain, r.cert())
	}
	if !r.done() || VerifyChain(g.Account, device, g.Chain) != nil {
		return Grant{}, ErrOpen
	}
	return g, nil
}

// SealTaken is the guest's last post: it keeps what it was granted.
func (s *InviteSecret) SealTaken() []byte { return s.seal(labelTaken, nil) }

// OpenTaken opens what SealTaken made. The error is ErrOpen.
func (s *InviteSecret) OpenTaken(sealed []byte) error {
	plain, err := s.open(labelTaken, sealed)
	if err != nil || len(plain) > 0 {
		return ErrOpen
	}
	return nil
}

func (s *InviteSecret) seal(label string, plain []byte) []byte {
	return sealPost(derive(s.key, label), derive(s.key, labelInviteNonce), inviteAD(s.transcript[:], 0), plain)
}

func (s *InviteSecret) open(label string, sealed []byte) ([]byte, error) {
	return openPost(derive(s.key, label), derive(s.key, labelInviteNonce), inviteAD(s.transcript[:], 0), sealed)
}

// NewDeviceSeed draws the seed of a device key from rand.
func NewDeviceSeed(rand io.Reader) (DeviceSeed, error) {
	var seed DeviceSeed
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return seed, fmt.Errorf("draw a device key: %w", err)
	}
	return seed, nil
}

// Device returns the public key that belongs to the seed.
func (s DeviceSeed) Device() DeviceKey {
	return DeviceKey(ed25519.NewKeyFromSeed(s[:]).Public().(ed25519.PublicKey))
}
