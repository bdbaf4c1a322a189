package pim

import (
	"math/rand/v2"
	"testing"
)

// TestPlainHead holds that a plain head is good, and says nothing of encoding or charset.
func TestPlainHead(t *testing.T) {
	for head, want := range map[string]bool{
		"FN": true, "TEL;TYPE=CELL": true, "item1.TEL;TYPE=home,pref": true, "X-a b": true, "TEL;CELL;BASE64": true,
		"": false, ";A=b": false, "NOTE;ENCODING=QUOTED-PRINTABLE": false, "NOTE;quoted-printable": false, "N;Charset=utf-8": false,
		"A:B": false, `A;B="c"`: false, "A\n": false, "Æ": false, "A=B": false, "A;B=\x7f": false,
	} {
		if plainHead(head) != want {
			t.Errorf("plainHead(%q) is %v", head, !want)
		}
	}
	pieces := []string{"A", "tel", ";", "=", ",", ":", `"`, "^", ".", " ", "TYPE", "ENCODING", "CHARSET", "charset", "QUOTED-PRINTABLE", "quoted-printable", "QUOTED-PR", "INTABLE", "\u0131", "\n", "\\", "-"}
	plain := 0
	for range 200_000 {
		head := ""
		for range 1 + rand.IntN(8) {
			head += pieces[rand.IntN(len(pieces))]
		}
		if !plainHead(head) {
			continue
		}
		plain++
		if p := parseHead(head); !headOK(head) || p.encoding() == "QUOTED-PRINTABLE" || p.param("CHARSET") != "" || toUTF8([]byte(head), "") != head {
			t.Fatalf("%q is taken for a plain head", head)
		}
	}
	if plain < 1000 {
		t.Errorf("only %d heads were plain", plain)
	}
}
