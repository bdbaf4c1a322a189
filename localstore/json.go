package localstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// This file reads and writes the JSON of a document: a flat object of strings,
// and lists of strings.

// member is one of a JSON object. Its value is a string, []any of values, or nil
// for null; numbers and booleans become their text, objects their JSON.
type member struct {
	key   string
	value any
}

// membersOf gives the members of the JSON object text, in order.
func membersOf(text string) ([]member, error) {
	if list, ok := plainMembers(text); ok {
		return list, nil
	}
	return anyMembers(text)
}

// plainMembers reads what the agent and the triggers write: strings and lists of
// strings, with the short escapes and no space between. Of anything else ok is false.
func plainMembers(text string) (list []member, ok bool) {
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' || !utf8.ValidString(text) {
		return nil, false
	}
	p := plainJSON{text: text[:len(text)-1], at: 1}
	for p.at < len(p.text) {
		if len(list) > 0 && !p.skip(',') {
			return nil, false
		}
		m := member{key: p.string()}
		if !p.skip(':') {
			return nil, false
		}
		m.value = p.value()
		if p.bad {
			return nil, false
		}
		if list == nil {
			list = make([]member, 0, 1+strings.Count(text, `":`))
		}
		list = append(list, m)
	}
	return list, !p.bad
}

// plainJSON reads JSON; bad says that it met something that it does not know.
type plainJSON struct {
	text string
	at   int
	bad  bool
}

func (p *plainJSON) skip(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	p.bad = true
	return false
}

// value reads a string or a list of strings.
func (p *plainJSON) value() any {
	if p.at < len(p.text) && p.text[p.at] != '[' {
		return p.string()
	}
	p.skip('[')
	list := []any{}
	for !p.bad && p.at < len(p.text) && p.text[p.at] != ']' {
		if len(list) > 0 && !p.skip(',') {
			break
		}
		list = append(list, p.string())
	}
	p.skip(']')
	return list
}

// string reads a string.
func (p *plainJSON) string() string {
	if !p.skip('"') {
		return ""
	}
	start, escapes := p.at, false
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			s := p.text[start:p.at]
			p.at++
			if escapes {
				s = p.unescape(s)
			}
			return s
		case c == '\\':
			escapes = true
			p.at++
		case c < ' ':
			p.bad = true
			return ""
		}
	}
	p.bad = true
	return ""
}

// unescape undoes the escapes of one byte.
func (p *plainJSON) unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			i++
			switch c = s[i]; c {
			case '"', '\\', '/':
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			default:
				p.bad = true
				return ""
			}
		}
		b = append(b, c)
	}
	return string(b)
}

// anyMembers reads any JSON object.
func anyMembers(text string) (list []member, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("a document is not a JSON object: %w", ErrDamaged)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("a document is not JSON: %w", ErrDamaged)
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("a document is not JSON: %w", ErrDamaged)
		}
		list = append(list, member{key.(string), plain(v)})
	}
	return list, nil
}

func plain(v any) any {
	switch v := v.(type) {
	case nil, string:
		return v
	case []any:
		for i := range v {
			if v[i] = plain(v[i]); v[i] == nil {
				v[i] = ""
			}
		}
		return v
	case json.Number:
		return v.String()
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendString(b, v), nil
	case []any:
		b = append(b, '[')
		for i := range v {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendValue(b, v[i]); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return appendValue(b, list)
	}
	return nil, fmt.Errorf("a value of type %T can not stand in a document", v)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string (RFC 8259 section 7), escaping only what must be.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}
