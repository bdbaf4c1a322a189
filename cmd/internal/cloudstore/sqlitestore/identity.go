package sqlitestore

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"sidekeep/syncproto"
)

// Storage that was put back from a copy must not look like an honest past: its
// sequences would be issued twice and its claims would hold for clones. So a
// store draws a new epoch and forgets all claims when it wakes as another file
// (SPEC.md section "Claims").
//
// The witness is a small file beside the database, replaced at every start. It
// and the database hold the same random generation, and the database holds
// device, inode and change time of both files as they were left. A database put
// back over the old one holds an older generation than the witness; both put
// back have other inodes, or, when written over in place, another change time of
// the witness. A log that is lost after a kill shows by a mark that a running
// server leaves in the file itself. Whole images of a disk can not be told.

const witnessName = "cloud.generation"

const generationBytes = 16

// wake compares the storage with how it was left and returns its epoch.
func (s *Store) wake(dir string) (syncproto.Epoch, error) {
	witness := filepath.Join(dir, witnessName)
	same, err := s.sameFiles(witness)
	if err != nil {
		return syncproto.Epoch{}, err
	}
	var epoch syncproto.Epoch
	known, err := s.meta("epoch")
	if err != nil {
		return epoch, err
	}
	if same && len(known) == len(epoch) {
		copy(epoch[:], known)
	} else {
		if _, err := io.ReadFull(s.opt.Rand, epoch[:]); err != nil {
			return epoch, err
		}
		if known != nil {
			s.opt.Log.Warn("the storage woke as another file: new epoch, claims forgotten")
		}
		err := s.writer.transact(func(t *txn) error {
			if _, err := t.exec("DELETE FROM replica"); err != nil {
				return err
			}
			return t.setMeta("epoch", epoch[:])
		})
		if err != nil {
			return epoch, err
		}
	}
	return epoch, s.renewWitness(dir, witness)
}

// sameFiles reports whether database and witness are the files that were left.
func (s *Store) sameFiles(witness string) (bool, error) {
	found, err := os.ReadFile(witness)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	generation, err := s.meta("generation")
	if err != nil {
		return false, err
	}
	next, err := s.meta("generation_next")
	if err != nil {
		return false, err
	}
	left, err := s.meta("files")
	if err != nil {
		return false, err
	}
	running, err := s.meta("running")
	if err != nil {
		return false, err
	}
	if bytes.Equal(running, []byte{1}) && !s.hadLog {
		// A server that was killed leaves its log, and what it acknowledged last is
		// there only.
		s.opt.Log.Warn("the write-ahead log is lost")
		return false, nil
	}
	if bytes.Equal(found, generation) {
		files, err := s.files(witness)
		return bytes.Equal(files, left), err
	}
	// Stopped between replacing the witness and noting it: the database's file
	// must still be the same.
	if len(found) == generationBytes && bytes.Equal(found, next) {
		files, err := s.files(witness)
		return len(left) == len(files) && bytes.Equal(files[:16], left[:16]), err
	}
	return false, nil
}

// renewWitness replaces the witness by one of a new generation.
func (s *Store) renewWitness(dir, witness string) error {
	next := make([]byte, generationBytes)
	if _, err := io.ReadFull(s.opt.Rand, next); err != nil {
		return err
	}
	if err := s.setMeta("generation_next", next); err != nil {
		return err
	}
	if err := replaceFile(dir, witness, next); err != nil {
		return err
	}
	files, err := s.files(witness)
	if err != nil {
		return err
	}
	err = s.writer.transact(func(t *txn) error {
		if err := t.setMeta("generation", next); err != nil {
			return err
		}
		if err := t.setMeta("running", []byte{1}); err != nil {
			return err
		}
		return t.setMeta("files", files)
	})
	if err != nil {
		return err
	}
	// Into the file itself, where it shows that a log must be there.
	var busy, frames, done int
	return s.writer.row("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done)
}

// files describes both files: device and inode of the database, then device,
// inode and change time of the witness.
func (s *Store) files(witness string) ([]byte, error) {
	var b []byte
	for _, path := range []string{s.path, witness} {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return nil, fmt.Errorf("stat: %w", err)
		}
		b = binary.BigEndian.AppendUint64(b, uint64(st.Dev))
		b = binary.BigEndian.AppendUint64(b, uint64(st.Ino))
		if path == witness {
			b = binary.BigEndian.AppendUint64(b, uint64(st.Ctim.Nano()))
		}
	}
	return b, nil
}

// replaceFile puts a file with this content in place of path, durably.
func replaceFile(dir, path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if err := f.Sync(); err != nil { // the change time that the rename set
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (s *Store) meta(key string) ([]byte, error) {
	var v []byte
	err := s.writer.row("SELECT value FROM meta WHERE key = ?", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return v, err
}

func (s *Store) setMeta(key string, value []byte) error {
	return s.writer.transact(func(t *txn) error { return t.setMeta(key, value) })
}

func (t *txn) setMeta(key string, value []byte) error {
	_, err := t.exec("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return err
}
