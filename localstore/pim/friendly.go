package pim

import (
	"errors"

	"sidekeep/localstore/record"
)

// ErrKey is wrapped by errors about a key or value that a kind can not have.
var ErrKey = errors.New("not a field of this kind")

// NewFields makes a record from friendly keys (name, phone, email, org,
// birthday, note, title, body, start, end, place, due, done, priority...) and
// raw ones. Times are given as 2026-11-22, 2026-11-22T09:30 (wall time) or
// 2026-11-22T09:30Z. Several values of a repeatable key are separated by new lines.
func NewFields(kind record.Kind, values map[string]string) ([]record.Field, error) {
	return nil, ErrKey
}

// Apply sets one friendly or raw key of a record and returns the new fields;
// an empty value removes it. A repeatable friendly key changes the first such
// field; phone+ (any key with a plus) adds another. fields is not changed.
func Apply(kind record.Kind, fields []record.Field, key, value string) ([]record.Field, error) {
	return nil, ErrKey
}
