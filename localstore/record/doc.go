// Package record holds the causal algebra of sidekeep: ids, dots, vectors,
// versions, their join and their canonical encoding. It is pure: no clock, no
// disk, no randomness and no goroutine; everything it needs is an argument.
//
// A record is a set of fields under string keys. Each field holds one entry,
// or several when replicas wrote it concurrently (siblings). Each entry was
// written by one dot (replica id, counter). A Version is an immutable state of
// a record: its entries, and a Vector of every dot the state has seen.
//
// What the entries mean (a phone number, a title) is the business of
// localstore/pim; here a value is an opaque content line and, for large
// values, a reference to the chunks that hold it.
//
// Start reading at Version (version.go), then Join (join.go), then the writes
// in write.go and the canonical encoding in encode.go and decode.go. The rules named W1 to
// W9, C5 and P3 in comments are the merge rules of SPEC.md section "Merge".
//
// Nothing here is safe for concurrent mutation. Treat a Version that you
// handed on as frozen: every function that changes one returns a new one.
package record
