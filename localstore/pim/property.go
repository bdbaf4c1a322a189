package pim

import (
	"bytes"
	"strings"
)

// property is a content line taken apart: group, name, parameters and where
// the value begins (RFC 6350 section 3.3, RFC 5545 section 3.1). The line
// itself stays the truth; this is a view of it.
type property struct {
	group, name string
	params      []param
	value       []byte // after the colon, as it stands
}

// param is one parameter. A vCard 2.1 parameter without a name has Name "".
// Values are unquoted, with RFC 6868 circumflex escapes undone.
type param struct {
	name   string // upper case
	values []string
}

// valueColon returns the index of the colon before the value: the first one
// outside double quotes, or, where a quote is never closed, the first one. It
// is -1 when the line has none or no name stands before it.
func valueColon(line []byte) int {
	first, quoted := -1, false
	for i, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ':' && first < 0:
			first = i
			fallthrough
		case c == ':':
			if !quoted {
				return namedColon(line, i)
			}
		case c == '\n': // a soft break: the head ended before
			return namedColon(line, first)
		}
	}
	if !quoted { // the only colons stand inside closed quotes
		return -1
	}
	return namedColon(line, first)
}

// namedColon returns colon if what stands before it begins with something that
// can be a property name, else -1.
func namedColon(line []byte, colon int) int {
	if colon <= 0 {
		return -1
	}
	name, _, _ := bytes.Cut(line[:colon], []byte(";"))
	if !nameOK(name) {
		return -1
	}
	return colon
}

// nameOK reports whether name, with its group, can be that of a property.
func nameOK[T string | []byte](name T) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '"' || c == '=' || c == '\\' || c == ',' || c == 0x7f {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 255
}

// isName reports whether s is a name as the RFCs have it.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}

// parseProperty takes a line apart; ok is false when it has no name and colon.
func parseProperty(line []byte) (p property, ok bool) {
	colon := valueColon(line)
	if colon < 0 {
		return property{value: line}, false
	}
	p = parseHead(string(line[:colon]))
	p.value = line[colon+1:]
	return p, true
}

func parseHead(head string) (p property) {
	parts := splitOutsideQuotes(head, ';')
	p.name = parts[0]
	if i := strings.LastIndexByte(p.name, '.'); i >= 0 {
		p.group, p.name = p.name[:i], p.name[i+1:]
	}
	for _, s := range parts[1:] {
		name, value, named := strings.Cut(s, "=")
		if !named {
			p.params = append(p.params, param{"", []string{s}})
			continue
		}
		q := param{name: strings.ToUpper(name)}
		for _, v := range splitOutsideQuotes(value, ',') {
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			q.values = append(q.values, unescapeParam(v))
		}
		p.params = append(p.params, q)
	}
	return p
}

func splitOutsideQuotes(s string, sep byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unescapeParam undoes RFC 6868: ^n is a new line, ^' a double quote, ^^ a
// circumflex; any other circumflex stands for itself.
func unescapeParam(s string) string {
	if strings.IndexByte(s, '^') < 0 {
		return s
	}
	return paramUnescaper.Replace(s)
}

var (
	paramUnescaper = strings.NewReplacer("^^", "^", "^n", "\n", "^N", "\n", "^'", `"`)
	paramEscaper   = strings.NewReplacer("^", "^^", "\n", "^n", `"`, "^'")
)

// escapeParam writes a parameter value (RFC 6868), quoted where it must be.
func escapeParam(s string) string {
	s = paramEscaper.Replace(s)
	if strings.ContainsAny(s, ":;,") {
		return `"` + s + `"`
	}
	return s
}

// param returns the first value of the named parameter, or "".
func (p *property) param(name string) string {
	for _, q := range p.params {
		if q.name == name && len(q.values) > 0 {
			return q.values[0]
		}
	}
	return ""
}

// encoding returns the ENCODING in upper case, with the bare words of vCard
// 2.1 understood and B written BASE64.
func (p *property) encoding() string {
	e := strings.ToUpper(p.param("ENCODING"))
	for _, q := range p.params {
		if q.name == "" {
			switch w := strings.ToUpper(q.values[0]); w {
			case "QUOTED-PRINTABLE", "BASE64", "B":
				e = w
			}
		}
	}
	if e == "B" {
		return "BASE64"
	}
	return e
}

// hasType reports whether a TYPE parameter or a bare word has the given value.
func (p *property) hasType(t string) bool {
	for _, q := range p.params {
		if q.name != "TYPE" && q.name != "" {
			continue
		}
		for _, v := range q.values {
			for _, w := range strings.Split(v, ",") {
				if strings.EqualFold(strings.TrimSpace(w), t) {
					return true
				}
			}
		}
	}
	return false
}

// isQuotedPrintable reports whether the line's head says that its value is
// quoted-printable.
func isQuotedPrintable(line []byte) bool {
	colon := valueColon(line)
	if colon < 0 || !bytes.Contains(bytes.ToUpper(line[:colon]), []byte("QUOTED-PRINTABLE")) {
		return false
	}
	p := parseHead(string(line[:colon]))
	return p.encoding() == "QUOTED-PRINTABLE"
}
