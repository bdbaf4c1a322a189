package localstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sidekeep/localstore/record"
)

// forkRestored makes a restored snapshot take a new replica id (C3).
const forkRestored = "restored"

// Note is what a snapshot says of itself: where its device synced, and what it
// holds, so that whoever opens it again can prove that it is whole.
type Note struct {
	At         time.Time                `json:"at"`    // by the device's clock
	Cloud      string                   `json:"cloud"` // address; "" if not known
	AllowPlain bool                     `json:"allow_plain,omitempty"`
	Pins       []string                 `json:"pins,omitempty"`      // keys of the cloud's certificate
	Admission  string                   `json:"admission,omitempty"` // the cloud operator's token
	Kinds      map[record.Kind]NoteKind `json:"kinds"`
	Records    int                      `json:"records"`
	Chunks     int                      `json:"chunks"` // pieces of large values that are in it
}

// NoteKind is the digest of the minted versions of a kind.
type NoteKind struct {
	Count  uint64 `json:"count"`
	Digest string `json:"digest"` // 32 hex digits
}

// Snapshot writes a consistent copy of the database as of one moment to path,
// which must not exist, while everything else goes on. Its pages are packed, so
// that nothing is in it that is no longer in the database. It holds no claim:
// whoever opens it takes a new replica id. about says how the cloud is
// reached; the rest is filled in. written (may be nil) is told now and then how
// many bytes are written, and of how many at most.
func (s *Store) Snapshot(ctx context.Context, path string, about Note, written func(done, total int64)) (Note, error) {
	note, err := s.snapshot(ctx, path, about, written)
	if err != nil {
		return Note{}, fmt.Errorf("copy the database: %w", explain(err))
	}
	return note, nil
}

func (s *Store) snapshot(ctx context.Context, path string, about Note, written func(done, total int64)) (Note, error) {
	if err := s.copyInto(ctx, path, written); err != nil {
		return Note{}, err
	}
	db := openPool(dsn(path, false), 1, false)
	defer db.Close()
	c, err := newSession(ctx, db)
	if err != nil {
		return Note{}, err
	}
	defer c.close()
	about.At = s.Now().UTC().Truncate(time.Second)
	if err := c.takeStock(&about); err != nil {
		return Note{}, err
	}
	b, err := json.Marshal(about)
	if err != nil {
		return Note{}, err
	}
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return Note{}, err
	}
	t := &tx{session: c, s: s}
	err = errors.Join(
		t.exec("DELETE FROM token"),
		t.setMeta(metaToken, nil),
		t.setMeta(metaCandidate, nil),
		t.setMeta(metaProvenance, nil),
		t.setMeta(metaFork, forkRestored),
		t.setMeta(metaSnapshot, string(b)))
	if err != nil {
		return Note{}, errors.Join(err, c.exec("ROLLBACK"))
	}
	return about, c.exec("COMMIT")
}

// snapshotLook is the time between two looks at how far a snapshot is.
const snapshotLook = 200 * time.Millisecond

// copyInto runs VACUUM INTO on a connection of its own: it reads one snapshot,
// and neither waits for the writer nor makes it wait.
func (s *Store) copyInto(ctx context.Context, path string, written func(done, total int64)) error {
	db := openPool(dsn(s.path, false), 1, true)
	defer db.Close()
	c, err := newSession(ctx, db)
	if err != nil {
		return err
	}
	defer c.close()
	if written != nil {
		pages, err := c.count("PRAGMA page_count")
		if err != nil {
			return err
		}
		done := make(chan struct{})
		told := make(chan struct{})
		defer func() { close(done); <-told }()
		go func() {
			defer close(told)
			t := time.NewTicker(snapshotLook)
			defer t.Stop()
			for {
				select {
				case <-done:
					return
				case <-t.C:
				}
				if fi, err := os.Stat(path); err == nil {
					written(fi.Size(), int64(pages)*pageBytes)
				}
			}
		}()
	}
	_, err = c.conn.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// takeStock fills in what the file holds.
func (c *session) takeStock(note *Note) error {
	kinds, err := c.kinds()
	if err != nil {
		return err
	}
	note.Kinds = make(map[record.Kind]NoteKind, len(kinds))
	for _, kind := range kinds {
		d, err := c.digest(kind)
		if err != nil {
			return err
		}
		note.Kinds[kind] = NoteKind{d.Count, d.String()}
	}
	if note.Records, err = c.count("SELECT count(*) FROM record"); err != nil {
		return err
	}
	note.Chunks, err = c.count("SELECT count(*) FROM chunk_data")
	return err
}

// ErrForeign says that a file is not a snapshot of a database of this program.
var ErrForeign = errors.New("it is not a back-up of sidekeep")

// Adopt makes the snapshot that stands as FileName in folder dir a database of
// its own, and proves it whole first: everything that Verify checks, and the
// digests and counts of its note. It returns the open store and the note. The
// error is ErrForeign, ErrDamaged or a *NewerFormatError for what is not, or is
// not whole; the folder can then be thrown away.
func Adopt(ctx context.Context, dir string, o Options, progress func(float64)) (*Store, Note, error) {
	path := filepath.Join(dir, FileName)
	note, err := prepareSnapshot(ctx, path)
	if err != nil {
		return nil, Note{}, fmt.Errorf("open the copy: %w", err)
	}
	s, err := Open(ctx, dir, o)
	if err != nil {
		return nil, Note{}, err
	}
	if err := s.prove(ctx, note, progress); err != nil {
		return nil, Note{}, errors.Join(fmt.Errorf("prove the copy: %w", err), s.Close())
	}
	return s, note, nil
}

// prepareSnapshot reads the note and gives the file the journal of a database
// in use.
func prepareSnapshot(ctx context.Context, path string) (Note, error) {
	var note Note
	if err := os.Chmod(path, fileMode(filepath.Dir(path))); err != nil {
		return note, err
	}
	db := openPool(dsn(path, false), 1, false)
	defer db.Close()
	c, err := newSession(ctx, db)
	if err != nil {
		return note, explain(err)
	}
	defer c.close()
	id, err := c.count("PRAGMA application_id")
	if err != nil {
		return note, explain(err)
	}
	if id != applicationID {
		return note, ErrForeign
	}
	have, err := formatOf(c, path)
	if err != nil {
		return note, explain(err)
	}
	if have > formatVersion {
		return note, &NewerFormatError{File: path, Have: have, Know: formatVersion}
	}
	text, err := c.metaText(metaSnapshot)
	if err != nil {
		return note, explain(err)
	}
	if text == "" {
		return note, fmt.Errorf("it has no note of what it holds: %w", ErrForeign)
	}
	if err := json.Unmarshal([]byte(text), &note); err != nil {
		return note, fmt.Errorf("its note: %w", ErrDamaged)
	}
	var mode string
	if _, err := c.one([]any{&mode}, "PRAGMA journal_mode = WAL"); err != nil {
		return note, explain(err)
	}
	t := &tx{session: c}
	return note, explain(errors.Join(t.setMeta(metaSnapshot, nil), t.setMeta(metaFork, forkRestored)))
}

// prove checks the store as Verify does, and against the note.
func (s *Store) prove(ctx context.Context, note Note, progress func(float64)) error {
	report, err := s.Verify(ctx, progress)
	if err != nil {
		return err
	}
	if n := len(report.Damage); n > 0 {
		return fmt.Errorf("%d places are damaged, the first: %s: %w", n, report.Damage[0], ErrDamaged)
	}
	if report.Records != note.Records || report.Chunks != note.Chunks {
		return fmt.Errorf("it holds %d records and %d pieces, its note says %d and %d: %w", report.Records, report.Chunks, note.Records, note.Chunks, ErrDamaged)
	}
	for _, kind := range slices.Sorted(maps.Keys(note.Kinds)) {
		d, err := s.Digest(ctx, kind)
		if err != nil {
			return err
		}
		if want := note.Kinds[kind]; d.Count != want.Count || d.String() != want.Digest {
			return fmt.Errorf("%s: its digest is not the one of its note: %w", kind, ErrDamaged)
		}
	}
	return nil
}
