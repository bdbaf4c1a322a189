package pim

import (
	"bufio"
	"bytes"
	"unicode/utf8"
)

// lineWriter writes content lines with CRLF and folds them at 75 octets (RFC
// 5545 section 3.1, RFC 6350 section 3.2), never inside a UTF-8 character.
// Errors are kept by the bufio.Writer until its Flush.
type lineWriter struct {
	w *bufio.Writer
	// unfolded: vCard 2.1, where a fold would leave its space in the text.
	// Only base64 is folded there, and an empty line ends it.
	unfolded bool
}

// line writes one field's line. Line feeds inside it divide it into lines of
// their own.
func (lw *lineWriter) line(b []byte) {
	base64 := false
	if lw.unfolded && len(b) > foldOctets {
		p, ok := parseProperty(b)
		base64 = ok && p.encoding() == "BASE64"
	}
	// A quoted-printable value is never folded: behind a = a fold would be a soft
	// break. In a block that is kept whole each line has an encoding of its own.
	quoted := isQuotedPrintable(b)
	inside := quoted
	for {
		part, rest, more := bytes.Cut(b, []byte{'\n'})
		if (!lw.unfolded || base64) && !inside {
			lw.folded(part)
		} else {
			lw.w.Write(part)
			lw.w.WriteString("\r\n")
		}
		if !more {
			break
		}
		b = rest
		inside = quoted || inside && endsInSoftBreak(part) || isQuotedPrintable(rest)
	}
	if base64 || quoted && endsInSoftBreak(b) { // a soft break with nothing behind it would take the next line
		lw.w.WriteString("\r\n")
	}
}

func (lw *lineWriter) folded(b []byte) {
	width := foldOctets
	for len(b) > width {
		n := width
		for n > width-utf8.UTFMax && !utf8.RuneStart(b[n]) {
			n--
		}
		if !utf8.RuneStart(b[n]) { // not UTF-8: anywhere will do
			n = width
		}
		lw.w.Write(b[:n])
		lw.w.WriteString("\r\n ")
		b, width = b[n:], foldOctets-1
	}
	lw.w.Write(b)
	lw.w.WriteString("\r\n")
}
