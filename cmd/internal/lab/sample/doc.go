// Package sample makes the sample data of this project: a few hundred
// contacts, events, tasks, notes and pictures of nobody, in the formats that
// handsets and calendars write. Generate is deterministic: it uses no clock and
// a random generator of its own, so that the same source gives the same files.
//
// The files stand in testdata/sample, and `go run ./cmd/sidekeep-lab sample
// testdata/sample` writes them again. All names, numbers and texts are made up;
// telephone numbers and addresses use ranges reserved for examples.
//
// Start reading at Generate (sample.go). The package is pure; it is used by the
// lab and by tests.
package sample
