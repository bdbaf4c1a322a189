package pim

import (
	"bytes"
	"encoding/hex"
	"io"
	"strings"

	"sidekeep/localstore/record"
)

// Object is one record as an importer found it: a contact, an event with its
// overrides, a note, a task or a picture.
type Object struct {
	Kind record.Kind
	// UID is the identity of the record inside its kind: the UID of the file,
	// or one made from the content where the file has none or used it twice.
	// The same content gives the same UID on every device. See OwnID.
	UID string
	// ByContent says that UID was made from the content, not found in the file.
	// A stored record of that UID began as this very content, so an import
	// leaves it as it is now: edits since then are newer.
	ByContent bool
	// FileUID is the UID of the file where another file of the import has it for
	// something else, and UID was made from the content instead (Run).
	FileUID string
	// Fields in the order of the record's lines. Field.Blob is nil: the store
	// fills it for the keys that Blobs names.
	Fields []record.Field
	// Blobs has the large values, by field key.
	Blobs map[string]BlobSource
	Title string
	Line  int // where the object begins in the file, from 1
}

// BlobSource is a large value that the store has yet to divide into chunks.
type BlobSource struct {
	Size int64
	// Open gives the bytes from the beginning, each time it is called. A source
	// that came from Import reads the reader given there; one from ImportFile
	// opens the file again.
	Open func() (io.ReadCloser, error)
}

// BytesSource returns the source of b, which must not change afterwards.
func BytesSource(b []byte) BlobSource {
	return BlobSource{int64(len(b)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// Outcome says what became of a place in a file that is not well formed.
type Outcome string

const (
	// Repaired: everything that stood there is in the record; the reason says
	// what was made of it.
	Repaired Outcome = "repaired"
	// Refused: what stood there was not imported.
	Refused Outcome = "refused"
)

// Problem names one broken place of a file. The reason never holds the file's text.
type Problem struct {
	File    string
	Line    int // from 1; 0 when it is about the whole file
	Reason  string
	Outcome Outcome
}

// Report says what an import did with one file.
type Report struct {
	Objects  int       // objects handed to emit
	Repaired int       // broken places that were repaired
	Refused  int       // broken places that were not imported
	Problems []Problem // the first ProblemsMax of them, in file order
}

func (r *Report) add(p Problem) {
	if p.Outcome == Refused {
		r.Refused++
	} else {
		r.Repaired++
	}
	if len(r.Problems) < ProblemsMax {
		r.Problems = append(r.Problems, p)
	}
}

// ownUID is the form of UID that Export writes for a record that has none.
const ownUID = "sidekeep-"

// OwnID returns the record id that Export once wrote as the UID of a record
// without one. Every other UID maps to an id by the account's keyed hash.
func OwnID(uid string) (record.ID, bool) {
	s, ok := strings.CutPrefix(uid, ownUID)
	if !ok || len(s) != 32 || strings.ToLower(s) != s {
		return record.ID{}, false
	}
	var id record.ID
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return record.ID{}, false
	}
	return id, true
}
