package pim_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// seeds adds the small test files and the hostile ones.
func seeds(f *testing.F) {
	for _, dir := range []string{"testdata", "testdata/hostile"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range files {
			if b, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
				f.Add(b)
			}
		}
	}
}

// FuzzImport imports anything. What was imported must be exported and imported
// again as the same records, and exported the second time as the first.
func FuzzImport(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		for _, name := range []string{"x.vcf", "x.md"} {
			bs := blobStore{}
			objs, report := importBytes(t, bs, name, b)
			if len(objs) != report.Objects || report.Repaired+report.Refused < len(report.Problems) {
				t.Fatalf("the report says %+v of %d objects", report, len(objs))
			}
			for _, o := range objs {
				checkObject(t, o)
			}
			for _, kind := range record.Kinds {
				checkFixpoint(t, bs, kind, objs)
			}
		}
	})
}

func importBytes(t testing.TB, bs blobStore, name string, b []byte) (objs []pim.Object, report pim.Report) {
	report, err := pim.Import(name, bytes.NewReader(b), func(o pim.Object) error {
		bs.fill(t, &o)
		objs = append(objs, o)
		return nil
	})
	if err != nil && len(objs) > 0 {
		t.Fatal(err)
	}
	return objs, report
}

// checkObject holds an imported object to what every store relies on.
func checkObject(t testing.TB, o pim.Object) {
	seen := map[string]bool{}
	size := 0
	for _, f := range o.Fields {
		size += len(f.Key) + len(f.Line)
		if f.Key == "" || len(f.Key) > record.KeyBytesMax || !record.IsFieldKey(f.Key) || seen[f.Key] {
			t.Fatalf("bad or repeated key %q", f.Key)
		}
		for i := range len(f.Key) {
			if f.Key[i] < ' ' || f.Key[i] > '~' {
				t.Fatalf("key %q is not ASCII", f.Key)
			}
		}
		seen[f.Key] = true
		value, head := pim.Decode(o.Kind, f.Key, f.Line)
		checkUTF8(t, value)
		checkUTF8(t, head)
		if line, err := pim.Encode(o.Kind, f.Key, value, head); err == nil && bytes.ContainsAny(line, "\r") {
			t.Fatalf("encode made a line end: %q", line)
		}
		pim.Unit(o.Kind, f.Key)
		pim.NeverConflicts(f.Key)
	}
	if o.UID == "" || len(o.Fields) == 0 || len(o.Fields) > pim.PropertiesMax || size > pim.ObjectBytesMax {
		t.Fatalf("object with UID %q, %d fields, %d bytes", o.UID, len(o.Fields), size)
	}
	checkUTF8(t, o.Title)
	c := pim.ColumnsOf(o.Kind, o.Fields)
	checkUTF8(t, c.Text)
	checkUTF8(t, c.SortKey)
	if paired := pim.Pair(o.Kind, o.Fields, o.Fields); !slices.EqualFunc(paired, o.Fields, func(a, b record.Field) bool {
		return bytes.Equal(a.Line, b.Line)
	}) {
		t.Fatal("pairing a record with itself changes its lines")
	}
}

// checkFixpoint exports the objects of a kind and imports them again.
func checkFixpoint(t testing.TB, bs blobStore, kind record.Kind, objs []pim.Object) {
	objs = slices.DeleteFunc(slices.Clone(objs), func(o pim.Object) bool {
		return o.Kind != kind || !slices.ContainsFunc(o.Fields, func(f record.Field) bool { // time zones alone join others
			return !strings.HasPrefix(f.Key, "VTIMEZONE.") && strings.Count(f.Key, "/") < 2 && !strings.HasPrefix(f.Key, "VCALENDAR/") ||
				strings.HasPrefix(f.Key, "VCALENDAR/") && strings.Count(f.Key, "/") > 1
		})
	})
	if len(objs) == 0 || kind == record.Pictures {
		return
	}
	out := exportAll(t, bs, kind, objs)
	again, report := importBytes(t, bs, "x.vcf", out)
	if report.Refused > 0 {
		t.Fatalf("our own export is refused: %+v\n%q", report.Problems, out)
	}
	describe := func(objs []pim.Object) (lines []string) {
		for _, o := range objs {
			for _, f := range o.Fields {
				line := string(f.Line)
				if strings.HasSuffix(f.Key, "BEGIN") && strings.HasPrefix(line, "BEGIN:V") {
					continue // says only that nothing is to be added
				}
				if f.Blob != nil {
					line += fmt.Sprint(f.Blob.Size)
				}
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		return lines
	}
	if len(again) != len(objs) {
		t.Fatalf("%d records went out, %d came back\n%q", len(objs), len(again), out)
	}
	if a, b := describe(objs), describe(again); !slices.Equal(a, b) {
		t.Fatalf("records changed on the way:\n%q\n%q\nlost %q\nnew %q", a, b, missing(a, b), missing(b, a))
	}
}

// FuzzLine takes one content line apart and puts it together again.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		"FN:Jo", "N:a;b,c;;\\;;", "item1.TEL;TYPE=\"a,b\":+1", "NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:=E4=\n b",
		"A;B=^n^'^^:c", ":", ";:", "\"a:b", "DTSTART;TZID=X:20260101T000000", "CATEGORIES:a\\,b,c", "PHOTO;ENCODING=b:AAAA", "X:\x00", "é:é", "GEO:1;2",
		"NOTE;CHARSET=GBK:\xff", "NOTE;CHARSET=UTF-16LE:a\x00", "NOTE;CHARSET=ISO-2022-JP:\x1b$B", "NOTE;CHARSET=replacement:a",
		"0;CHARSET=UTF-16:0\x00\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\r") {
			return
		}
		for _, kind := range []record.Kind{record.Contacts, record.Events} {
			for _, key := range []string{"FN", "N", "CATEGORIES", "TEL.abcde", "DTSTART", "@x/DTSTART", "LINE.a", "VTIMEZONE.X", "PHOTO"} {
				value, head := pim.Decode(kind, key, line)
				checkUTF8(t, value)
				checkUTF8(t, head)
				back, err := pim.Encode(kind, key, value, head)
				if got, want := pim.Returns(kind, key, line, value, head), err == nil && bytes.Equal(back, line); got != want {
					t.Fatalf("%s %q: Returns is %v, Encode gives %q %v", key, line, got, back, err)
				}
				if err != nil {
					continue
				}
				again, head2 := pim.Decode(kind, key, back)
				if back2, err := pim.Encode(kind, key, again, head2); err != nil || !bytes.Equal(back, back2) {
					t.Fatalf("%s %q: %q, then %q %v", key, line, back, back2, err)
				}
			}
		}
	})
}

// FuzzPicture reads the header of anything that claims to be a picture.
// FuzzValue has what a program may have written: where Stays says so, it is what
// its line decodes to. An odd number of parts is a string, else a list divided at |.
func FuzzValue(f *testing.F) {
	for _, s := range []string{"", "Jo", "a,b;c\\d\ne", "a|b", "|", "a\rb", "\x00", "a\x7f", "\xff", "\\,", "\\n", "a\\", "é|ü;,", ":", "\"", "a\nb|c\n"} {
		for _, head := range []string{"", "TEL", "TEL;TYPE=cell", "item1.FN", "NOTE;ENCODING=QUOTED-PRINTABLE", "A;B=\"c:d\"", "FN;X=é", "A:B", ";", "N;CHARSET=x", "N\n"} {
			f.Add(s, head)
		}
	}
	f.Fuzz(func(t *testing.T, s, head string) {
		var value any = s
		if parts := strings.Split(s, "|"); len(parts)%2 == 0 {
			list := make([]any, len(parts))
			for i := range parts {
				list[i] = parts[i]
			}
			value = list
		}
		for _, kind := range []record.Kind{record.Contacts, record.Events, record.Notes} {
			for _, key := range []string{"FN", "N", "CATEGORIES", "TEL.abcde", "DTSTART", "SUMMARY", "@x/DTSTART", "LINE.a", "VTIMEZONE.X", "PHOTO", "", "a b", "É", "."} {
				if !pim.Stays(kind, key, value, head) {
					continue
				}
				line, err := pim.Encode(kind, key, value, head)
				if err != nil || line == nil {
					t.Fatalf("%s %q %q: stays, but gives %q, %v", key, value, head, line, err)
				}
				if v, h := pim.Decode(kind, key, line); !reflect.DeepEqual(v, value) || h != head {
					t.Fatalf("%s %q %q: stays, but %q gives %q %q", key, value, head, line, v, h)
				}
				if !pim.Returns(kind, key, line, value, head) {
					t.Fatalf("%s %q %q: does not return", key, value, head)
				}
			}
		}
	})
}

func FuzzPicture(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, start := range []string{"", "\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF89a", "RIFF\x00\x00\x00\x00WEBP", "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"} {
			bs := blobStore{}
			in := append([]byte(start), b...)
			objs, _ := importBytes(t, bs, "x.bin", in)
			for _, o := range objs {
				checkObject(t, o)
				if o.Kind == record.Pictures && !bytes.Equal(bs[o.Fields[len(o.Fields)-1].Blob.Chunks[0]], in) {
					t.Fatal("the picture's bytes changed")
				}
			}
		}
	})
}
