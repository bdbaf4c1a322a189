package seal

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"

	"sidekeep/localstore/record"
)

// ErrOpen is the one error of everything that does not open, whatever the reason.
var ErrOpen = errors.New("does not open")

// Keys are the data keys of an account. It satisfies the Hasher that localstore
// wants. It may be used from any goroutine, and never prints itself.
type Keys struct {
	account                          Account
	version, chunk                   cipher.AEAD
	nonce                            []byte
	idRecord, idVersion, idChunk, bk []byte
}

// NewKeys derives the keys of an account from its data secret.
func NewKeys(account Account, d DataSecret) *Keys {
	return &Keys{
		account:   account,
		version:   aead(derive(d[:], labelSealVersion)),
		chunk:     aead(derive(d[:], labelSealChunk)),
		nonce:     derive(d[:], labelNonce),
		idRecord:  derive(d[:], labelIDRecord),
		idVersion: derive(d[:], labelIDVersion),
		idChunk:   derive(d[:], labelIDChunk),
		bk:        derive(d[:], labelBackup),
	}
}

func aead(key []byte) cipher.AEAD {
	a, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic("seal: " + err.Error()) // only for keys that are not 32 bytes
	}
	return a
}

// Account returns the account the keys belong to.
func (k *Keys) Account() Account { return k.account }

// RecordID is the id of the record of a kind with a UID.
func (k *Keys) RecordID(kind record.Kind, uid string) record.ID {
	h := newHash(k.idRecord)
	h.field([]byte(kind))
	h.field([]byte(uid))
	return record.ID(h.id())
}

// VersionID is the id of a version of record id; encoded is its canonical encoding.
func (k *Keys) VersionID(kind record.Kind, id record.ID, encoded []byte) record.VersionID {
	h := newHash(k.idVersion)
	h.field([]byte(kind))
	h.field(id[:])
	h.field(encoded)
	return record.VersionID(h.id())
}

// ChunkID is the id of a chunk with this plaintext.
func (k *Keys) ChunkID(plain []byte) record.ChunkID {
	h := newHash(k.idChunk)
	h.field(plain)
	return record.ChunkID(h.id())
}

// BackupPassphrase is the passphrase of the account's backup files: 32 hex digits.
func (k *Keys) BackupPassphrase() string { return hex.EncodeToString(k.bk[:16]) }

// Format prints "(secret)", whatever the verb.
func (k *Keys) Format(f fmt.State, _ rune) { redact(f) }

// nonceTail makes the end of the nonce of a sealed item from all that is sealed
// (SPEC.md "Sealing"): no need of randomness, and repeats are byte for byte equal.
func (k *Keys) nonceTail(ad, plain []byte) []byte {
	h := hmac.New(sha256.New, k.nonce)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(ad)))
	h.Write(n[:])
	h.Write(ad)
	h.Write(plain)
	return h.Sum(nil)[:nonceTailBytes]
}

// idHash is HMAC-SHA256 over length-prefixed fields.
type idHash struct{ hash.Hash }

func newHash(key []byte) idHash { return idHash{hmac.New(sha256.New, key)} }

func (h idHash) field(b []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(b)))
	h.Write(n[:])
	h.Write(b)
}

// id returns the first half of the MAC (RFC 2104 section 5 allows half).
func (h idHash) id() []byte { return h.Sum(nil)[:16] }
