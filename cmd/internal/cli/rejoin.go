package cli

import (
	"crypto/rand"
	"errors"
	"io"
	"path/filepath"

	"sidekeep/agent"
	"sidekeep/syncproto/seal"
)

// rejoin lets a home in again whose device was revoked: the words certify a new
// key, twice, so that no other device can end that (SPEC.md section "Statements").
// The data, and the cloud's address, stay as they are.
func (a *app) rejoin(dir, wordsFile string) error {
	refuse := func(cause, hint string) error {
		return &Error{Op: "join", Object: dir, Cause: errors.New(cause), Hint: hint, Code: ExitRefused}
	}
	l, err := takeLock(dir, "join")
	if err != nil {
		return &Error{Op: "join", Object: dir, Cause: err, Code: ExitRefused, Hint: "wait until it has ended"}
	}
	defer l.release()
	h, err := a.openHome()
	if err != nil {
		return err
	}
	known, err := agent.OpenDevices(dir, h.identity.Account)
	if err != nil {
		return explain("join", err)
	}
	if known.Ended(h.identity) == nil {
		return refuse("this home has an account already", "name another folder with --home")
	}
	secret, err := a.readWords(wordsFile)
	if err != nil {
		return err
	}
	if secret.Account() != h.identity.Account {
		return refuse("these are the words of another account than this home's", "name another folder with --home")
	}
	if err := a.awaitRandomness(); err != nil {
		return err
	}
	id, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		return err
	}
	serial, err := randomSerial()
	if err != nil {
		return err
	}
	again := seal.SignCert(secret.Root(), id.Account, id.Device(), serial)
	// First what is said about the key, then the key: cut short in between, the
	// home is as it was, and knows of a key that nobody has.
	if _, err := known.Add(append(seal.StatementsOf(id.Chain), seal.Statement{Cert: &again})...); err != nil {
		return explain("join", err)
	}
	err = writeDurably(filepath.Join(dir, identityFile), func(w io.Writer) error {
		_, err := w.Write(id.Marshal())
		return err
	})
	if err != nil {
		return &Error{Op: "join", Object: dir, Cause: err, Hint: "run join again"}
	}
	return a.printJoined(dir, id)
}
