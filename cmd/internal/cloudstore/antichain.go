package cloudstore

import (
	"slices"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// Entry is one version of a record as the rule of domination sees it.
type Entry struct {
	Version record.VersionID
	Vector  record.Vector
}

// Verdict says what becomes of a pushed version.
type Verdict int

// The verdicts.
const (
	Keep      Verdict = iota // it enters the antichain
	Duplicate                // it is in the antichain already
	Dominated                // a version in the antichain has seen all it has, and more
	Crowded                  // the antichain is full
)

// Judge decides on a version that was pushed for a record whose antichain is
// held, and names those of held that it dominates. Versions with equal vectors
// and different ids do not dominate each other: both stay, and devices join
// them. The rule needs no key, no field and no clock.
func Judge(held []Entry, pushed Entry) (v Verdict, displaced []record.VersionID) {
	if slices.ContainsFunc(held, func(e Entry) bool { return e.Version == pushed.Version }) {
		return Duplicate, nil
	}
	for _, e := range held {
		if e.Vector.Dominates(pushed.Vector) {
			return Dominated, nil
		}
		if pushed.Vector.Dominates(e.Vector) {
			displaced = append(displaced, e.Version)
		}
	}
	if len(held)-len(displaced) >= syncproto.SiblingsMax {
		return Crowded, nil
	}
	return Keep, displaced
}

// Maximal returns the entries that no other of all dominates.
func Maximal(all []Entry) []Entry {
	var top []Entry
	for i, e := range all {
		dominated := slices.ContainsFunc(all, func(o Entry) bool { return o.Vector.Dominates(e.Vector) })
		again := slices.ContainsFunc(all[:i], func(o Entry) bool { return o.Version == e.Version })
		if !dominated && !again {
			top = append(top, e)
		}
	}
	return top
}
