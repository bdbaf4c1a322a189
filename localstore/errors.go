package localstore

import (
	"errors"
	"fmt"
)

// What callers branch on, with errors.Is.
var (
	ErrNotFound   = errors.New("no such record")
	ErrPurged     = errors.New("the record was removed for good")
	ErrNotClaimed = errors.New("no session with an accepted claim") // minting and applying need one
	ErrForkLimit  = errors.New("this device's identity was refused too often today")
	ErrDamaged    = errors.New("the database is damaged")
	ErrFull       = errors.New("no space left for the database")
	ErrReadOnly   = errors.New("the database can not be written")
	ErrBusy       = errors.New("another program keeps the database locked")
	ErrChunk      = errors.New("a piece of a picture is missing or damaged")
	ErrVector     = errors.New("a version claims writes that were never received")
)

// NewerFormatError says that the file was written by a newer sidekeep.
type NewerFormatError struct {
	File string
	Have int // format of the file
	Know int // newest format this program reads
}

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("the database has format %d, this program reads up to %d: a newer sidekeep wrote it", e.Have, e.Know)
}
