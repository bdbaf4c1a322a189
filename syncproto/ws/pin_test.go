package ws

import "testing"

func TestParsePin(t *testing.T) {
	var p Pin
	for i := range p {
		p[i] = byte(7 * i)
	}
	got, err := ParsePin(p.String())
	if err != nil || got != p {
		t.Errorf("%v became %v, %v", p, got, err)
	}
	text := p.String()
	for _, bad := range []string{"", "sha256/", text[:len(text)-1], text + "=", text[7:], "sha1/" + text[7:], text[:20] + "\n" + text[20:], text[:20] + "-" + text[21:]} {
		if _, err := ParsePin(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
