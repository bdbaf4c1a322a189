package pim_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

func TestPropertyLimit(t *testing.T) {
	for _, over := range []int{-1, 0, 1} {
		n := pim.PropertiesMax + over
		text := "BEGIN:VCARD\nVERSION:3.0\n" + strings.Repeat("X:1\n", n-1) + "END:VCARD\nBEGIN:VCARD\nVERSION:3.0\nFN:next\nEND:VCARD\n"
		objs, report := importText(t, "x.vcf", text)
		if over <= 0 && (len(objs) != 2 || len(objs[0].Fields) != n) || over > 0 && (len(objs) != 1 || report.Refused != 1 || report.Problems[0].Line != 1) {
			t.Errorf("%+d: %d objects, %+v", over, len(objs), report)
		}
	}
}

func TestNestingLimit(t *testing.T) {
	for _, over := range []int{-1, 0, 1} {
		n := pim.NestingMax + over
		var b strings.Builder
		b.WriteString("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\n")
		for i := range n {
			fmt.Fprintf(&b, "BEGIN:X%d\nA:%d\n", i, i)
		}
		for i := n - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "END:X%d\n", i)
		}
		b.WriteString("END:VEVENT\nEND:VCALENDAR\n")
		objs, report := importText(t, "x.ics", b.String())
		if len(objs) != 1 || (report.Repaired > 0) != (over > 0) || report.Refused > 0 {
			t.Errorf("%+d: %+v", over, report)
		}
		if out := string(exportAll(t, blobStore{}, record.Events, objs)); strings.ReplaceAll(out, "\r\n", "\n") != b.String() {
			t.Errorf("%+d: came out as\n%s", over, out)
		}
	}
}

// TestBlobLimits: inline base64 moves to a blob from BlobBytesMin on, if it is
// written exactly as we would; text moves when it is too long for a record.
func TestBlobLimits(t *testing.T) {
	photo := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }
	for _, c := range []struct {
		name, line string
		blob       int // bytes, 0 for none
		inline     string
	}{
		{"small photo", "PHOTO;ENCODING=b:" + photo(pim.BlobBytesMin-1), 0, ""},
		{"photo", "PHOTO;ENCODING=b:" + photo(pim.BlobBytesMin), pim.BlobBytesMin, "PHOTO;ENCODING=b:"},
		{"2.1 photo", "PHOTO;JPEG;BASE64:" + photo(pim.BlobBytesMin+1), pim.BlobBytesMin + 1, "PHOTO;JPEG;BASE64:"},
		{"data URI", "PHOTO:data:image/png;base64," + photo(2000), 2000, "PHOTO:data:image/png;base64,"},
		{"escaped data URI", "PHOTO:data:image/png;base64\\," + photo(2000), 2000, "PHOTO:data:image/png;base64\\,"},
		{"photo with a blank", "PHOTO;ENCODING=b:A " + photo(1500), 0, ""},
		{"long photo with a blank", "PHOTO;ENCODING=b:A " + photo(6000), 8002, "PHOTO;ENCODING=b:\x00"},
		{"photo by address", "PHOTO;VALUE=uri:http://example.com/" + strings.Repeat("a", 5000), 0, ""},
		{"long note", "NOTE:" + strings.Repeat("a", pim.InlineLineBytesMax-5), 0, ""},
		{"too long a note", "NOTE:" + strings.Repeat("a", pim.InlineLineBytesMax-4), pim.InlineLineBytesMax - 4, "NOTE:\x00"},
	} {
		objs, _ := importText(t, "x.vcf", "BEGIN:VCARD\nVERSION:3.0\n"+c.line+"\nEND:VCARD\n")
		f := objs[0].Fields[1]
		src, moved := objs[0].Blobs[f.Key]
		if moved != (c.blob > 0) || moved && (src.Size != int64(c.blob) || string(f.Line) != c.inline) {
			t.Errorf("%s: moved %v, %d bytes, inline %.60q", c.name, moved, src.Size, f.Line)
		}
		bs := blobStore{}
		bs.fill(t, &objs[0])
		out := naiveLines(exportAll(t, bs, record.Contacts, objs))
		if len(out) != 4 || out[2] != c.line {
			t.Errorf("%s: came out changed", c.name)
		}
	}
}

// TestLargeObject: an object larger than a record keeps all its lines, the
// longest ones as blobs; one of too many short lines is refused.
func TestLargeObject(t *testing.T) {
	var b strings.Builder
	b.WriteString("BEGIN:VCARD\nVERSION:3.0\n")
	for i := range 10 {
		fmt.Fprintf(&b, "NOTE:%d%s\n", i, strings.Repeat("n", 60<<10))
	}
	b.WriteString("END:VCARD\n")
	objs, report := importText(t, "x.vcf", b.String())
	if len(objs) != 1 || len(objs[0].Blobs) == 0 || report.Repaired+report.Refused > 0 {
		t.Fatalf("%d objects, %+v", len(objs), report)
	}
	bs := blobStore{}
	bs.fill(t, &objs[0])
	checkObject(t, objs[0])
	if got, want := naiveLines(exportAll(t, bs, record.Contacts, objs)), naiveLines([]byte(b.String())); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Error("a large card came out changed")
	}
	// At the limit: so many lines that are too short to move, and one that fills up.
	card := func(notes, last int) ([]pim.Object, pim.Report, int) {
		objs, report := importText(t, "x.vcf", "BEGIN:VCARD\nVERSION:3.0\n"+strings.Repeat("NOTE:"+strings.Repeat("y", 900)+"\n", notes)+
			"FN:"+strings.Repeat("z", last)+"\nEND:VCARD\n")
		size := 0
		for _, o := range objs {
			for _, f := range o.Fields {
				size += len(f.Key) + len(f.Line) + 24
			}
		}
		return objs, report, size
	}
	notes := 200
	_, _, size := card(notes, 1)
	for ; size < pim.ObjectBytesMax-1000; notes++ {
		_, _, size = card(notes+1, 1)
	}
	for _, over := range []int{-1, 0, 1} {
		objs, report, _ := card(notes, 1+pim.ObjectBytesMax-size+over)
		if (len(objs) == 0) != (over > 0) || report.Refused != max(over, 0) || len(objs) == 1 && len(objs[0].Blobs) > 0 {
			t.Errorf("%+d: %d objects, %+v", over, len(objs), report)
		}
	}
}

// TestHostileTime imports files that are made to be slow.
func TestHostileTime(t *testing.T) {
	for name, text := range map[string]string{
		"begins":       strings.Repeat("BEGIN:X\n", 200000),
		"calendars":    strings.Repeat("BEGIN:VCALENDAR\n", 100000),
		"cards":        strings.Repeat("BEGIN:VCARD\n", 100000),
		"raw names":    "BEGIN:VEVENT\n" + strings.Repeat("BEGIN:X\n", 100000) + strings.Repeat("END:X\n", 100000),
		"folds":        "BEGIN:VCARD\nA" + strings.Repeat("\n a", 300000) + "\nEND:VCARD\n",
		"empty folds":  "BEGIN:VCARD\nA:1" + strings.Repeat("\n\n ", 300000) + "\nEND:VCARD\n",
		"empty lines":  "BEGIN:VCARD\nA:1" + strings.Repeat("\n", 1000000) + " x\nEND:VCARD\n",
		"soft breaks":  "BEGIN:VCARD\nA;QUOTED-PRINTABLE:" + strings.Repeat("=\n", 300000) + "\nEND:VCARD\n",
		"heads":        "BEGIN:VCALENDAR\n" + strings.Repeat("X:"+strings.Repeat("y", 1000)+"\n", 3000) + strings.Repeat("BEGIN:VEVENT\nEND:VEVENT\n", 3000) + "END:VCALENDAR\n",
		"zones":        "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VTIMEZONE\nEND:VTIMEZONE\n", 3000) + strings.Repeat("BEGIN:VEVENT\nEND:VEVENT\n", 3000) + "END:VCALENDAR\n",
		"same UIDs":    "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nUID:1\nEND:VEVENT\n", 20000) + "END:VCALENDAR\n",
		"same dates":   "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nUID:1\nRECURRENCE-ID:1\nEND:VEVENT\n", 1200) + "END:VCALENDAR\n",
		"same alarms":  "BEGIN:VEVENT\n" + strings.Repeat("BEGIN:VALARM\nA:1\nEND:VALARM\n", 1800) + "END:VEVENT\n",
		"same lines":   "BEGIN:VCARD\n" + strings.Repeat("TEL:1\n", 3700) + "END:VCARD\n",
		"semicolons":   "BEGIN:VCARD\nN" + strings.Repeat(";", 1000000) + ":x\nN:" + strings.Repeat(";", 90000) + "\nEND:VCARD\n",
		"quotes":       "BEGIN:VCARD\nN;X=" + strings.Repeat(`"`, 999999) + ":x\nEND:VCARD\n",
		"Zs":           "BEGIN:VEVENT\nDTSTART:" + strings.Repeat("Z", 90000) + "\nEND:VEVENT\n",
		"stray ends":   strings.Repeat("END:VEVENT\n", 300000),
		"outside":      strings.Repeat("x\n", 300000) + "BEGIN:VCARD\nEND:VCARD\n",
		"bare events":  strings.Repeat("BEGIN:VEVENT\nUID:1\nRECURRENCE-ID:1\nEND:VEVENT\n", 20000),
		"distant dots": "BEGIN:VCARD\n" + strings.Repeat(".", 90000) + "FN:x\nEND:VCARD\n",
	} {
		start := time.Now()
		objs, report := importText(t, "x.vcf", text)
		for _, o := range objs[:min(len(objs), 3)] {
			checkObject(t, o)
		}
		if len(report.Problems) > pim.ProblemsMax {
			t.Errorf("%s: %d problems listed", name, len(report.Problems))
		}
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s: took %v", name, d)
		} else {
			t.Logf("%s: %v, %d objects, %d repaired, %d refused", name, d.Round(time.Millisecond), len(objs), report.Repaired, report.Refused)
		}
	}
}
