package localstore

import (
	"context"
	"errors"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// Outcome says what Import did with one object.
type Outcome string

// The outcomes of an import.
const (
	Created   Outcome = "created"
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged"
)

// ImportResult is the record that an object became.
type ImportResult struct {
	ID      record.ID
	Outcome Outcome
}

// Import stores objects, in one transaction: all are durable when it returns
// without an error, and none otherwise. Give it some hundreds at a time. An
// object whose UID is known changes that record; importing a file twice
// changes nothing. One that was deleted comes back.
func (s *Store) Import(ctx context.Context, objects []pim.Object) ([]ImportResult, error) {
	return nil, errors.ErrUnsupported
}
