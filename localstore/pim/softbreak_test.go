package pim_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// TestSoftBreakTakesNothing: what stands behind a value that ends in a soft line
// break, is no part of it when it is written and read again, whether the record
// came so or its field is of another hand.
func TestSoftBreakTakesNothing(t *testing.T) {
	const note = "NOTE;ENCODING=QUOTED-PRINTABLE:abc="
	objs, report := importText(t, "x.vcf", "BEGIN:VCARD\nVERSION:2.1\nN:Jo\n"+note+"\nEND:VCARD\n")
	if report.Repaired != 1 {
		t.Errorf("the report: %+v", report)
	}
	for _, fields := range [][]record.Field{
		objs[0].Fields,
		{{Key: "VERSION", Line: []byte("VERSION:2.1")}, {Key: "N", Line: []byte("N:Jo")}, {Key: "NOTE.abcde", Line: []byte(note)}},
	} {
		fields = append(slices.Clone(fields), record.Field{Key: "TEL.abcde", Line: []byte("TEL:1")})
		var buf bytes.Buffer
		if err := pim.Export(&buf, record.Contacts, func(yield func(pim.Item, error) bool) { yield(pim.Item{Fields: fields}, nil) }, pim.ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		got, report := importText(t, "x.vcf", buf.String())
		text := ""
		for _, f := range got[0].Fields {
			text += string(f.Line) + "|"
		}
		if report.Repaired != 0 || !strings.Contains(text, note+"\n|TEL:1|") {
			t.Errorf("%q is read as %q: %+v", buf.String(), text, report)
		}
	}
}

// holdsStill imports a file and holds that what is exported of it is imported as it was.
func holdsStill(t *testing.T, in string) ([]pim.Object, pim.Report) {
	t.Helper()
	bs := blobStore{}
	objs, report := importBytes(t, bs, "x.vcf", []byte(in))
	for _, o := range objs {
		checkObject(t, o)
	}
	for _, kind := range record.Kinds {
		checkFixpoint(t, bs, kind, objs)
	}
	return objs, report
}

func card(version, lines string) string {
	return "BEGIN:VCARD\nVERSION:" + version + "\n" + lines + "\nEND:VCARD\n"
}

// TestSoftBreaksHoldStill: quoted-printable lines in odd places.
func TestSoftBreaksHoldStill(t *testing.T) {
	const zone = "BEGIN:VCALENDAR\nVERSION:1.0\nBEGIN:VTIMEZONE\nTZID:X\nCOMMENT;ENCODING=QUOTED-PRINTABLE:%s\nEND:VTIMEZONE\n" +
		"BEGIN:VEVENT\nUID:1\nDTSTART;TZID=X:20260101T000000\nSUMMARY:foo\nEND:VEVENT\nEND:VCALENDAR\n"
	long := strings.Repeat("=41", 40)
	cases := map[string]string{
		"a head that only begins as one":    card("2.1", "N;QUOTED-PRINTABLE;X=\"a:b\n \";BASE64:abc=\nTEL:1"),
		"the same, last":                    card("3.0", "N;QUOTED-PRINTABLE;X=\"a:b\n \";BASE64:abc="),
		"a long head":                       card("2.1", "N;X="+strings.Repeat("x", 5000)+"\n ;QUOTED-PRINTABLE:abc=\nTEL:1"),
		"an agent":                          card("2.1", "AGENT:\nBEGIN:VCARD\nVERSION:2.1\nNOTE;QUOTED-PRINTABLE:abc=\nEND:VCARD\nTEL:1"),
		"two":                               card("2.1", "NOTE;QUOTED-PRINTABLE:abc=="),
		"no end":                            "BEGIN:VCARD\nVERSION:2.1\nNOTE;QUOTED-PRINTABLE:abc= \t",
		"a fold that ends a card":           card("2.1", "NOTE;QUOTED-PRINTABLE:abc=\n\n END:VCARD\nTEL:1"),
		"a fold that begins one":            card("2.1", "NOTE;QUOTED-PRINTABLE:abc=\n\n BEGIN:VCARD\nTEL:1"),
		"a fold that makes an end":          card("2.1", "NOTE;QUOTED-PRINTABLE:abc=\nEND\n :VCARD\nTEL:1"),
		"a component whose begin is quoted": "BEGIN:VCARD\nVERSION:2.1\nBEGIN;QUOTED-PRINTABLE:abc=\nEND:VCARD\n",
	}
	for i := range 3 { // a fold would fall behind the =, or between its digits
		cases[fmt.Sprint("a zone ", i)] = fmt.Sprintf(zone, strings.Repeat("x", i)+long)
		cases[fmt.Sprint("a zone with a soft break ", i)] = fmt.Sprintf(zone, strings.Repeat("x", i)+long+"=\n"+long)
		cases[fmt.Sprint("an agent in 3.0 ", i)] = card("3.0", "FN:x\nAGENT:\nBEGIN:VCARD\nVERSION:2.1\nNOTE;ENCODING=QUOTED-PRINTABLE:"+strings.Repeat("x", i)+long+"\nEND:VCARD")
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			objs, report := holdsStill(t, in)
			if report.Refused > 0 || len(objs) == 0 {
				t.Errorf("%d objects, %+v", len(objs), report)
			}
		})
	}
}

// TestLinesAtTheLimit: what is read can be read again when it was written, and what
// is too long takes nothing with it.
func TestLinesAtTheLimit(t *testing.T) {
	const quoted, plain = "NOTE;QUOTED-PRINTABLE:", "NOTE:"
	fill := func(head string, n int) string { return head + strings.Repeat("a", n-len(head)) }
	for _, over := range []int{-1, 0, 1} {
		for name, c := range map[string]struct {
			in    string
			whole int // the length that counts
		}{
			"quoted":  {card("2.1", fill(quoted, pim.LineBytesMax+over-1)+"=\nN:Jo"), pim.LineBytesMax + over + len("N:Jo")},
			"last":    {card("2.1", "N:Jo\n"+fill(quoted, pim.LineBytesMax+over-1)+"="), pim.LineBytesMax + over},
			"plain":   {card("3.0", "N:Jo\n"+fill(plain, pim.LineBytesMax+over)), pim.LineBytesMax + over},
			"in two":  {card("2.1", "N:Jo\n"+fill(quoted, 1000)+"=\n"+strings.Repeat("a", pim.LineBytesMax+over-1002)+"="), pim.LineBytesMax + over},
			"swallow": {card("2.1", fill(quoted, 100)+"=\n"+strings.Repeat("a", pim.LineBytesMax)+"\nN:Jo"), pim.LineBytesMax + 100},
		} {
			objs, report := holdsStill(t, c.in)
			keys := keysOf(objs[0].Fields)
			if whole := c.whole < pim.LineBytesMax; whole != (report.Refused == 0) || whole != slices.Contains(keys, "NOTE") {
				t.Errorf("%s %+d: %d refused, %q", name, over, report.Refused, keys)
			}
			if name != "quoted" && !slices.Contains(keys, "N") {
				t.Errorf("%s %+d: the line after it is gone: %q", name, over, keys)
			}
		}
	}
}

// TestRandomSoftBreaks: files of pieces that meet badly.
func TestRandomSoftBreaks(t *testing.T) {
	pieces := []string{"=", "=\n", "= \n", "==", "\r", "\n", "\r\n", "\r\r\n", "\n ", "\n\t", " ", "\t", "N", "NOTE", ";", ":", "QUOTED-PRINTABLE", "ENCODING=QUOTED-PRINTABLE:",
		"NOTE;QUOTED-PRINTABLE:", "\nNOTE;QUOTED-PRINTABLE:a=\n", "BASE64", "\"", "X=\"", "CHARSET=UTF-16LE;", "\nTEL:1\n", "\nBEGIN:X\n", "\nEND:X\n", "END", "BEGIN",
		"\nAGENT:\nBEGIN:VCARD\n", "\nEND:VCARD\n", "A.", "=41", strings.Repeat("=41", 30), "\nUID:1\n", "\\", ",", "\x00", "é", "\nBEGIN:VCALENDAR\n", "\nEND:VCALENDAR\n",
		"\nBEGIN:VEVENT\n", "\nEND:VEVENT\n", "\nBEGIN:VTIMEZONE\nTZID:X\n", "\nEND:VTIMEZONE\n", "\nDTSTART;TZID=X:20260101T000000\n", strings.Repeat("x", 100)}
	r := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		in := []string{"BEGIN:VCARD\nVERSION:2.1\n", "BEGIN:VCARD\nVERSION:3.0\n", "BEGIN:VCALENDAR\nVERSION:1.0\nBEGIN:VEVENT\n"}[r.IntN(3)]
		for range r.IntN(25) {
			in += pieces[r.IntN(len(pieces))]
		}
		holdsStill(t, in)
		if t.Failed() {
			t.Fatalf("of %q", in)
		}
	}
}
