package pim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// ErrKey is wrapped by errors about a key that a kind does not have.
var ErrKey = errors.New("not a field of this kind")

// friendly says what a key for people stands for.
type friendly struct {
	name string // property
	head string // of a new line, "" for the bare name
	set  func(e *editor, f friendly, value string) error
}

// friendlyKeys are the keys for people, by kind, in the order in which a new
// record gets them.
var friendlyKeys = map[record.Kind][]struct {
	key string
	friendly
}{
	record.Contacts: {
		{"name", friendly{name: "FN", set: setName}},
		{"nickname", friendly{name: "NICKNAME", set: setText}},
		{"phone", friendly{name: "TEL", set: setText}},
		{"mobile", friendly{name: "TEL", head: "TEL;TYPE=CELL", set: setTyped}},
		{"home-phone", friendly{name: "TEL", head: "TEL;TYPE=HOME", set: setTyped}},
		{"work-phone", friendly{name: "TEL", head: "TEL;TYPE=WORK", set: setTyped}},
		{"email", friendly{name: "EMAIL", set: setText}},
		{"address", friendly{name: "ADR", set: setAddress}},
		{"org", friendly{name: "ORG", set: setParts}},
		{"title", friendly{name: "TITLE", set: setText}},
		{"role", friendly{name: "ROLE", set: setText}},
		{"birthday", friendly{name: "BDAY", set: setDay}},
		{"anniversary", friendly{name: "ANNIVERSARY", set: setDay}},
		{"url", friendly{name: "URL", set: setText}},
		{"categories", friendly{name: "CATEGORIES", set: setParts}},
		{"note", friendly{name: "NOTE", set: setText}},
	},
	record.Events: {
		{"title", friendly{name: "SUMMARY", set: setText}},
		{"start", friendly{name: "DTSTART", set: setTime}},
		{"end", friendly{name: "DTEND", set: setTime}},
		{"repeat", friendly{name: "RRULE", set: setText}},
		{"place", friendly{name: "LOCATION", set: setText}},
		{"categories", friendly{name: "CATEGORIES", set: setParts}},
		{"url", friendly{name: "URL", set: setText}},
		{"note", friendly{name: "DESCRIPTION", set: setText}},
	},
	record.Tasks: {
		{"title", friendly{name: "SUMMARY", set: setText}},
		{"start", friendly{name: "DTSTART", set: setTime}},
		{"due", friendly{name: "DUE", set: setTime}},
		{"done", friendly{name: "STATUS", set: setDone}},
		{"priority", friendly{name: "PRIORITY", set: setPriority}},
		{"repeat", friendly{name: "RRULE", set: setText}},
		{"place", friendly{name: "LOCATION", set: setText}},
		{"categories", friendly{name: "CATEGORIES", set: setParts}},
		{"note", friendly{name: "DESCRIPTION", set: setText}},
	},
	record.Notes: {
		{"title", friendly{name: "SUMMARY", set: setText}},
		{"date", friendly{name: "DTSTART", set: setTime}},
		{"categories", friendly{name: "CATEGORIES", set: setParts}},
		{"body", friendly{name: "DESCRIPTION", set: setText}},
	},
	record.Pictures: {
		{"title", friendly{name: "SUMMARY", set: setText}},
		{"taken", friendly{name: "DTSTART", set: setTime}},
		{"place", friendly{name: "GEO", set: setPlace}},
		{"categories", friendly{name: "CATEGORIES", set: setParts}},
		{"note", friendly{name: "DESCRIPTION", set: setText}},
	},
}

// aliases are other words for the friendly keys.
var aliases = map[string]string{
	"fn": "name", "tel": "phone", "cell": "mobile", "mail": "email", "organisation": "org", "organization": "org", "company": "org",
	"bday": "birthday", "website": "url", "summary": "title", "location": "place", "description": "note", "text": "body", "rule": "repeat",
}

// FriendlyKeys lists the friendly keys of a kind, in order.
func FriendlyKeys(kind record.Kind) []string {
	var keys []string
	for _, f := range friendlyKeys[kind] {
		keys = append(keys, f.key)
	}
	return keys
}

func findFriendly(kind record.Kind, key string) (friendly, bool) {
	find := func(key string) (friendly, bool) {
		for _, f := range friendlyKeys[kind] {
			if f.key == key {
				return f.friendly, true
			}
		}
		return friendly{}, false
	}
	f, ok := find(key)
	if a := aliases[key]; !ok && a != "" {
		f, ok = find(a)
	}
	if !ok && kind == record.Notes && (key == "note" || key == "description") {
		f, ok = find("body")
	}
	return f, ok
}

// NewFields makes a record from friendly keys (FriendlyKeys lists them) and raw
// ones (NOTE, X-ABLABEL). Times are given as 2026-11-22, 2026-11-22T09:30 (wall
// time), 2026-11-22T09:30Z, 2026-11-22T09:30+01:00 or 2026-11-22T09:30
// Europe/Berlin. Several values of a repeatable key are given as key, key+2...
func NewFields(kind record.Kind, values map[string]string) ([]record.Field, error) {
	var fields []record.Field
	if kind == record.Contacts {
		fields = append(fields, record.Field{Key: "VERSION", Line: []byte("VERSION:3.0")})
	}
	rank := map[string]int{}
	for i, f := range friendlyKeys[kind] {
		rank[f.key] = i + 1
	}
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		ra, rb := rank[strings.ToLower(baseKey(a))], rank[strings.ToLower(baseKey(b))]
		if ra != rb {
			return (ra+999)%1000 - (rb+999)%1000 // raw keys last
		}
		return strings.Compare(a, b)
	})
	for _, k := range keys {
		key := k
		if strings.Contains(k, "+") {
			key = baseKey(k) + "+"
		}
		var err error
		if fields, err = Apply(kind, fields, key, values[k]); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func baseKey(key string) string {
	key, _, _ = strings.Cut(key, "+")
	return key
}

// Apply sets one friendly or raw key of a record and returns the new fields;
// an empty value removes it. A repeatable key without a tag changes the first
// such field; with a + after it (phone+) it adds another. Other lines are not
// touched, but for those that say the same again: name sets FN and N, done sets
// STATUS, PERCENT-COMPLETE and COMPLETED. fields itself is not changed. Errors
// wrap ErrKey or ErrValue.
func Apply(kind record.Kind, fields []record.Field, key, value string) ([]record.Field, error) {
	e := &editor{kind: kind, fields: slices.Clone(fields)}
	base, add := strings.CutSuffix(key, "+")
	e.add = add
	if kind != record.Contacts && len(fields) > 0 {
		path, ok := (&view{kind: kind, fields: fields}).mainPath()
		if !ok && !strings.Contains(base, "/") {
			return nil, fmt.Errorf("%w: this record has no entry that could have %q", ErrKey, base)
		}
		e.path = path
	}
	if f, ok := findFriendly(kind, strings.ToLower(base)); ok {
		if err := f.set(e, f, value); err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
		return e.fields, nil
	}
	if base == "" || len(base) > record.KeyBytesMax || base != strings.ToUpper(base) && e.find(base) < 0 || !keyOK(base) {
		return nil, fmt.Errorf("%w: %q", ErrKey, key)
	}
	if err := e.setRaw(base, value); err != nil {
		return nil, fmt.Errorf("%s: %w", base, err)
	}
	return e.fields, nil
}

// keyOK reports whether key can be a field's key.
func keyOK(key string) bool {
	for i := 0; i < len(key); i++ {
		if key[i] <= ' ' && !strings.HasPrefix(key, zonePrefix) || key[i] >= 0x7f {
			return false
		}
	}
	return key[0] != '!' && isName(leafName(key))
}

// editor changes the fields of one record.
type editor struct {
	kind   record.Kind
	fields []record.Field
	path   string // of the component that keys without a path mean
	add    bool
}

func (e *editor) find(key string) int {
	return slices.IndexFunc(e.fields, func(f record.Field) bool { return f.Key == key })
}

// target finds the field that a name or key means: the key itself, else the
// first tagged field of that name whose line same accepts.
func (e *editor) target(key string, same func(line []byte) bool) int {
	if e.add {
		return -1
	}
	if i := e.find(key); i >= 0 {
		return i
	}
	return slices.IndexFunc(e.fields, func(f record.Field) bool {
		return strings.HasPrefix(f.Key, key+".") && (same == nil || same(f.Line))
	})
}

// inPath gives a bare key the path of the record's entry: an event can be an
// override alone.
func (e *editor) inPath(key string) string {
	if strings.Contains(key, "/") || strings.HasPrefix(key, zonePrefix) {
		return key
	}
	return e.path + key
}

// put writes value under key's field, with its old head or a new one.
func (e *editor) put(key, head string, value any, same func([]byte) bool) error {
	key = e.inPath(key)
	i := e.target(key, same)
	if joinValue(value, "") == "" {
		if i >= 0 {
			e.fields = slices.Delete(e.fields, i, i+1)
		}
		return nil
	}
	if i >= 0 {
		if head == "" {
			_, head = Decode(e.kind, e.fields[i].Key, e.fields[i].Line)
		}
		line, err := Encode(e.kind, e.fields[i].Key, value, e.dialect(e.fields[i].Key, head, value))
		if err == nil {
			e.fields[i] = record.Field{Key: e.fields[i].Key, Line: line}
		}
		return err
	}
	line, err := Encode(e.kind, key, value, e.dialect(key, head, value))
	if err != nil {
		return err
	}
	if _, leaf := splitKey(key); leaf == leafName(key) {
		ks := keySet{}
		for j := range e.fields {
			ks[e.fields[j].Key]++
		}
		path, _ := splitKey(key)
		key = ks.line(e.kind, path, line)
	}
	e.fields = append(e.fields, record.Field{Key: key, Line: line})
	return nil
}

// dialect returns the head for a value on a vCard 2.1, which knows no escapes:
// whatever needs one, and whatever is not ASCII, is quoted-printable there.
func (e *editor) dialect(key, head string, value any) string {
	i := e.find("VERSION")
	if e.kind != record.Contacts || i < 0 || decodedText(e.kind, "VERSION", e.fields[i].Line) != "2.1" || !quotable[leafName(key)] {
		return head
	}
	if head == "" {
		head = leafName(key)
	}
	needs := strings.ContainsFunc(joinValue(value, ""), func(r rune) bool {
		return r >= 0x80 || r < ' ' || r == '\\' || r == ',' || r == ';'
	})
	p := parseHead(head)
	if !needs || p.encoding() != "" {
		return head
	}
	if p.param("CHARSET") == "" {
		head += ";CHARSET=UTF-8"
	}
	return head + ";ENCODING=QUOTED-PRINTABLE"
}

// quotable are the properties whose values are words.
var quotable = nameSet(`FN N ORG TITLE ROLE NOTE ADR LABEL NICKNAME CATEGORIES`)

func (e *editor) setRaw(key, value string) error {
	var v any = value
	switch typeOf(e.kind, leafName(key)) {
	case structured:
		v = splitUnescaped(value, ';', false)
	case list:
		v = splitUnescaped(value, ',', false)
	}
	if value == "" {
		v = ""
	}
	return e.put(key, "", v, nil)
}

func setText(e *editor, f friendly, value string) error { return e.put(f.name, f.head, value, nil) }

// setParts takes components divided as in the raw value.
func setParts(e *editor, f friendly, value string) error { return e.setRaw(f.name, value) }

// setName sets the name as shown and, from it, its parts: the last word is the
// family name unless a comma says otherwise (Doe, John).
func setName(e *editor, f friendly, value string) error {
	value = strings.Join(strings.Fields(value), " ")
	family, given := "", value
	if a, b, ok := strings.Cut(value, ","); ok {
		family, given = strings.TrimSpace(a), strings.TrimSpace(b)
		value = strings.TrimSpace(given + " " + family)
	} else if i := strings.LastIndexByte(value, ' '); i >= 0 {
		family, given = value[i+1:], value[:i]
	}
	if err := e.put("FN", "", value, nil); err != nil {
		return err
	}
	if value == "" {
		return e.put("N", "", "", nil)
	}
	return e.put("N", "", []any{family, given, "", "", ""}, nil)
}

// setTyped sets the first number of that type.
func setTyped(e *editor, f friendly, value string) error {
	want := parseHead(f.head)
	return e.put(f.name, f.head, value, func(line []byte) bool {
		p, ok := parseProperty(line)
		return ok && p.hasType(want.param("TYPE"))
	})
}

// setAddress takes street, town, region, code and country divided by
// semicolons, or the whole raw value of seven parts.
func setAddress(e *editor, f friendly, value string) error {
	parts := splitUnescaped(value, ';', false)
	if value != "" && len(parts) < 7 {
		parts = append([]any{"", ""}, parts...)
		for len(parts) < 7 {
			parts = append(parts, "")
		}
	}
	if value == "" {
		return e.put(f.name, "", "", nil)
	}
	return e.put(f.name, "", parts, nil)
}

// setDay takes a day, with a year or without (--05-17).
func setDay(e *editor, f friendly, value string) error {
	if rest, ok := strings.CutPrefix(value, "--"); ok {
		if _, err := time.Parse("0102", strings.ReplaceAll(rest, "-", "")); err != nil && rest != "0229" && rest != "02-29" {
			return fmt.Errorf("%w: a day is written 2026-11-22 or --11-22", ErrValue)
		}
		return e.put(f.name, "", "--"+strings.ReplaceAll(rest, "-", ""), nil)
	}
	if m, ok := parseMoment(value); value != "" && (!ok || !m.date) {
		return fmt.Errorf("%w: a day is written 2026-11-22 or --11-22", ErrValue)
	} else if value != "" {
		value = m.t.Format("2006-01-02")
	}
	return e.put(f.name, "", value, nil)
}

// setTime writes a date or time. A wall time keeps the zone that the line had.
func setTime(e *editor, f friendly, value string) error {
	if value == "" {
		return e.put(f.name, "", "", nil)
	}
	when, zone, _ := strings.Cut(value, " ")
	if len(zone) > 0 && zone[0] >= '0' && zone[0] <= '9' { // 2026-11-22 09:30
		when, zone, _ = strings.Cut(when+"T"+zone, " ")
	}
	if t, err := time.Parse("2006-01-02T15:04:05Z07:00", when); err == nil && zone == "" {
		when = t.UTC().Format("2006-01-02T15:04:05Z")
	} else if t, err := time.Parse("2006-01-02T15:04Z07:00", when); err == nil && zone == "" {
		when = t.UTC().Format("2006-01-02T15:04:05Z")
	}
	m, ok := parseMoment(when)
	if !ok || zone != "" && (m.date || m.utc) {
		return fmt.Errorf("%w: a time is written 2026-11-22, 2026-11-22T09:30, 2026-11-22T09:30Z or 2026-11-22T09:30 Europe/Berlin", ErrValue)
	}
	switch {
	case m.date:
		return e.put(f.name, f.name+";VALUE=DATE", m.t.Format("20060102"), nil)
	case m.utc:
		return e.put(f.name, f.name, m.t.Format("20060102T150405Z"), nil)
	case zone != "":
		if systemZone(zone) == nil {
			return fmt.Errorf("%w: no time zone has that name", ErrValue)
		}
	default:
		if i := e.target(e.inPath(f.name), nil); i >= 0 {
			p, _ := parseProperty(e.fields[i].Line)
			zone = p.param("TZID")
		}
	}
	head := f.name
	if zone != "" {
		head += ";TZID=" + escapeParam(zone)
	}
	return e.put(f.name, head, m.t.Format("20060102T150405"), nil)
}

// setDone takes yes, no, or the time when it was done.
func setDone(e *editor, f friendly, value string) error {
	status, percent, completed := "NEEDS-ACTION", "", ""
	switch strings.ToLower(value) {
	case "", "no", "false", "0":
	case "yes", "true", "1":
		status, percent = "COMPLETED", "100"
	default:
		status, percent, completed = "COMPLETED", "100", value
	}
	if err := e.put("STATUS", "", status, nil); err != nil {
		return err
	}
	if err := e.put("PERCENT-COMPLETE", "", percent, nil); err != nil {
		return err
	}
	return setTime(e, friendly{name: "COMPLETED"}, completed)
}

// setPriority takes 1 (highest) to 9, 0 for none, or high, medium, low.
func setPriority(e *editor, f friendly, value string) error {
	if n, ok := map[string]string{"high": "1", "medium": "5", "low": "9", "none": "0"}[strings.ToLower(value)]; ok {
		value = n
	}
	if n, err := strconv.Atoi(value); value != "" && (err != nil || n < 0 || n > 9) {
		return fmt.Errorf("%w: a priority is 0 to 9, high, medium or low", ErrValue)
	}
	return e.put(f.name, "", value, nil)
}

// setPlace takes latitude and longitude.
func setPlace(e *editor, f friendly, value string) error {
	if value == "" {
		return e.put(f.name, "", "", nil)
	}
	a, b, _ := strings.Cut(strings.ReplaceAll(value, ",", ";"), ";")
	lat, err1 := strconv.ParseFloat(strings.TrimSpace(a), 64)
	lon, err2 := strconv.ParseFloat(strings.TrimSpace(b), 64)
	if err1 != nil || err2 != nil || !(lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180) {
		return fmt.Errorf("%w: a place is written latitude,longitude", ErrValue)
	}
	return e.put(f.name, "", strconv.FormatFloat(lat, 'f', -1, 64)+";"+strconv.FormatFloat(lon, 'f', -1, 64), nil)
}
