package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Ada Lovelace", "Ada Lovelace"},
		{"Åsa 张伟 👩‍🚀", "Åsa 张伟 👩‍🚀"},
		{"\x1b[2Jgone", `\x1b[2Jgone`},
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\u009b31m", `\u009b31m`},
		{"safe\u202egpj.exe", `safe\u202egpj.exe`},
		{"bad\xff\xc3", `bad\xff\xc3`},
		{"\x7f\x00", `\x7f\x00`},
		{"\U000e0041", `\U000e0041`},
		{"\u2028\ufeff", `\u2028\ufeff`},
	} {
		if got := escape(c.in); got != c.want {
			t.Errorf("escape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := escapeLines("a\nb\x1b"); got != "a\nb\\x1b" {
		t.Errorf("escapeLines = %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b]0;x\x07")
	f.Add("é\u202e\xf0")
	f.Fuzz(func(t *testing.T, s string) {
		if out := escape(s); !utf8.ValidString(out) || strings.ContainsFunc(out, hostile) {
			t.Errorf("escape(%q) = %q", s, out)
		}
		b, err := marshalJSON(s, "")
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(string(b), func(r rune) bool { return r != '\n' && hostile(r) }) {
			t.Errorf("JSON of %q is hostile: %q", s, b)
		}
		var back string
		if err := json.Unmarshal(b, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("JSON of %q reads back as %q: %v", s, back, err)
		}
	})
}
