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
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"sidekeep/localstore/record"
)

// ErrOpen is the one error of everything that does not open, whatever the reason.
var ErrOpen = errors.New("does not open")

// Keys are the data keys of an account. It satisfies the Hasher that localstore
// wants. It may be used from any goroutine, and never prints itself.
type Keys struct {
	account                             Account
	version, chunk                      cipher.AEAD
	nonce, idRecord, idVersion, idChunk *mac
	bk                                  []byte
}

// NewKeys derives the keys of an account from its data secret.
func NewKeys(account Account, d DataSecret) *Keys {
	return &Keys{
		account:   account,
		version:   aead(derive(d[:], labelSealVersion)),
		chunk:     aead(derive(d[:], labelSealChunk)),
		nonce:     newMAC(derive(d[:], labelNonce)),
		idRecord:  newMAC(derive(d[:], labelIDRecord)),
		idVersion: newMAC(derive(d[:], labelIDVersion)),
		idChunk:   newMAC(derive(d[:], labelIDChunk)),
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
	return k.idRecord.id([]byte(kind), []byte(uid))
}

// VersionID is the id of a version of record id; encoded is its canonical encoding.
func (k *Keys) VersionID(kind record.Kind, id record.ID, encoded []byte) record.VersionID {
	return k.idVersion.id([]byte(kind), id[:], encoded)
}

// ChunkID is the id of a chunk with this plaintext.
func (k *Keys) ChunkID(plain []byte) record.ChunkID {
	return k.idChunk.id(plain)
}

// BackupPassphrase is the passphrase of the account's backup files: 32 hex digits.
func (k *Keys) BackupPassphrase() string { return hex.EncodeToString(k.bk[:16]) }

// Format prints "(secret)", whatever the verb.
func (k *Keys) Format(f fmt.State, _ rune) { redact(f) }

// nonceTail makes the end of the nonce of a sealed item from all that is sealed
// (SPEC.md "Sealing"): no need of randomness, and repeats are byte for byte equal.
func (k *Keys) nonceTail(ad, plain []byte) (tail [nonceTailBytes]byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(ad)))
	sum := k.nonce.sum(n[:], ad, plain)
	copy(tail[:], sum[:])
	return tail
}

// mac is HMAC-SHA256 under one key. The state that the key gives is made once
// and kept in idle hashes, of which each goroutine takes its own.
type mac struct{ idle sync.Pool }

func newMAC(key []byte) *mac {
	return &mac{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (m *mac) sum(parts ...[]byte) (sum [sha256.Size]byte) {
	h := m.idle.Get().(hash.Hash)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	h.Reset()
	m.idle.Put(h)
	return sum
}

// id returns the first half of the MAC over length-prefixed fields (RFC 2104
// section 5 allows half).
func (m *mac) id(fields ...[]byte) (id [16]byte) {
	h := m.idle.Get().(hash.Hash)
	for _, f := range fields {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(f)))
		h.Write(n[:])
		h.Write(f)
	}
	var sum [sha256.Size]byte
	copy(id[:], h.Sum(sum[:0]))
	h.Reset()
	m.idle.Put(h)
	return id
}
