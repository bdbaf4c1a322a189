package pim

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

func readLines(b []byte) (lines []string, problems []string) {
	r := newLineReader(b, func(line int, reason string, o Outcome) {
		problems = append(problems, fmt.Sprintf("%d %s", line, o))
	})
	for {
		l, ok := r.next()
		if !ok {
			return lines, problems
		}
		lines = append(lines, fmt.Sprintf("%d %s", l.no, l.text))
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
		problems int
	}{
		{"CRLF", "A:1\r\nB:2\r\n", []string{"1 A:1", "2 B:2"}, 0},
		{"LF without an end", "A:1\nB:2", []string{"1 A:1", "2 B:2"}, 0},
		{"bare CR", "A:1\rB:2\r", []string{"1 A:1", "2 B:2"}, 0},
		{"CR CR LF", "A:1\r\r\n B\r\r\nC:2", []string{"1 A:1B", "3 C:2"}, 0},
		{"mixed", "A:1\nB:2\r\nC:3\rD:4", []string{"1 A:1", "2 B:2", "3 C:3", "4 D:4"}, 0},
		{"byte-order mark", "\xef\xbb\xbfA:1", []string{"1 A:1"}, 0},
		{"fold by space and tab", "A:1\n 2\n\t3\n  4", []string{"1 A:123 4"}, 0},
		{"name folded before the colon", "DESC\n RIPT\n ION;X=\n y\n :1", []string{"1 DESCRIPTION;X=y:1"}, 0},
		{"empty fold", "A:1\n \n 2", []string{"1 A:12"}, 0},
		{"empty lines between", "\n\nA:1\n\n\nB:2\n\n", []string{"3 A:1", "6 B:2"}, 0},
		{"fold after an empty line", "A:1\n\n\n 2\nB:3", []string{"1 A:12", "5 B:3"}, 0},
		{"fold inside a character", "A:\xc3\n \xa9", []string{"1 A:é"}, 0},
		{"soft break", "N;ENCODING=QUOTED-PRINTABLE:a=\nb:c=\r\n\nD:1", []string{"1 N;ENCODING=QUOTED-PRINTABLE:a=\nb:c=\n", "4 D:1"}, 0},
		{"soft break, bare parameter", "N;quoted-printable:a=\nb", []string{"1 N;quoted-printable:a=\nb"}, 0},
		{"soft break, then blanks", "N;QUOTED-PRINTABLE:a= \n  b\n c", []string{"1 N;QUOTED-PRINTABLE:a= \n  bc"}, 0},
		{"soft break, head folded", "N;ENCODING=QUOTED-\n PRINTABLE:a=\nb", []string{"1 N;ENCODING=QUOTED-PRINTABLE:a=\nb"}, 0},
		{"soft break before END", "N;QUOTED-PRINTABLE:a=\nEND:VCARD", []string{"1 N;QUOTED-PRINTABLE:a=\n", "2 END:VCARD"}, 1},
		{"soft break at the end", "N;QUOTED-PRINTABLE:a= ", []string{"1 N;QUOTED-PRINTABLE:a= \n"}, 1},
		{"too long, then a soft break before END", "N;QUOTED-PRINTABLE:a=\n" + strings.Repeat("x", LineBytesMax) + "\nEND:VCARD", []string{"3 END:VCARD"}, 1},
		{"no soft break in base64", "N;ENCODING=b:aa=\nB:1", []string{"1 N;ENCODING=b:aa=", "2 B:1"}, 0},
		{"QUOTED-PRINTABLE in the value", "N:QUOTED-PRINTABLE=\nB:1", []string{"1 N:QUOTED-PRINTABLE=", "2 B:1"}, 0},
		{"zero bytes", "A:\x00\n\x00", []string{"1 A:\x00", "2 \x00"}, 0},
		{"nothing", "", nil, 0},
		{"only line ends", "\r\n\r\r\n\n", nil, 0},
	} {
		got, problems := readLines([]byte(c.in))
		if !slices.Equal(got, c.want) || len(problems) != c.problems {
			t.Errorf("%s: got %q %q\nwant %q", c.name, got, problems, c.want)
		}
	}
}

func TestLineLimit(t *testing.T) {
	for _, over := range []int{-1, 0, 1} {
		want := LineBytesMax + over - 1
		b := append(bytes.Repeat([]byte("x"), want/2), "\n "...)
		b = append(append(b, bytes.Repeat([]byte("y"), want-want/2)...), "\nB:1"...)
		got, problems := readLines(b)
		if over == 1 {
			if len(got) != 1 || got[0] != "3 B:1" || len(problems) != 1 {
				t.Errorf("one over the limit: %d lines, %q", len(got), problems)
			}
		} else if len(got) != 2 || len(got[0]) != want+2 || len(problems) != 0 {
			t.Errorf("at the limit %+d: %d lines, %q", over, len(got), problems)
		}
	}
}

func TestProperty(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`FN:Jo`, `||FN|[]|Jo`},
		{`item1.TEL;TYPE=a,b;X="c;d:e,f":1:2`, `item1||TEL|[{TYPE [a b]} {X [c;d:e,f]}]|1:2`},
		{`a.b.N;HOME;ENCODING=b:x`, `a.b||N|[{ [HOME]} {ENCODING [b]}]|x`},
		{`X;P="a^nb^^c^'d^e",^n:v`, "||X|[{P [a\nb^c\"d^e \n]}]|v"},
		{`X;CN="open:v`, `||X|[{CN ["open]}]|v`},
		{`X;A="b":`, `||X|[{A [b]}]|`},
		{`no colon`, `none`},
		{`"q":v`, `none`},
		{`X;A="b:c"`, `none`},
		{`:v`, `none`},
		{`;A=b:v`, `none`},
		{``, `none`},
		{"A\tB:v", `none`},
		{`X Y/Z:v`, `||X Y/Z|[]|v`},
	} {
		p, ok := parseProperty([]byte(c.in))
		got := fmt.Sprintf("%s||%s|%v|%s", p.group, p.name, p.params, p.value)
		if got = strings.TrimPrefix(got, ""); p.group == "" {
			got = fmt.Sprintf("||%s|%v|%s", p.name, p.params, p.value)
		}
		if !ok {
			got = "none"
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
	for _, s := range []string{"", "a", "a^b", "a\nb", `a"b`, "a;b", "a:b,c", "^n", "é"} {
		p := parseHead("X;P=" + escapeParam(s))
		if got := p.param("P"); got != s {
			t.Errorf("parameter %q comes back as %q", s, got)
		}
	}
}

func TestDecodeEncode(t *testing.T) {
	for _, c := range []struct {
		kind      record.Kind
		key, line string
		value     any
		head      string
		exact     bool
	}{
		{record.Contacts, "FN", "FN:a\\, b\\;\\\\c\\nd", "a, b;\\c\nd", "", true},
		{record.Contacts, "FN", "FN:a, b", "a, b", "", false},
		{record.Contacts, "FN", "fn:a", "a", "fn", true},
		{record.Contacts, "N", "N:a\\;b;c,d;;e", []any{"a;b", "c,d", "", "e"}, "", false},
		{record.Contacts, "CATEGORIES", "CATEGORIES:a\\,b,c", []any{"a,b", "c"}, "", true},
		{record.Contacts, "TEL.aaaaa", "g.TEL;WORK:+1;ext=2", "+1;ext=2", "g.TEL;WORK", true},
		{record.Contacts, "NOTE", "NOTE;ENCODING=QUOTED-PRINTABLE:=E2=82=AC=0D=0Ax", "€\nx", "NOTE;ENCODING=QUOTED-PRINTABLE", true},
		{record.Contacts, "NOTE", "NOTE;CHARSET=windows-1252;QUOTED-PRINTABLE:=80", "€", "NOTE;CHARSET=windows-1252;QUOTED-PRINTABLE", true},
		{record.Contacts, "NOTE", "NOTE;CHARSET=ISO-8859-1:\xe9", "é", "NOTE;CHARSET=ISO-8859-1", true},
		{record.Contacts, "NOTE", "NOTE;CHARSET=nonsense:\xe9", "é", "NOTE;CHARSET=nonsense", false},
		{record.Contacts, "NOTE", "NOTE:\xe9", "é", "", false},
		{record.Contacts, "NOTE", "NOTE:a\x00b", "a\uFFFDb", "", false},
		{record.Contacts, "NOTE", "NOTE;ENCODING=QUOTED-PRINTABLE:a=ZZ=", "a=ZZ", "NOTE;ENCODING=QUOTED-PRINTABLE", false},
		{record.Contacts, "N", "N;ENCODING=QUOTED-PRINTABLE:a\\;=3B;b", []any{"a;", "", "b"}, "N;ENCODING=QUOTED-PRINTABLE", false},
		{record.Contacts, "LINE.aaaaa", "no colon", "no colon", "", true},
		{record.Contacts, "_LINE.aaaaa", "LINE:x", "x", "LINE", true},
		{record.Contacts, "BEGIN", "begin:vcard", "vcard", "begin", true},
		{record.Events, "DTSTART", "DTSTART;TZID=X:20260101T000000", "20260101T000000", "DTSTART;TZID=X", true},
		{record.Events, "@x/SUMMARY", "SUMMARY:a\\,b", "a,b", "", true},
		{record.Events, "VTIMEZONE.A/B.c", "BEGIN:VTIMEZONE\nTZID:A/B.c\nEND:VTIMEZONE", "BEGIN:VTIMEZONE\nTZID:A/B.c\nEND:VTIMEZONE", "", true},
		{record.Contacts, "NOTE", "NOTE:\x00", "", "", false}, // the text is a blob
	} {
		value, head := Decode(c.kind, c.key, []byte(c.line))
		if fmt.Sprint(value) != fmt.Sprint(c.value) || head != c.head {
			t.Errorf("decode %q: %q %q, want %q %q", c.line, value, head, c.value, c.head)
		}
		back, err := Encode(c.kind, c.key, value, head)
		if (err == nil && string(back) == c.line) != c.exact {
			t.Errorf("encode %q: %q %v, exact %v", c.line, back, err, c.exact)
		}
	}
	for _, c := range []struct {
		key   string
		value any
		head  string
	}{
		{"DTSTART", "2026\nX:1", ""}, {"SUMMARY", "x", "SUM\nMARY"}, {"SUMMARY", "x", "A:B"}, {"SUMMARY", "x", `A;B="`},
		{"SUMMARY", "x", ""}, {"LINE.a", "a\nb", ""}, {"VTIMEZONE.X", "BEGIN:VEVENT", ""},
	} {
		line, err := Encode(record.Events, c.key, c.value, c.head)
		if c.head == "" && c.key == "SUMMARY" {
			if err != nil || string(line) != "SUMMARY:x" {
				t.Errorf("%q %v", line, err)
			}
		} else if err == nil {
			t.Errorf("%s=%q with head %q was encoded: %q", c.key, c.value, c.head, line)
		}
	}
	nested, err := Encode(record.Contacts, "N", []any{"Doe", []any{"Ann", "M,ary"}, nil, 1.0}, "")
	if err != nil || string(nested) != "N:Doe;Ann,M\\,ary;;1" {
		t.Errorf("%q %v", nested, err)
	}
}

func TestQuotedPrintable(t *testing.T) {
	long := strings.Repeat("Ægir END:x BEGIN = \t ", 40)
	enc := encodeQuoted([]byte(long), 30)
	for i, l := range strings.Split(string(enc), "\n") {
		if len(l) > 76 || isMarker([]byte(l), "END") || l != strings.TrimLeft(l, " \t") && i > 0 {
			t.Errorf("line %d is %q", i, l)
		}
	}
	if got := string(decodeQuoted(enc)); got != long {
		t.Errorf("comes back as %q", got)
	}
}

func TestFold(t *testing.T) {
	for n := 70; n < 160; n++ {
		for _, unit := range []string{"a", "é", "김", "🙂", "\x80", " "} {
			in := "X:" + strings.Repeat(unit, n)
			var buf bytes.Buffer
			lw := &lineWriter{w: bufio.NewWriter(&buf)}
			lw.line([]byte(in))
			lw.w.Flush()
			for _, l := range strings.Split(buf.String(), "\r\n") {
				if len(l) > foldOctets {
					t.Fatalf("a line of %d octets", len(l))
				}
				if unit != "\x80" && strings.ToValidUTF8(l, "") != l {
					t.Fatalf("%q is folded inside a character", l)
				}
			}
			if got, _ := readLines(buf.Bytes()); len(got) != 1 || got[0] != "1 "+in {
				t.Fatalf("%q comes back as %q", in, got)
			}
		}
	}
}

func TestZones(t *testing.T) {
	berlin := []byte("BEGIN:VTIMEZONE\nTZID:B\nBEGIN:DAYLIGHT\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nDTSTART:19810329T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nEND:DAYLIGHT\n" +
		"BEGIN:STANDARD\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nDTSTART:19961027T030000\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nEND:STANDARD\nEND:VTIMEZONE")
	newYork := []byte("BEGIN:VTIMEZONE\nTZID:N\nBEGIN:DAYLIGHT\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nDTSTART:20070311T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\nEND:DAYLIGHT\n" +
		"BEGIN:STANDARD\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\nDTSTART:20071104T020000\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=SU;BYMONTHDAY=1,2,3,4,5,6,7\nEND:STANDARD\nEND:VTIMEZONE")
	dates := []byte("BEGIN:VTIMEZONE\nTZID:D\nBEGIN:STANDARD\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nDTSTART:20141026T020000\nRDATE:20151025T020000\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nDTSTART:20140330T030000\nRDATE:20150329T030000,20160327T030000\nEND:DAYLIGHT\nEND:VTIMEZONE")
	fixed := []byte("BEGIN:VTIMEZONE\nTZID:F\nBEGIN:STANDARD\nTZOFFSETFROM:+053000\nTZOFFSETTO:+0530\nDTSTART:19700101T000000\nEND:STANDARD\nEND:VTIMEZONE")
	zs := &zoneSet{fields: []record.Field{
		{Key: "VTIMEZONE.B", Line: berlin}, {Key: "VTIMEZONE.N", Line: newYork}, {Key: "VTIMEZONE.D", Line: dates}, {Key: "VTIMEZONE.F", Line: fixed},
	}}
	for _, c := range []struct{ zone, wall, utc string }{
		{"B", "20260701T120000", "2026-07-01T10:00:00Z"},
		{"B", "20260101T120000", "2026-01-01T11:00:00Z"},
		{"B", "20260329T015959", "2026-03-29T00:59:59Z"},
		{"B", "20260329T030000", "2026-03-29T01:00:00Z"},
		{"B", "20261025T030000", "2026-10-25T02:00:00Z"},
		{"B", "19700601T120000", "1970-06-01T11:00:00Z"}, // before the first onset
		{"N", "20260307T120000", "2026-03-07T17:00:00Z"},
		{"N", "20260308T120000", "2026-03-08T16:00:00Z"},
		{"N", "20261101T120000", "2026-11-01T17:00:00Z"},
		{"N", "20261031T120000", "2026-10-31T16:00:00Z"},
		{"D", "20150701T120000", "2015-07-01T10:00:00Z"},
		{"D", "20151201T120000", "2015-12-01T11:00:00Z"},
		{"F", "20260101T120000", "2026-01-01T06:30:00Z"},
		{"Nobody/Knows", "20260101T120000", "2026-01-01T12:00:00Z"},
		{"", "20260101T120000", "2026-01-01T12:00:00Z"},
		{"../../etc/passwd", "20260101T120000", "2026-01-01T12:00:00Z"},
	} {
		wall, _ := parseMoment(c.wall)
		if got := zs.toUTC(wall.t, c.zone).Format(time.RFC3339); got != c.utc {
			t.Errorf("%s in %s is %s, want %s", c.wall, c.zone, got, c.utc)
		}
	}
	if _, err := time.LoadLocation("America/Chicago"); err == nil {
		wall, _ := parseMoment("20080624T130000")
		if got := zs.toUTC(wall.t, "/softwarestudio.org/Tzfile/America/Chicago").Format(time.RFC3339); got != "2008-06-24T18:00:00Z" {
			t.Errorf("an old zone id gives %s", got)
		}
	}
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]string{
		"P1D": "1 0s", "PT1H30M": "0 1h30m0s", "-P1W": "-7 0s", "P1DT12H": "1 12h0m0s", "+PT5S": "0 5s", "P": "err", "": "err", "1H": "err", "P1": "err", "PT1D": "err", "P1H": "err", "P99999999D": "err",
	} {
		days, rest, err := parseDuration(s)
		got := fmt.Sprintf("%d %s", days, rest)
		if err != nil {
			got = "err"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestPhoneDigits(t *testing.T) {
	for s, want := range map[string]string{
		"+45 12 34 56 78": "+4512345678", "(555) 010-0000": "5550100000", "0045 1234": "+451234", "tel:+1-555-555-5555;ext=5555": "+15555555555",
		"555 0100 x12": "5550100", "12": "", "": "", "call me": "", "TEL:112": "112", "+": "", strings.Repeat("1", 99): strings.Repeat("1", 32),
	} {
		if got := phoneDigits(s); got != want {
			t.Errorf("%q gives %q, want %q", s, got, want)
		}
	}
}
