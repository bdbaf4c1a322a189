package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sidekeep/localstore"
)

// Options of both ways.
type Options struct {
	Passphrase string // of the account; see seal.Keys.BackupPassphrase
	// Work is a folder for what is needed meanwhile: a copy of the database, not
	// encrypted. It must be on the device itself and private to the user. What
	// is in it is removed, before and after.
	Work  string
	Store localstore.Options // Hasher is required; see localstore.Open
	// Progress (may be nil) is told what is being done and which part of all is
	// done, 0 to 1. It may be called from another goroutine, one at a time.
	Progress func(what string, part float64)
}

func (o *Options) progress(what string, from, to float64) func(float64) {
	return func(part float64) {
		if o.Progress != nil {
			o.Progress(what, from+min(max(part, 0), 1)*(to-from))
		}
	}
}

// clear empties the work folder.
func (o *Options) clear() error {
	if err := os.RemoveAll(o.Work); err != nil {
		return err
	}
	return os.MkdirAll(o.Work, 0o700)
}

// Create writes a back-up of s, as of one moment, into f, while the store is in
// use. It returns when f is on the storage and was proven: decrypted again,
// every id, hash and digest recomputed and compared with those of the copy. f
// must be empty and open for reading and writing.
func Create(ctx context.Context, s *localstore.Store, f *os.File, about localstore.Note, o Options) (note localstore.Note, err error) {
	if err := o.clear(); err != nil {
		return note, err
	}
	defer func() {
		if e := os.RemoveAll(o.Work); err == nil {
			err = e
		}
	}()
	copied := filepath.Join(o.Work, "copy.db")
	tell := o.progress("copying", 0, 0.3)
	note, err = s.Snapshot(ctx, copied, about, func(done, total int64) { tell(float64(done) / float64(max(total, 1))) })
	if err != nil {
		return note, err
	}
	if err := o.encryptFile(ctx, f, copied); err != nil {
		return note, fmt.Errorf("encrypt the copy: %w", err)
	}
	if err := os.Remove(copied); err != nil {
		return note, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return note, err
	}
	if err := o.decryptFile(ctx, f, 0.5); err != nil {
		return note, fmt.Errorf("%w: %v", ErrUnproven, err)
	}
	proven, again, err := o.adopt(ctx, 0.5)
	if err != nil {
		return note, fmt.Errorf("open what was written: %w", err)
	}
	if err := proven.Close(); err != nil {
		return note, err
	}
	if !again.At.Equal(note.At) || again.Records != note.Records {
		return note, fmt.Errorf("%w: it is another back-up", ErrUnproven)
	}
	return note, nil
}

func (o *Options) encryptFile(ctx context.Context, f *os.File, path string) error {
	plain, err := os.Open(path)
	if err != nil {
		return err
	}
	defer plain.Close()
	fi, err := plain.Stat()
	if err != nil {
		return err
	}
	tell := o.progress("encrypting", 0.3, 0.5)
	r := &following{ctx: ctx, r: plain, tell: func(n int64) { tell(float64(n) / float64(fi.Size())) }}
	if err := encrypt(f, r, o.Passphrase); err != nil {
		return err
	}
	return f.Sync()
}

// Open makes a database of the back-up in f, in the work folder, and proves it
// whole before it returns. The caller closes the store, and moves or removes
// its folder. The error wraps ErrKey, ErrWork, localstore.ErrForeign,
// localstore.ErrDamaged or a *localstore.NewerFormatError for a file that is
// refused; then the work folder is gone.
func Open(ctx context.Context, f *os.File, o Options) (*localstore.Store, localstore.Note, error) {
	if err := o.clear(); err != nil {
		return nil, localstore.Note{}, err
	}
	err := o.decryptFile(ctx, f, 0)
	if err == nil {
		var s *localstore.Store
		var note localstore.Note
		if s, note, err = o.adopt(ctx, 0); err == nil {
			return s, note, nil
		}
	}
	return nil, localstore.Note{}, errors.Join(err, os.RemoveAll(o.Work))
}

// decryptFile puts the database inside f into the work folder. from is the part
// of all that is done before.
func (o *Options) decryptFile(ctx context.Context, f *os.File, from float64) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if err := os.Mkdir(o.Data(), 0o700); err != nil {
		return err
	}
	tell := o.progress("decrypting", from, middle(from))
	r := &following{ctx: ctx, r: f, tell: func(n int64) { tell(float64(n) / float64(max(fi.Size(), 1))) }}
	out, err := os.OpenFile(filepath.Join(o.Data(), localstore.FileName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = decrypt(out, r, o.Passphrase)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func middle(from float64) float64 { return from + (1-from)*0.4 }

func (o *Options) adopt(ctx context.Context, from float64) (*localstore.Store, localstore.Note, error) {
	return localstore.Adopt(ctx, o.Data(), o.Store, o.progress("checking", middle(from), 1))
}

// Data is the folder of the database that Open made.
func (o *Options) Data() string { return filepath.Join(o.Work, "data") }
