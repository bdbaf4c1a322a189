package pim

import "sidekeep/localstore/record"

// Unit names the merge unit of a key: keys with one unit are decided together
// when two devices changed them. The times of one component (DTSTART, DTEND or
// DURATION or DUE, RRULE, RDATE, EXDATE) are one unit; every other key is its own.
func Unit(kind record.Kind, key string) string { return key }

// NeverConflicts reports whether concurrent values of key are never shown to a
// person: bookkeeping such as REV, DTSTAMP or SEQUENCE, of which any value does.
func NeverConflicts(key string) bool { return false }
