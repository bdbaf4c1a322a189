package sample_test

import (
	"bytes"
	"testing"

	"sidekeep/cmd/internal/lab/sample"
	"sidekeep/localstore/pim"
	"sidekeep/testdata"
)

// TestImports checks that every record of the sample is read without a
// complaint, and that no two have the same UID.
func TestImports(t *testing.T) {
	counts, seen := map[string]int{}, map[string]string{}
	for _, f := range sample.Generate().Files {
		report, err := pim.Import(f.Name, bytes.NewReader(f.Data), func(o pim.Object) error {
			counts[string(o.Kind)]++
			key := string(o.Kind) + " " + o.UID
			if seen[key] != "" {
				t.Errorf("%s and %s have the same UID %s", seen[key], f.Name, o.UID)
			}
			seen[key] = f.Name
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for _, p := range report.Problems {
			t.Errorf("%s:%d: %s", p.File, p.Line, p.Reason)
		}
	}
	for kind, n := range testdata.SampleCounts {
		if counts[kind] != n {
			t.Errorf("%d %s are imported, want %d", counts[kind], kind, n)
		}
	}
}
