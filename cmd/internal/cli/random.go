package cli

import (
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sidekeep/syncproto/seal"
)

// newAccount draws the secret of a new account, and the first identity in it.
func (a *app) newAccount() (secret seal.Secret, id *seal.Identity, err error) {
	if err := a.awaitRandomness(); err != nil {
		return secret, nil, err
	}
	if secret, err = seal.NewSecret(rand.Reader); err != nil {
		return secret, nil, err
	}
	id, err = seal.NewIdentity(secret, rand.Reader)
	return secret, id, err
}

// awaitRandomness returns when the kernel's random number generator is ready. A
// handset that boots for the first time can need minutes for that; keys drawn
// before would be guessable.
func (a *app) awaitRandomness() error {
	var b [1]byte
	_, err := unix.Getrandom(b[:], unix.GRND_NONBLOCK)
	if errors.Is(err, unix.EAGAIN) {
		fmt.Fprintln(a.stderr, "Waiting until the system has enough randomness for keys; typing or moving helps.")
		for {
			if _, err = unix.Getrandom(b[:], 0); !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	if err != nil {
		return fmt.Errorf("ask the system for randomness: %w", err)
	}
	return nil
}
