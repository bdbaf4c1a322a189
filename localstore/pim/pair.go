package pim

import "sidekeep/localstore/record"

// Pair gives the lines of an edited record the keys that they had: fresh is
// the whole record as it came back (an import, a DAV PUT), old what is stored.
// Lines are paired by exact line, then decoded value, then name and type, then
// position; the rest are new. The result has fresh's lines and order. A line
// that is exactly its old one keeps the old field, blob included.
func Pair(kind record.Kind, old, fresh []record.Field) []record.Field { return fresh }

// Merge gives the fields of a stored record after an import brought fresh for
// it: Pair, but an event that comes as overrides only (no main component)
// changes just those and keeps the stored main component and other overrides.
func Merge(kind record.Kind, old, fresh []record.Field) []record.Field { return fresh }
