package localstore

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"sidekeep/localstore/record"
)

// FileName is the name of the database in its folder.
const FileName = "sidekeep.db"

// ChunkBytes is the size of every chunk of a large value but the last.
const ChunkBytes = 65536

// Defaults of Options.
const (
	TrashDaysDefault    = 30
	BrakeMinDefault     = 20 // deletions that are never held
	BrakePercentDefault = 10 // of the live records of a kind
)

// Hasher gives the keyed ids of an account. *seal.Keys satisfies it.
type Hasher interface {
	RecordID(kind record.Kind, uid string) record.ID
	VersionID(kind record.Kind, id record.ID, encoded []byte) record.VersionID
	ChunkID(plain []byte) record.ChunkID
}

// Options are what a Store needs from outside. Hasher is required; every other
// zero value means the default.
type Options struct {
	Hasher       Hasher
	Now          func() time.Time // time.Now
	Rand         io.Reader        // crypto/rand
	Log          *slog.Logger     // discards
	TrashDays    int              // days a deleted record stays, TrashDaysDefault
	BrakeMin     int              // BrakeMinDefault
	BrakePercent int              // BrakePercentDefault
	// Machine identifies the hardware and installation; when it differs from
	// the one the file was used on, the device forks (rule C3). May be empty.
	Machine string
}

// Store is an open device database.
type Store struct{}

// Open opens the database in folder dir, creating folder and file when absent,
// repairs what other programs did to its schema, and reports that in
// Status.Problems. It returns a *NewerFormatError for a file of a newer
// sidekeep. ctx bounds the opening only.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	return nil, errors.ErrUnsupported
}

// Close stops all background work and closes the file.
func (s *Store) Close() error { return nil }
