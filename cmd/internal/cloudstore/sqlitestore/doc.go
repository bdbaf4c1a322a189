// Package sqlitestore is the cloud's storage on one machine: one SQLite file in
// a folder, WAL, synchronous=FULL.
//
// All writes go through one goroutine. It takes what waits, from any number of
// accounts, runs it in one transaction and answers after its commit: one fsync
// for a whole group. Reads use a small pool and snapshots of their own.
//
// The tables are in sql/, commented, a file a format. Start reading at store.go,
// then group.go (the writer) and commit.go (what a push does). What was lost is
// counted by known.go; damage is found by verify.go, mended by repair.go and
// salvage.go.
package sqlitestore
