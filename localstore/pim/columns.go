package pim

import "sidekeep/localstore/record"

// Columns are what a store keeps beside a record to list, sort and search it.
type Columns struct {
	Title   string // as shown in lists; "" only when the record has no text at all
	SortKey string // sorts titles without regard to case and accents; family name first for contacts
	// Start, End and Due are UTC as 2006-01-02T15:04:05Z, or 2006-01-02 for
	// whole days; "" when absent or not understood. They are of the main
	// component (else the first override), not of recurrences.
	Start, End, Due string
	AllDay          bool
	Digits          []string // phone numbers: digits, with a leading + where it was written
	Text            string   // all that a person would search for
}

// ColumnsOf computes the columns of a record.
func ColumnsOf(kind record.Kind, fields []record.Field) Columns { return Columns{} }
