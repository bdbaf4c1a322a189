package pim

import (
	"errors"
	"io"
	"iter"
	"time"

	"sidekeep/localstore/record"
)

// Item is one record to export.
type Item struct {
	ID     record.ID
	Fields []record.Field
}

// ExportOptions are what an export needs from its caller.
type ExportOptions struct {
	// OpenBlob opens a large value. Without it fields with a blob are an error.
	OpenBlob func(*record.Blob) (io.ReadCloser, error)
	// RecordID is the account's mapping of UIDs. With it, a record that has no
	// UID, and that a later import would not recognise by its content, gets the
	// UID that leads back to Item.ID. Without it, every record without a UID does.
	RecordID func(kind record.Kind, uid string) record.ID
	// Stamp is the DTSTAMP of entries that were made here and have none.
	Stamp time.Time
}

// Export writes records of one kind as one file: contacts as vCards; events,
// tasks and notes as iCalendar, with each calendar head and time zone once.
// Records whose calendar heads differ stand in calendars of their own.
func Export(w io.Writer, kind record.Kind, items iter.Seq2[Item, error], o ExportOptions) error {
	return errors.New("not built yet")
}

// FileName returns the name that a record has in an exported folder. It comes
// from the record's id and type, never from its text.
func FileName(kind record.Kind, item Item) string { return item.ID.String() }

// ExportFile writes one record as the file that FileName names: a picture's
// bytes as they came, a note as Markdown, everything else as Export does.
func ExportFile(w io.Writer, kind record.Kind, item Item, o ExportOptions) error {
	return errors.New("not built yet")
}
