package pim

import "bytes"

// logical is one content line, unfolded (RFC 5545 section 3.1, RFC 6350
// section 3.2). A quoted-printable value keeps its soft breaks as "=\n", so
// that it goes out as it came in.
type logical struct {
	text []byte
	no   int // number of its first physical line, from 1
}

// lineReader divides a file into content lines. It accepts CRLF, LF, CR and
// CR CR LF as line ends, mixed. Empty lines are no content and are left out,
// except inside a soft-broken value.
type lineReader struct {
	b       []byte
	pos, no int // next unread byte; physical lines read
	problem func(line int, reason string, o Outcome)
}

func newLineReader(b []byte, problem func(int, string, Outcome)) *lineReader {
	return &lineReader{b: bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), problem: problem}
}

// physical returns the line at r.pos and where the one after it begins.
func (r *lineReader) physical() (line []byte, next int) {
	rest := r.b[r.pos:]
	i := bytes.IndexAny(rest, "\r\n")
	if i < 0 {
		return rest, len(r.b)
	}
	line, next = rest[:i:i], r.pos+i
	for j := next; j < len(r.b); j++ {
		if r.b[j] == '\n' {
			return line, j + 1
		}
		if r.b[j] != '\r' {
			break
		}
	}
	return line, next + 1
}

// next returns the next content line; ok is false at the end of the file.
func (r *lineReader) next() (l logical, ok bool) {
	for r.pos < len(r.b) {
		line, after := r.physical()
		r.pos, r.no = after, r.no+1
		if len(line) == 0 {
			continue
		}
		l = logical{line, r.no}
		if r.join(&l) {
			return l, true
		}
	}
	return logical{}, false
}

// join appends the physical lines that continue l. It reports false, having
// skipped them, when the whole is too long to carry.
func (r *lineReader) join(l *logical) bool {
	fits := len(l.text) < LineBytesMax
	quoted := isQuotedPrintable(l.text)
	last, segment := l.text, 0 // the last physical line; where what stands behind the last soft break begins
lines:
	for r.pos < len(r.b) {
		line, after := r.physical()
		soft := quoted && endsInSoftBreak(last)
		if fits {
			soft = quoted && endsInSoftBreak(l.text)
		}
		var sep string
		switch {
		case soft && (isMarker(line, "BEGIN") || isMarker(line, "END")):
			break lines
		case soft:
			sep = "\n"
		case len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
			if segment == 0 || !makesMarker(l.text[segment:], line[1:]) { // such a line keeps its blank, else it would be one when it is written
				line = line[1:]
			}
		case len(line) == 0 && r.skipToFold(after):
			continue
		default:
			break lines
		}
		r.pos, r.no, last = after, r.no+1, line
		if len(line) > 0 && len(l.text)+len(line) >= LineBytesMax {
			fits = false
			continue
		}
		if fits {
			if l.text = append(l.text, sep...); sep != "" {
				segment = len(l.text)
			}
			l.text = append(l.text, line...)
		}
		if len(l.text) < headBytesMax { // the head itself may have been folded
			quoted = isQuotedPrintable(l.text)
		}
	}
	if !fits {
		r.problem(l.no, "a line is longer than can be carried", Refused)
		return false
	}
	if endsInSoftBreak(l.text) && isQuotedPrintable(l.text) {
		r.problem(r.no, "a quoted-printable value ends in a soft line break; an empty line was put behind it", Repaired)
		l.text = append(l.text, '\n') // else what is written behind it would be a part of it
	}
	return true
}

// skipToFold moves to the line that continues a fold after empty lines, the
// first of which ended at pos. It reports false, having moved nothing, when
// what follows them is no fold.
func (r *lineReader) skipToFold(pos int) bool {
	end := pos
	for end < len(r.b) && (r.b[end] == '\r' || r.b[end] == '\n') {
		end++
	}
	if end == len(r.b) || r.b[end] != ' ' && r.b[end] != '\t' {
		return false
	}
	for r.pos < end {
		_, r.pos = r.physical()
		r.no++
	}
	return true
}

func endsInSoftBreak(b []byte) bool {
	b = bytes.TrimRight(b, " \t")
	return len(b) > 0 && b[len(b)-1] == '='
}

// isMarker reports whether line is "word:..." for BEGIN or END, in any case.
func isMarker(line []byte, word string) bool {
	return len(line) > len(word) && line[len(word)] == ':' && bytes.EqualFold(line[:len(word)], []byte(word))
}

// makesMarker reports whether begun and then line begin as a marker does.
func makesMarker(begun, line []byte) bool {
	const longest = len("BEGIN:")
	if len(begun) >= longest {
		return false
	}
	both := append(bytes.Clone(begun), line[:min(len(line), longest)]...)
	return isMarker(both, "BEGIN") || isMarker(both, "END")
}

// markerName returns the component that a BEGIN or END line names, in upper case.
func markerName(line []byte) string {
	return string(bytes.ToUpper(bytes.TrimSpace(line[bytes.IndexByte(line, ':')+1:])))
}
