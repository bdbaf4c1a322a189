package pim

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// unescapeText undoes the backslash escapes of RFC 5545 section 3.3.11 and RFC
// 6350 section 3.4, and \: of RFC 2425 writers. Other backslashes stand for
// themselves.
func unescapeText(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			switch c := s[i+1]; c {
			case 'n', 'N':
				b = append(b, '\n')
				i++
				continue
			case '\\', ',', ';', ':':
				b = append(b, c)
				i++
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// escapeText writes a TEXT value.
func escapeText(s string) string { return string(backslash(nil, s, escapedText)) }

// Which bytes a backslash goes before: escapedAlways those that no value may hold
// raw, for values whose commas and semicolons have a meaning of their own.
const (
	escapedAlways = 1
	escapedText   = 2
)

var escaped = [256]byte{
	'\r': escapedAlways | escapedText, '\n': escapedAlways | escapedText, '\\': escapedAlways | escapedText,
	',': escapedText, ';': escapedText,
}

// backslash appends s with a backslash before each byte that is escaped. Of a new
// line however it is written it makes \n.
func backslash(b []byte, s string, which byte) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if escaped[c]&which == 0 {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch {
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
			continue
		case c == '\r' || c == '\n':
			c = 'n'
		}
		b = append(b, '\\', c)
	}
	return append(b, s[start:]...)
}

// splitEscaped divides s at each sep that no backslash precedes.
func splitEscaped(s string, sep byte) []string {
	parts := make([]string, 0, 1+strings.Count(s, string(sep)))
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// toUTF8 gives b as valid UTF-8. The declared charset is believed unless it is
// empty or unknown; bytes that are not UTF-8 then are read as Windows-1252, which
// every byte has a meaning in. NUL, which SQL text can not hold, becomes U+FFFD.
func toUTF8(b []byte, charset string) string {
	s := string(b)
	if enc := findCharset(charset); enc != nil {
		if d, err := enc.NewDecoder().Bytes(b); err == nil {
			s = string(d)
		}
	}
	if !utf8.ValidString(s) {
		if d, err := charmap.Windows1252.NewDecoder().String(s); err == nil {
			s = d
		}
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// findCharset returns the encoding that a CHARSET parameter names, or nil for
// UTF-8, US-ASCII and names that nobody knows.
func findCharset(name string) encoding.Encoding {
	switch strings.ToUpper(name) {
	case "", "UTF-8", "UTF8", "US-ASCII", "ASCII":
		return nil
	}
	enc, err := htmlindex.Get(name)
	if err != nil {
		return nil
	}
	return enc
}

// decodeQuoted undoes quoted-printable (RFC 2045 section 6.7). It is total:
// an = that begins no escape stands for itself.
func decodeQuoted(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '=' {
			out = append(out, b[i])
			continue
		}
		if i+2 < len(b) {
			if h, l := unhex(b[i+1]), unhex(b[i+2]); h >= 0 && l >= 0 {
				out = append(out, byte(h<<4|l))
				i += 2
				continue
			}
		}
		j := i + 1
		for j < len(b) && (b[j] == ' ' || b[j] == '\t') {
			j++
		}
		switch {
		case j == len(b): // a soft break with nothing after it
			i = j
		case b[j] == '\n':
			i = j
		default:
			out = append(out, '=')
		}
	}
	return out
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// encodeQuoted writes quoted-printable after a head of column bytes, with soft
// breaks so that no line is longer than 76 (RFC 2045 section 6.7).
func encodeQuoted(s []byte, column int) []byte {
	const hexDigits = "0123456789ABCDEF"
	var out []byte
	for i, c := range s {
		width := 1
		plain := c >= '!' && c <= '~' && c != '=' || (c == ' ' || c == '\t') && i+1 < len(s)
		if !plain {
			width = 3
		}
		if column+width > 75 {
			out = append(out, '=', '\n')
			column = 0
			// A line must not begin with what a reader could take for a fold,
			// nor for BEGIN or END.
			if strings.IndexByte(" \tBbEe", c) >= 0 {
				plain, width = false, 3
			}
		}
		if plain {
			out = append(out, c)
		} else {
			out = append(out, '=', hexDigits[c>>4], hexDigits[c&15])
		}
		column += width
	}
	return out
}

// decodeExactBase64 decodes text that standard base64 would write back exactly.
func decodeExactBase64(text []byte) ([]byte, bool) {
	if len(text)%4 != 0 {
		return nil, false
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		return nil, false
	}
	return data[:n], true
}
