package pim

import "sidekeep/localstore/record"

// Decode gives the document form of a content line: the value as a person means
// it, and the line's head (everything before the value's colon: group, name,
// parameters) where that is not just the property name of key. The value is a
// string, or a []any of strings for structured and list values (N, ADR, ORG,
// CATEGORIES...). It is always valid UTF-8.
func Decode(kind record.Kind, key string, line []byte) (value any, head string) {
	return string(line), ""
}

// Encode makes a content line from a document value. For lines that this
// package would have written itself, Encode(Decode(line)) is the line; keep the
// raw line where it is not. An error means the value or head can not stand in
// a content line.
func Encode(kind record.Kind, key string, value any, head string) ([]byte, error) {
	return nil, nil
}
