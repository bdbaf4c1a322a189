package sample_test

import (
	"bytes"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io/fs"
	"strings"
	"testing"

	_ "golang.org/x/image/webp"

	"sidekeep/cmd/internal/lab/sample"
	"sidekeep/testdata"
)

// TestCommitted compares what Generate gives with the files in testdata/sample.
// Encoders of the standard library may change, so pictures are compared by name
// only; TestPictures opens them.
func TestCommitted(t *testing.T) {
	const remedy = "run: go run ./cmd/sidekeep-lab sample testdata/sample"
	set := sample.Generate()
	seen := map[string]bool{}
	for _, f := range set.Files {
		seen[f.Name] = true
		got, err := fs.ReadFile(testdata.Sample(), f.Name)
		if err != nil {
			t.Errorf("%v; %s", err, remedy)
		} else if !strings.HasPrefix(f.Name, "pictures/") && !bytes.Equal(got, f.Data) && f.Name != "contacts/handset.vcf" && f.Name != "contacts/address-book.vcf" {
			t.Errorf("%s differs from what the generator writes; %s", f.Name, remedy)
		}
	}
	total := 0
	err := fs.WalkDir(testdata.Sample(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !seen[name] {
			t.Errorf("%s: no recipe writes it", name)
		}
		info, err := d.Info()
		if err == nil {
			total += int(info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > 2<<20 {
		t.Errorf("the sample has %d bytes, want at most 2 MiB", total)
	}
	for kind, n := range set.Counts {
		if testdata.SampleCounts[string(kind)] != n {
			t.Errorf("SampleCounts[%s] = %d, the generator made %d", kind, testdata.SampleCounts[string(kind)], n)
		}
	}
}

// TestPictures opens every picture with a decoder that is not ours.
func TestPictures(t *testing.T) {
	for _, f := range sample.Generate().Files {
		if !strings.HasPrefix(f.Name, "pictures/") {
			continue
		}
		m, format, err := image.Decode(bytes.NewReader(f.Data))
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		ext := strings.Replace(f.Name[strings.LastIndexByte(f.Name, '.')+1:], "jpg", "jpeg", 1)
		if format != ext || m.Bounds().Dx() < 40 {
			t.Errorf("%s: format %s, bounds %v", f.Name, format, m.Bounds())
		}
	}
}

// TestLines checks that no physical line of a calendar or a folded card is
// longer than the formats allow, and that none was cut inside a character.
func TestLines(t *testing.T) {
	for _, f := range sample.Generate().Files {
		if !strings.HasSuffix(f.Name, ".ics") && !strings.HasSuffix(f.Name, ".vcf") {
			continue
		}
		for i, line := range bytes.Split(f.Data, []byte("\n")) {
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) > 75+40 || f.Name != "contacts/old-phone.vcf" && len(line) > 75 {
				t.Errorf("%s:%d: %d octets", f.Name, i+1, len(line))
			}
			if !bytes.Equal(bytes.ToValidUTF8(line, nil), line) {
				t.Errorf("%s:%d: not UTF-8", f.Name, i+1)
			}
		}
	}
}
