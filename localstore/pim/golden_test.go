package pim_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
)

var update = flag.Bool("update", false, "write the .want files")

// TestGolden imports the files of testdata and compares records, keys, lines
// and problems with the .want file beside each. It then exports them: what
// stood in the file comes out.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if filepath.Ext(path) == ".want" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			var got strings.Builder
			bs := blobStore{}
			report, err := pim.ImportFile(path, func(o pim.Object) error {
				bs.fill(t, &o)
				checkObject(t, o)
				dump(&got, o)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range report.Problems {
				fmt.Fprintf(&got, "problem line %d %s: %s\n", p.Line, p.Outcome, p.Reason)
			}
			want, err := os.ReadFile(path + ".want")
			if *update {
				if err := os.WriteFile(path+".want", []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if err != nil || got.String() != string(want) {
				t.Errorf("%v\ngot\n%s\nwant\n%s", err, got.String(), want)
			}
			if ext := filepath.Ext(path); (ext == ".vcf" || ext == ".ics") && !strings.HasPrefix(filepath.Base(path), "broken") {
				checkFile(t, path, path, &corpusRow{})
			}
		})
	}
}

// dump writes a record for a person to compare.
func dump(w *strings.Builder, o pim.Object) {
	fmt.Fprintf(w, "%s %q by content %v, line %d, title %q\n", o.Kind, o.UID, o.ByContent, o.Line, o.Title)
	c := pim.ColumnsOf(o.Kind, o.Fields)
	fmt.Fprintf(w, "  sort %q start %q end %q due %q all day %v digits %q\n", c.SortKey, c.Start, c.End, c.Due, c.AllDay, c.Digits)
	for _, f := range o.Fields {
		value, head := pim.Decode(o.Kind, f.Key, f.Line)
		back, err := pim.Encode(o.Kind, f.Key, value, head)
		raw := ""
		if err != nil || !bytes.Equal(back, f.Line) {
			raw = fmt.Sprintf(" raw %q", f.Line)
		}
		if f.Blob != nil {
			raw += fmt.Sprintf(" blob of %d", f.Blob.Size)
		}
		fmt.Fprintf(w, "  %s = %q %q%s\n", f.Key, value, head, raw)
	}
}
