package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// AdmitKey is an operator's key, of 32 random bytes. The admission token of an
// account is computed from it, so that it admits the account to a cloud that has
// lost everything, too.
type AdmitKey [32]byte

// Token returns the admission token of an account: the first 16 bytes of
// HMAC-SHA256(key, "sidekeep/v1/admit" 0x00 || account).
func (k AdmitKey) Token(account seal.Account) syncproto.Admission {
	h := hmac.New(sha256.New, k[:])
	h.Write([]byte("sidekeep/v1/admit\x00"))
	h.Write(account[:])
	return syncproto.Admission(h.Sum(nil))
}

// Admit reports whether the device showed the account's token.
func (k AdmitKey) Admit(account seal.Account, shown syncproto.Admission) bool {
	want := k.Token(account)
	return hmac.Equal(want[:], shown[:])
}

// AdmitAny admits whom one of its members admits.
type AdmitAny []Admitter

// Admit asks the members in turn.
func (any AdmitAny) Admit(account seal.Account, shown syncproto.Admission) bool {
	for _, a := range any {
		if a.Admit(account, shown) {
			return true
		}
	}
	return false
}

// ReadAdmitKey reads a key file.
func ReadAdmitKey(path string) (AdmitKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return AdmitKey{}, fmt.Errorf("read admission key: %w", err)
	}
	if len(b) != len(AdmitKey{}) {
		return AdmitKey{}, fmt.Errorf("read admission key: %s has %d bytes, not %d", path, len(b), len(AdmitKey{}))
	}
	return AdmitKey(b), nil
}

// MakeAdmitKey reads the key file, and makes it (0600) if there is none.
func MakeAdmitKey(path string, random io.Reader) (key AdmitKey, made bool, err error) {
	if key, err = ReadAdmitKey(path); !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return key, false, fmt.Errorf("make admission key: %w", err)
	}
	if err := writeNew(path, key[:]); err != nil {
		return key, false, fmt.Errorf("make admission key: %w", err)
	}
	return key, true, nil
}

// writeNew writes a file that is whole, on disk, and was not there before.
func writeNew(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // two at once: the second fails
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
