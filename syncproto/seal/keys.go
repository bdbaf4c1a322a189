package seal

import (
	"errors"

	"sidekeep/localstore/record"
)

// ErrOpen is the one error of everything that does not open, whatever the reason.
var ErrOpen = errors.New("does not open")

// Keys are the data keys of an account. It satisfies the Hasher that localstore wants.
type Keys struct{}

// NewKeys derives the keys of an account from its data secret.
func NewKeys(account Account, d DataSecret) *Keys { return &Keys{} }

// Account returns the account the keys belong to.
func (k *Keys) Account() Account { return Account{} }

// RecordID is the id of the record of a kind with a UID.
func (k *Keys) RecordID(kind record.Kind, uid string) record.ID { return record.ID{} }

// VersionID is the id of a version of record id; encoded is its canonical encoding.
func (k *Keys) VersionID(kind record.Kind, id record.ID, encoded []byte) record.VersionID {
	return record.VersionID{}
}

// ChunkID is the id of a chunk with this plaintext.
func (k *Keys) ChunkID(plain []byte) record.ChunkID { return record.ChunkID{} }

// BackupPassphrase is the passphrase of the account's backup files.
func (k *Keys) BackupPassphrase() string { return "" }
