// Package testdata embeds the sample data, so that the lab and the tests find
// it wherever they run. The files are made by cmd/internal/lab/sample; golden
// vectors of the wire stand beside them in wire/ and are read from disk.
package testdata

import (
	"embed"
	"io/fs"
)

//go:embed sample
var files embed.FS

// SampleCounts says how many records of each kind an import of the whole sample
// gives.
var SampleCounts = map[string]int{"contacts": 158, "events": 120, "notes": 46, "tasks": 52, "pictures": 31}

// Sample returns the sample's files: contacts/, calendar/, notes/, pictures/.
func Sample() fs.FS {
	sub, err := fs.Sub(files, "sample")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}
