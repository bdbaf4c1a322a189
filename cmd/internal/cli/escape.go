package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hostile reports whether a rune must not reach a terminal as it is: control
// characters (C0, DEL, C1), and the format characters that reorder or hide text
// (bidirectional controls, line and paragraph separators, tags, BOM).
func hostile(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r == 0x061c, r == 0x180e, r >= 0x200b && r <= 0x200f && r != 0x200c && r != 0x200d:
		return true // 200c and 200d join letters and emoji and are left alone
	case r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff:
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return unicode.Is(unicode.Cs, r)
}

// escape makes s safe to print on one line of a terminal: what is hostile, and
// every byte that is not UTF-8, is shown as a Go escape.
func escape(s string) string { return escapeKeeping(s, "") }

// escapeLines is escape for texts of several lines: newlines and tabs stay.
func escapeLines(s string) string { return escapeKeeping(s, "\n\t") }

func escapeKeeping(s, keep string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || hostile(r) && !strings.ContainsRune(keep, r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !hostile(r) || strings.ContainsRune(keep, r):
			b.WriteString(s[:n])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// escapeJSON makes JSON text safe to print on a terminal, too. Outside strings
// JSON is ASCII, and encoding/json has escaped the C0 controls, so what is left
// stands in strings, where \u escapes mean the same.
func escapeJSON(b []byte) []byte {
	if bytes.IndexFunc(b, func(r rune) bool { return r != '\n' && hostile(r) }) < 0 {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\n' || !hostile(r):
			out = append(out, b[:n]...)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}

// escapeWriter passes text on with everything hostile escaped, but newlines and
// tabs. It is used when raw exports go to a terminal. A rune that is split
// between two writes is shown as bytes; exporters write whole lines.
type escapeWriter struct{ w io.Writer }

func (e escapeWriter) Write(p []byte) (int, error) {
	s := strings.ReplaceAll(string(p), "\r\n", "\n")
	if _, err := io.WriteString(e.w, escapeLines(s)); err != nil {
		return 0, err
	}
	return len(p), nil
}
