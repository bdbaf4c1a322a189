package sqlitestore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// A back-up is a folder: the database as of one moment, and a manifest with the
// SHA-256 of the file and the digest of every kind of every account.

// ManifestName is the manifest's name in a back-up.
const ManifestName = "backup.json"

const manifestFormat = 1

// ErrBackup is wrapped by errors that say that a back-up is not whole.
var ErrBackup = errors.New("the back-up is damaged or not one")

// ErrNotEmpty is wrapped by errors that say that a target holds something.
var ErrNotEmpty = errors.New("the folder is not empty")

// Manifest describes a back-up.
type Manifest struct {
	Format   int               `json:"format"`
	Created  time.Time         `json:"created"`
	Epoch    string            `json:"epoch"` // of the storage it was made of
	Bytes    int64             `json:"bytes"`
	SHA256   string            `json:"sha256"`
	Versions int               `json:"versions"`
	Chunks   int               `json:"chunks"`
	Accounts []ManifestAccount `json:"accounts"`
}

// ManifestAccount is one account's part of a Manifest.
type ManifestAccount struct {
	Account string         `json:"account"`
	Head    uint64         `json:"head"`
	Kinds   []ManifestKind `json:"kinds"`
	Chunks  ManifestKind   `json:"chunks"` // count and sum of the ids
}

// ManifestKind is count and digest of a set.
type ManifestKind struct {
	Kind   string `json:"kind,omitempty"`
	Count  uint64 `json:"count"`
	Digest string `json:"digest"`
}

// Backup writes the store in dir, which a server may have open, into the new
// folder to, as of one moment. It says done only after it opened what it wrote,
// verified all of it, and compared its digests with those that the store keeps.
func Backup(ctx context.Context, dir, to string) (Manifest, error) {
	if err := emptyTarget(to); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	work := to + ".new"
	if err := os.RemoveAll(work); err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	m, err := backupInto(ctx, dir, work)
	if err == nil {
		os.Remove(to) // if it is there, it is empty
		err = os.Rename(work, to)
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		os.RemoveAll(work)
		return Manifest{}, fmt.Errorf("backup: %w", coded(err))
	}
	return m, nil
}

func backupInto(ctx context.Context, dir, work string) (Manifest, error) {
	source, err := Open(ctx, dir, Options{ReadOnly: true})
	if err != nil {
		return Manifest{}, err
	}
	defer source.Close()
	if err := os.MkdirAll(work, 0o700); err != nil {
		return Manifest{}, err
	}
	file := filepath.Join(work, FileName)
	// One statement, one snapshot; a server goes on meanwhile.
	db, err := sql.Open("sqlite", dsn(source.path, "mode=ro"))
	if err != nil {
		return Manifest{}, err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", file)
	if err = errors.Join(err, db.Close()); err != nil {
		return Manifest{}, err
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return Manifest{}, err
	}
	if err := syncFile(file); err != nil {
		return Manifest{}, err
	}
	m, err := describe(ctx, work)
	if err != nil {
		return m, err
	}
	if err := source.compare(ctx, m); err != nil {
		return m, err
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	return m, replaceFile(work, filepath.Join(work, ManifestName), append(b, '\n'))
}

// describe verifies the database in a folder that nobody writes to, and counts
// all of it from the rows.
func describe(ctx context.Context, dir string) (Manifest, error) {
	m := Manifest{Format: manifestFormat, Created: time.Now().UTC().Truncate(time.Second), Accounts: []ManifestAccount{}}
	var err error
	if m.Bytes, m.SHA256, err = hashFile(filepath.Join(dir, FileName)); err != nil {
		return m, err
	}
	s, err := Open(ctx, dir, Options{ReadOnly: true, still: true})
	if err != nil {
		return m, err
	}
	defer s.Close()
	m.Epoch = hex.EncodeToString(s.epoch[:])
	var first string
	v, err := s.Verify(ctx, func(p cloudstore.Problem) {
		if first == "" {
			first = p.What
		}
	})
	if err != nil {
		return m, err
	}
	if v.Problems > 0 {
		return m, fmt.Errorf("%w: %d problems, the first: %s", ErrDamaged, v.Problems, first)
	}
	m.Versions, m.Chunks = v.Versions, v.Chunks
	accounts, err := s.Accounts(ctx)
	if err != nil {
		return m, err
	}
	for _, a := range accounts {
		err := s.read(ctx, func(q snapshot) error {
			one, err := describeAccount(q, a)
			m.Accounts = append(m.Accounts, one)
			return err
		})
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

func describeAccount(q snapshot, a seal.Account) (ManifestAccount, error) {
	m := ManifestAccount{Account: hex.EncodeToString(a[:]), Kinds: []ManifestKind{}}
	head, err := accountHead(q, a)
	if err != nil {
		return m, err
	}
	m.Head = uint64(head)
	kinds, err := kindsOf(q, a)
	if err != nil {
		return m, err
	}
	for _, k := range kinds {
		d, _, err := countRows(q, a, k)
		if err != nil {
			return m, err
		}
		m.Kinds = append(m.Kinds, ManifestKind{string(k), d.Count, d.String()})
	}
	rows, err := q.rows("SELECT chunk FROM chunk WHERE account = ?", a[:])
	if err != nil {
		return m, err
	}
	defer rows.Close()
	var d rangeset.Digest
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return m, err
		}
		d.Add(record.VersionID(padded(id)))
	}
	m.Chunks = ManifestKind{Count: d.Count, Digest: d.String()}
	return m, rows.Err()
}

// compare holds a back-up against the store that it was made of. An account that
// did not move since must have equal digests there; one that moved is ahead.
func (s *Store) compare(ctx context.Context, m Manifest) error {
	for _, was := range m.Accounts {
		a, err := seal.ParseAccount(was.Account)
		if err != nil {
			return err
		}
		err = s.read(ctx, func(q snapshot) error {
			now, err := describeAccount(q, a)
			if err != nil {
				return err
			}
			if now.Head < was.Head {
				return fmt.Errorf("%w: an account is ahead of its source", ErrBackup)
			}
			if now.Head == was.Head && !sameKinds(now.Kinds, was.Kinds) {
				return fmt.Errorf("%w: digests differ from the source's", ErrBackup)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// describeOlder describes a back-up of an older format: a copy of it, brought up to
// date as a server's start does.
func describeOlder(ctx context.Context, from string) (Manifest, error) {
	dir, err := os.MkdirTemp("", "sidekeep-cloud-backup-*")
	if err != nil {
		return Manifest{}, err
	}
	defer os.RemoveAll(dir)
	if err := copyFile(filepath.Join(dir, FileName), filepath.Join(from, FileName)); err != nil {
		return Manifest{}, err
	}
	s, err := Open(ctx, dir, Options{Rand: rand.Reader})
	if err != nil {
		return Manifest{}, err
	}
	if err := s.Close(); err != nil {
		return Manifest{}, err
	}
	return describe(ctx, dir)
}

func sameKinds(a, b []ManifestKind) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// VerifyBackup opens a back-up and compares it with its manifest: the hash of the
// file, every row, every digest.
func VerifyBackup(ctx context.Context, from string) (Manifest, error) {
	var m Manifest
	b, err := os.ReadFile(filepath.Join(from, ManifestName))
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrBackup, err)
	}
	if m.Format > manifestFormat {
		return m, fmt.Errorf("%w: back-up format %d", ErrFormat, m.Format)
	}
	size, sum, err := hashFile(filepath.Join(from, FileName))
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if size != m.Bytes || sum != m.SHA256 {
		return m, fmt.Errorf("%w: the file is not the one that was written", ErrBackup)
	}
	got, err := describe(ctx, from)
	if errors.Is(err, ErrOlder) {
		got, err = describeOlder(ctx, from)
	}
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if len(got.Accounts) != len(m.Accounts) {
		return m, fmt.Errorf("%w: other accounts than the manifest's", ErrBackup)
	}
	for i := range got.Accounts {
		g, w := got.Accounts[i], m.Accounts[i]
		if g.Account != w.Account || g.Head != w.Head || g.Chunks != w.Chunks || !sameKinds(g.Kinds, w.Kinds) {
			return m, fmt.Errorf("%w: digests differ from the manifest's", ErrBackup)
		}
	}
	return m, nil
}

// Restore puts a back-up into the new folder dir, from which a server can start:
// in another epoch, with no claims. A back-up that is not whole is refused before
// anything is written.
func Restore(ctx context.Context, from, dir string) (Manifest, error) {
	m, err := VerifyBackup(ctx, from)
	if err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	if err := emptyTarget(dir); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	work := dir + ".new"
	if err := os.RemoveAll(work); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	err = os.MkdirAll(work, 0o700)
	if err == nil {
		err = copyFile(filepath.Join(work, FileName), filepath.Join(from, FileName))
	}
	if err == nil {
		var sum string
		if _, sum, err = hashFile(filepath.Join(work, FileName)); err == nil && sum != m.SHA256 {
			err = fmt.Errorf("%w: what was written reads back otherwise", ErrBackup)
		}
	}
	if err == nil {
		os.Remove(dir)
		err = os.Rename(work, dir)
	}
	if err == nil {
		err = syncDir(filepath.Dir(dir))
	}
	if err != nil {
		os.RemoveAll(work)
		return m, fmt.Errorf("restore: %w", coded(err))
	}
	return m, nil
}

func emptyTarget(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 {
		err = ErrNotEmpty
	}
	return err
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func hashFile(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}
