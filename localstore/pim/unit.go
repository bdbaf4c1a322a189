package pim

import "sidekeep/localstore/record"

// times are the properties of a component that mean something only together.
var times = nameSet(`DTSTART DTEND DUE DURATION RRULE EXRULE RDATE EXDATE`)

// volatile are the properties that programs rewrite at will.
var volatile = nameSet(`REV DTSTAMP LAST-MODIFIED SEQUENCE PRODID`)

// Unit names the merge unit of a key: keys with one unit are decided together
// when two devices changed them. The times of one component (DTSTART, DTEND or
// DURATION or DUE, RRULE, RDATE, EXDATE) are one unit, named by its DTSTART;
// every other key is its own.
func Unit(kind record.Kind, key string) string {
	if kind == record.Contacts || !times[leafName(key)] {
		return key
	}
	path, _ := splitKey(key)
	return path + "DTSTART"
}

// NeverConflicts reports whether concurrent values of key are never shown to a
// person: bookkeeping such as REV, DTSTAMP or SEQUENCE, of which any value does.
func NeverConflicts(key string) bool { return volatile[leafName(key)] }
