package backup

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"filippo.io/age"

	"sidekeep/localstore"
)

// Scrypt work factors, as powers of two. A passphrase that is a derived key of
// 128 bits needs no stretching; 12 takes 4 MiB, the 18 of stock age 256 MiB.
const (
	WorkFactor    = 10
	WorkFactorMax = 12
)

// headerBytesMax bounds what is read of a header before it is understood. One
// for a single passphrase has about 160 bytes.
const headerBytesMax = 1024

// What is wrong with a file. All of them come before anything is touched; so do
// localstore.ErrForeign and localstore.ErrDamaged.
var (
	ErrKey  = errors.New("it was made with other words")
	ErrWork = errors.New("opening it would take too much memory")
)

// ErrUnproven says that what Create wrote could not be read back.
var ErrUnproven = errors.New("what was written can not be read back as it was")

// header is the beginning of an age file for one passphrase (C2SP age,
// "Header" and "The scrypt recipient type").
var header = regexp.MustCompile(`^age-encryption\.org/v1\n-> scrypt [A-Za-z0-9+/]{22} ([1-9][0-9]?)\n[A-Za-z0-9+/]{43}\n--- [A-Za-z0-9+/]{43}\n`)

// encrypt writes all of plain as an age file.
func encrypt(w io.Writer, plain io.Reader, passphrase string) error {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	r.SetWorkFactor(WorkFactor)
	sealed, err := age.Encrypt(w, r)
	if err != nil {
		return err
	}
	if _, err := io.Copy(sealed, plain); err != nil {
		return err
	}
	return sealed.Close()
}

// decrypt writes the content of an age file to w.
func decrypt(w io.Writer, file io.Reader, passphrase string) error {
	in := bufio.NewReaderSize(file, 64<<10)
	if err := checkHeader(in); err != nil {
		return err
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return err
	}
	id.SetMaxWorkFactor(WorkFactorMax)
	plain, err := age.Decrypt(in, id)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return ErrKey
	}
	if err == nil {
		_, err = io.Copy(w, tagged{plain})
	}
	var read *readError
	if errors.As(err, &read) || err != nil && plain == nil {
		return fmt.Errorf("%w: %w", localstore.ErrDamaged, err)
	}
	return err
}

// checkHeader refuses what is not a back-up, from its first bytes alone.
func checkHeader(in *bufio.Reader) error {
	b, err := in.Peek(headerBytesMax)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	m := header.FindSubmatch(b)
	if m == nil {
		if bytes.HasPrefix(b, []byte("age-encryption.org/v1\n-> scrypt ")) {
			return fmt.Errorf("its header is cut short or changed: %w", localstore.ErrDamaged)
		}
		return localstore.ErrForeign
	}
	if n, _ := strconv.Atoi(string(m[1])); n > WorkFactorMax {
		return fmt.Errorf("its scrypt work factor is %d, at most %d is accepted: %w", n, WorkFactorMax, ErrWork)
	}
	return nil
}

// tagged marks errors of reading, so that they are told from those of writing.
type tagged struct{ r io.Reader }

type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// Read satisfies io.Reader.
func (t tagged) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

// following reads, tells how far it is, and ends with its context.
type following struct {
	ctx  context.Context
	r    io.Reader
	done int64
	tell func(done int64)
}

// Read satisfies io.Reader.
func (f *following) Read(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := f.r.Read(p)
	f.done += int64(n)
	f.tell(f.done)
	return n, err
}
