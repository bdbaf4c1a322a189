package pim

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sidekeep/localstore/record"
)

// ErrValue is wrapped by errors about values that no content line can hold.
var ErrValue = errors.New("not a value that a content line can hold")

// valueType says how the value of a property is written.
type valueType int

const (
	loose      valueType = iota // only backslash and new line are escaped: X- names, URLs, numbers
	text                        // TEXT: comma and semicolon are escaped too
	structured                  // components divided by semicolons
	list                        // items divided by commas
	verbatim                    // dates, rules, ids: nothing is escaped
)

var contactTypes = map[string]valueType{
	"N": structured, "ADR": structured, "ORG": structured, "GENDER": structured,
	"CATEGORIES": list, "NICKNAME": list,
	"FN": text, "TITLE": text, "ROLE": text, "NOTE": text, "LABEL": text, "NAME": text, "SORT-STRING": text,
	"BDAY": verbatim, "REV": verbatim, "UID": verbatim, "PRODID": verbatim, "VERSION": verbatim, "GEO": verbatim,
	"BEGIN": verbatim, "END": verbatim, "LINE": verbatim, "PHOTO": verbatim, "KEY": verbatim, "LOGO": verbatim, "SOUND": verbatim,
}

var calendarTypes = map[string]valueType{
	"CATEGORIES": list, "RESOURCES": list,
	"SUMMARY": text, "DESCRIPTION": text, "LOCATION": text, "COMMENT": text, "CONTACT": text, "TZNAME": text, "NAME": text,
	"X-WR-CALNAME": text, "X-WR-CALDESC": text, "PRODID": verbatim, "METHOD": verbatim,
	"DTSTART": verbatim, "DTEND": verbatim, "DUE": verbatim, "DURATION": verbatim, "RRULE": verbatim, "EXRULE": verbatim,
	"RDATE": verbatim, "EXDATE": verbatim, "RECURRENCE-ID": verbatim, "DTSTAMP": verbatim, "CREATED": verbatim,
	"LAST-MODIFIED": verbatim, "COMPLETED": verbatim, "TRIGGER": verbatim, "UID": verbatim, "GEO": verbatim,
	"ORGANIZER": verbatim, "ATTENDEE": verbatim, "URL": verbatim, "ATTACH": verbatim, "VERSION": verbatim,
	"BEGIN": verbatim, "END": verbatim, "LINE": verbatim,
}

func typeOf(kind record.Kind, name string) valueType {
	if kind == record.Contacts {
		return contactTypes[name]
	}
	return calendarTypes[name]
}

// Decode gives the document form of a content line: the value as a person means
// it, and the line's head (everything before the value's colon: group, name,
// parameters) where that is not just the property name of key. The value is a
// string, or a []any of strings for structured and list values (N, ADR, ORG,
// GENDER, CATEGORIES, NICKNAME, RESOURCES). It is always valid UTF-8. It never
// fails: a line that is no property is its own value.
func Decode(kind record.Kind, key string, line []byte) (value any, head string) {
	name := leafName(key)
	_, leaf := splitKey(key)
	line = bytes.TrimSuffix(line, []byte{0}) // the text is a blob
	colon := valueColon(line)
	if colon < 0 || name == leafLine || strings.HasPrefix(leaf, zonePrefix) {
		return toUTF8(line, ""), ""
	}
	t, rest := typeOf(kind, name), line[colon+1:]
	if string(line[:colon]) == name && plainHead(name) {
		return decodeValue(t, property{}, rest), ""
	}
	if head = string(line[:colon]); plainHead(head) {
		return decodeValue(t, property{}, rest), head
	}
	value = decodeValue(t, parseHead(head), rest)
	if head == name {
		head = ""
	}
	return value, toUTF8([]byte(head), "")
}

// decodeValue decodes the bytes after the colon.
func decodeValue(t valueType, p property, b []byte) any {
	quoted := p.encoding() == "QUOTED-PRINTABLE"
	if quoted {
		b = decodeQuoted(b)
	}
	s := toUTF8(b, p.param("CHARSET"))
	if quoted {
		s = lineEnds.Replace(s)
	}
	switch t {
	case structured:
		return splitUnescaped(s, ';', quoted)
	case list:
		return splitUnescaped(s, ',', quoted)
	case verbatim:
		return s
	}
	if quoted { // new lines and backslashes already are what they mean
		return s
	}
	return unescapeText(s)
}

func splitUnescaped(s string, sep byte, quoted bool) []any {
	parts := splitEscaped(s, sep)
	values := make([]any, len(parts))
	for i, p := range parts {
		if quoted {
			values[i] = strings.ReplaceAll(p, `\`+string(sep), string(sep))
		} else {
			values[i] = unescapeText(p)
		}
	}
	return values
}

// decodedText is the decoded value of a line as one string.
func decodedText(kind record.Kind, name string, line []byte) string {
	p, ok := parseProperty(line)
	if !ok {
		return string(line)
	}
	return joinValue(decodeValue(typeOf(kind, name), p, p.value), "\x1f")
}

// joinValue makes one string of a document value.
func joinValue(value any, sep string) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = joinValue(e, ",")
		}
		return strings.Join(parts, sep)
	case []string:
		return strings.Join(v, sep)
	}
	return fmt.Sprint(value)
}

// Encode makes a content line from a document value and a head, which is empty
// for the plain property name of key. A string for a structured or list value
// is its only component; other JSON values are written as text. For lines that
// this package would have written itself, Encode(Decode(line)) is the line:
// keep the raw line where it is not. An error (ErrValue) means that value or
// head can not stand in a content line.
func Encode(kind record.Kind, key string, value any, head string) ([]byte, error) {
	line, err := Append([]byte{}, kind, key, value, head)
	if err != nil {
		return nil, err
	}
	return line, nil
}

// Append appends to b the line that Encode makes. With an error it returns b.
func Append(b []byte, kind record.Kind, key string, value any, head string) ([]byte, error) {
	name := leafName(key)
	_, leaf := splitKey(key)
	if strings.HasPrefix(leaf, zonePrefix) {
		s := joinValue(value, ",")
		if !isMarker([]byte(s), "BEGIN") || markerName([]byte(firstLine(s))) != "VTIMEZONE" {
			return b, fmt.Errorf("%w: a time zone begins with BEGIN:VTIMEZONE", ErrValue)
		}
		return append(b, s...), nil
	}
	if name == leafLine && head == "" {
		s := joinValue(value, ",")
		if strings.ContainsAny(s, "\r\n") {
			return b, fmt.Errorf("%w: a line without a name can not be divided", ErrValue)
		}
		return append(b, s...), nil
	}
	if head == "" {
		head = name
	}
	t := typeOf(kind, name)
	if plainHead(head) {
		line, err := appendValue(append(append(b, head...), ':'), t, value, false)
		if err != nil {
			return b, fmt.Errorf("%w: %s: %s", ErrValue, name, err)
		}
		return line, nil
	}
	if !headOK(head) {
		return b, fmt.Errorf("%w: the name or parameters of %s are malformed", ErrValue, name)
	}
	line, err := encodeLine(t, head, value)
	return append(b, line...), err
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimSuffix(s, "\r")
}

// plainHead reports whether head may begin a line and says nothing of how the
// value is written: it is ASCII, quotes nothing, and names neither an encoding
// nor a charset. Nearly all heads are so, and need not be taken apart.
func plainHead(head string) bool {
	for i := 0; i < len(head); i++ {
		switch c := head[i]; {
		case c < ' ' || c >= 0x7f || c == '"' || c == ':':
			return false
		case c|0x20 == 'c' && hasWord(head[i:], "CHARSET"), c|0x20 == 'q' && hasWord(head[i:], "QUOTED"):
			return false
		}
	}
	name, _, _ := strings.Cut(head, ";")
	return nameOK(name)
}

func hasWord(s, word string) bool {
	return len(s) >= len(word) && strings.EqualFold(s[:len(word)], word)
}

// headOK reports whether a line may begin with head and a colon.
func headOK(head string) bool {
	for i := 0; i < len(head); i++ {
		if head[i] < ' ' && head[i] != '\t' || head[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(head) && strings.Count(head, `"`)%2 == 0 && valueColon([]byte(head+":")) == len(head)
}

func encodeLine(t valueType, head string, value any) ([]byte, error) {
	p := parseHead(head)
	quoted := p.encoding() == "QUOTED-PRINTABLE"
	b, err := appendValue(nil, t, value, quoted)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrValue, p.name, err)
	}
	s := string(b)
	if charset := p.param("CHARSET"); findCharset(charset) != nil {
		if e, err := findCharset(charset).NewEncoder().Bytes(b); err == nil && toUTF8(e, charset) == s && !bytes.HasSuffix(e, []byte{0}) {
			b = e
		} else { // the old charset lacks a character, does not lead back, or ends like a line with a blob
			head = replaceCharset(head, charset)
		}
	}
	line := append([]byte(head), ':')
	if quoted {
		b = encodeQuoted(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), len(line))
	}
	return append(line, b...), nil
}

// appendValue appends a value as it stands in a line.
func appendValue(b []byte, t valueType, value any, quoted bool) ([]byte, error) {
	var sep string
	switch t {
	case structured:
		sep = ";"
	case list:
		sep = ","
	}
	parts, ok := value.([]any)
	if !ok || sep == "" {
		start := len(b)
		b = appendText(b, t, sep, joinValue(value, ","), quoted)
		if !quoted && bytes.ContainsAny(b[start:], "\r\n") {
			return b, errors.New("it can not hold a new line")
		}
		return b, nil
	}
	for i, p := range parts {
		if i > 0 {
			b = append(b, sep...)
		}
		items, nested := p.([]any)
		if !nested || quoted {
			b = appendText(b, t, sep, joinValue(p, ","), quoted)
			continue
		}
		for j := range items { // a list inside a component
			if j > 0 {
				b = append(b, ',')
			}
			b = appendText(b, t, sep, joinValue(items[j], ","), false)
		}
	}
	return b, nil
}

// appendText appends text with what its type escapes, and, in quoted-printable
// lines, sep.
func appendText(b []byte, t valueType, sep, s string, quoted bool) []byte {
	switch {
	case quoted:
		s = lineEnds.Replace(s)
		if sep != "" {
			s = strings.ReplaceAll(s, sep, `\`+sep)
		}
		return append(b, s...)
	case t == verbatim:
		return append(b, s...)
	case t == loose:
		return backslash(b, s, escapedAlways)
	}
	return backslash(b, s, escapedText)
}

// replaceCharset makes the CHARSET parameter of head say UTF-8.
func replaceCharset(head, old string) string {
	i := strings.Index(strings.ToUpper(head), "CHARSET=")
	if i < 0 {
		return head
	}
	i += len("CHARSET=")
	rest := strings.TrimPrefix(strings.TrimPrefix(head[i:], `"`), old)
	return head[:i] + "UTF-8" + strings.TrimPrefix(rest, `"`)
}

// Stays reports whether Decode surely gives value and head again for the line
// that Encode makes of them, without making it. It knows text under plain heads;
// of anything else it says false.
func Stays(kind record.Kind, key string, value any, head string) bool {
	name := leafName(key)
	if _, leaf := splitKey(key); name == leafLine || strings.HasPrefix(leaf, zonePrefix) || head == name {
		return false
	}
	if head == "" {
		head = name
	}
	if !plainHead(head) {
		return false
	}
	t := typeOf(kind, name)
	if t == structured || t == list {
		parts, ok := value.([]any)
		for _, p := range parts {
			ok = ok && plainText(p, t)
		}
		return ok && len(parts) > 0
	}
	return plainText(value, t)
}

// plainText reports whether value is text that is written and read without
// change: UTF-8, and no control characters but new lines where they are escaped.
func plainText(value any, t valueType) bool {
	s, ok := value.(string)
	if !ok {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && (c != '\n' || t == verbatim) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// Returns reports whether Encode makes line again of the value and head that
// Decode gave for it.
func Returns(kind record.Kind, key string, line []byte, value any, head string) bool {
	if same, known := returns(kind, key, line, value, head); known {
		return same
	}
	again, err := Encode(kind, key, value, head)
	return err == nil && bytes.Equal(again, line)
}

// returns compares line with what Encode makes, without making it. It does not
// know values that are not text, or not under a plain head.
func returns(kind record.Kind, key string, line []byte, value any, head string) (same, known bool) {
	name := leafName(key)
	if _, leaf := splitKey(key); name == leafLine || strings.HasPrefix(leaf, zonePrefix) {
		return false, false
	}
	if head == "" {
		head = name
	}
	if !plainHead(head) {
		return false, false
	}
	if len(line) <= len(head) || string(line[:len(head)]) != head || line[len(head)] != ':' {
		return false, true
	}
	rest, t := line[len(head)+1:], typeOf(kind, name)
	parts, divided := value.([]any)
	if !divided {
		s, ok := value.(string)
		n := writtenAs(rest, s, t)
		return n == len(rest), ok && n >= 0
	}
	sep := byte(';')
	switch t {
	case list:
		sep = ','
	case structured:
	default:
		return false, false
	}
	for i, p := range parts {
		if i > 0 {
			if len(rest) == 0 || rest[0] != sep {
				return false, true
			}
			rest = rest[1:]
		}
		s, ok := p.(string)
		n := writtenAs(rest, s, t)
		if !ok || n < 0 {
			return false, false
		}
		rest = rest[n:]
	}
	return len(rest) == 0, true
}

// writtenAs returns how many bytes of line s takes as appendValue writes it, -1
// if line does not begin so, or s has what is not simply escaped.
func writtenAs(line []byte, s string, t valueType) int {
	at := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\r', c == '\n' && t == verbatim:
			return -1
		case c == '\n', t != verbatim && c == '\\', t != verbatim && t != loose && (c == ',' || c == ';'):
			if at == len(line) || line[at] != '\\' {
				return -1
			}
			at++
			if c == '\n' {
				c = 'n'
			}
		}
		if at == len(line) || line[at] != c {
			return -1
		}
		at++
	}
	return at
}
