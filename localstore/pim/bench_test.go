package pim

import (
	"fmt"
	"strings"
	"testing"
)

// cards is an address book of 100 contacts of ten lines.
func cards() []byte {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c%d\r\nN:Family%d;Given;;;\r\nFN:Given Family%d\r\nTEL;TYPE=CELL:+4512%06d\r\nTEL;TYPE=HOME:+4598%06d\r\nEMAIL:p%d@example.org\r\nADR;TYPE=HOME:;;Road %d;Town;;9000;Denmark\r\nNOTE:Met at the conference\\, wants a call\r\n  back.\r\nEND:VCARD\r\n", i, i, i, i, i, i, i)
	}
	return []byte(b.String())
}

func BenchmarkContentLines(b *testing.B) {
	in := cards()
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		r := newLineReader(in, nil)
		for {
			if _, ok := r.next(); !ok {
				break
			}
		}
	}
}

func BenchmarkImport100Cards(b *testing.B) {
	in := string(cards())
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := Import("c.vcf", strings.NewReader(in), func(Object) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
