package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
)

// ID names a record inside an account: 16 bytes, either the truncated keyed
// hash of (kind, UID) or random. Its text form is 32 lower-case hex digits.
type ID [16]byte

// VersionID is the truncated keyed hash of a version's canonical encoding.
type VersionID [16]byte

// ChunkID is the truncated keyed hash of a chunk's plaintext.
type ChunkID [16]byte

// ReplicaID names one replica of an account: 8 random bytes.
type ReplicaID [8]byte

// String returns 32 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// String returns 32 lower-case hex digits.
func (id VersionID) String() string { return hex.EncodeToString(id[:]) }

// String returns 32 lower-case hex digits.
func (id ChunkID) String() string { return hex.EncodeToString(id[:]) }

// String returns 16 lower-case hex digits.
func (id ReplicaID) String() string { return hex.EncodeToString(id[:]) }

// Compare orders replica ids by their bytes.
func (id ReplicaID) Compare(o ReplicaID) int { return bytes.Compare(id[:], o[:]) }

// ParseID reads the text form of a record id (32 hex digits, either case).
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("record id has %d characters, want %d hex digits", len(s), 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, errors.New("record id is not hexadecimal")
	}
	return id, nil
}

// Kind is a class of personal data. Kinds the code does not know are carried
// and synced untouched.
type Kind string

// The kinds that this version knows.
const (
	Contacts Kind = "contacts"
	Events   Kind = "events"
	Notes    Kind = "notes"
	Tasks    Kind = "tasks"
	Pictures Kind = "pictures"
)

// Witness is the kind of what devices state about themselves: it syncs like any
// other, and is no data of a person.
const Witness Kind = "witness"

// Kinds lists the known kinds in their order of priority for sync and reseed.
var Kinds = [...]Kind{Contacts, Events, Notes, Tasks, Pictures}

// Priority is the rank of a kind in sync order: 0 first. Unknown kinds share
// the last rank and sort by name.
func (k Kind) Priority() int {
	for i, known := range Kinds {
		if k == known {
			return i
		}
	}
	return len(Kinds)
}

// Valid reports whether k can name a kind: 1 to KindBytesMax bytes of lower
// case ASCII letters, digits, '-' and '_', beginning with a letter.
func (k Kind) Valid() bool {
	if len(k) == 0 || len(k) > KindBytesMax || k[0] < 'a' || k[0] > 'z' {
		return false
	}
	for i := 0; i < len(k); i++ {
		c := k[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// Limits of a version. A write that would pass one is refused with a LimitError
// before anything is stored; a received version that passes one does not open.
const (
	KindBytesMax    = 32
	KeyBytesMax     = 512
	KeysMax         = 4096
	EntriesMax      = 8192       // of one version, siblings included
	VectorMax       = 128        // replicas in one vector
	CounterMax      = 1<<48 - 1  // largest counter of a dot
	EncodedBytesMax = 240 * 1024 // canonical encoding of one version
	ChunksMax       = 4096       // chunk references of one version
)

// LimitError says which limit of a version a write or a received encoding passed.
type LimitError struct {
	What  string // what is limited, for example "vector entries"
	Value int
	Max   int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%d %s, at most %d are possible", e.Value, e.What, e.Max)
}
