package pim

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"sidekeep/localstore/record"
)

// Columns are what a store keeps beside a record to list, sort and search it.
type Columns struct {
	Title   string // as shown in lists; "" only when the record has no text at all
	SortKey string // sorts titles without regard to case and accents; family name first for contacts
	// Start, End and Due are UTC as 2006-01-02T15:04:05Z, or 2006-01-02 for
	// whole days (End then is the day after the last); "" when absent or not
	// understood. They are of the main component (else the first override),
	// not of recurrences. Wall times without a zone are taken as UTC.
	Start, End, Due string
	AllDay          bool
	Digits          []string // phone numbers: digits, with a leading + where it was written
	Text            string   // all that a person would search for, a value a line
}

const (
	titleMax           = 200 // characters of a title
	searchTextBytesMax = 64 << 10
	digitsMax          = 64 // phone numbers of one contact
)

// ColumnsOf computes the columns of a record.
func ColumnsOf(kind record.Kind, fields []record.Field) Columns {
	return ColumnsWith(kind, fields, nil)
}

// ColumnsWith is ColumnsOf for who has decoded the fields: values[i] is what
// Decode gives for fields[i]. Nil means that nobody has.
func ColumnsWith(kind record.Kind, fields []record.Field, values []any) Columns {
	var c Columns
	v := &view{kind: kind, fields: fields, values: values}
	c.Title = cleanTitle(v.title())
	c.SortKey = sortKey(c.Title)
	if kind == record.Contacts {
		if n := strings.TrimSpace(strings.Join(v.parts("N", 3), " ")); n != "" {
			c.SortKey = sortKey(n)
		}
	} else if path, ok := v.mainPath(); ok {
		times := timesOf(fields, path)
		if start, ok := times.at("DTSTART"); ok {
			c.Start, c.AllDay = start.String(), start.date
			if kind == record.Events {
				c.End = times.endOf(start).String()
			}
		}
		if due, ok := times.at("DUE"); ok {
			c.Due = due.String()
		} else if due, ok := times.after("DTSTART"); ok && kind == record.Tasks {
			c.Due = due.String()
		}
	}
	c.Text, c.Digits = v.search()
	return c
}

// TitleOf computes the title alone.
func TitleOf(kind record.Kind, fields []record.Field) string {
	return cleanTitle((&view{kind: kind, fields: fields}).title())
}

// view reads the values of a record.
type view struct {
	kind   record.Kind
	fields []record.Field
	values []any          // of the fields; nil: not decoded
	byKey  map[string]int // nil while the fields are few
}

const fewFields = 24

// at returns the place of a key, or -1.
func (v *view) at(key string) int {
	if len(v.fields) <= fewFields {
		for i := len(v.fields) - 1; i >= 0; i-- {
			if v.fields[i].Key == key {
				return i
			}
		}
		return -1
	}
	if v.byKey == nil {
		v.byKey = make(map[string]int, len(v.fields))
		for i := range v.fields {
			v.byKey[v.fields[i].Key] = i
		}
	}
	if i, ok := v.byKey[key]; ok {
		return i
	}
	return -1
}

// value returns the decoded value of a field.
func (v *view) value(i int) any {
	if v.values != nil {
		return v.values[i]
	}
	value, _ := Decode(v.kind, v.fields[i].Key, v.fields[i].Line)
	return value
}

// text returns the decoded value under key as one line of words.
func (v *view) text(key string) string {
	i := v.at(key)
	if i < 0 {
		return ""
	}
	return v.textAt(i)
}

func (v *view) textAt(i int) string { return strings.TrimSpace(joinValue(v.value(i), " ")) }

// parts returns the first n components of the structured value under key.
func (v *view) parts(key string, n int) []string {
	i := v.at(key)
	if i < 0 {
		return nil
	}
	all, _ := v.value(i).([]any)
	var parts []string
	for _, p := range all[:min(n, len(all))] {
		if s := strings.TrimSpace(joinValue(p, " ")); s != "" {
			parts = append(parts, s)
		}
	}
	return parts
}

// first returns the first value of a property called name that is not empty.
func (v *view) first(name string) string {
	for i := range v.fields {
		if leafName(v.fields[i].Key) == name {
			if s := v.textAt(i); s != "" {
				return s
			}
		}
	}
	return ""
}

// mainPath returns the path of the main component, else of the first override.
func (v *view) mainPath() (string, bool) {
	override := ""
	for i := range v.fields {
		path, leaf := splitKey(v.fields[i].Key)
		p := mainPath(path, leaf)
		if p != nil && *p == "" {
			return "", true
		}
		if p != nil && override == "" {
			override = *p
		}
	}
	return override, override != ""
}

func (v *view) title() string {
	if v.kind == record.Contacts {
		if s := v.text("FN"); s != "" {
			return s
		}
		if p := v.parts("N", 2); len(p) > 0 {
			if len(p) == 2 {
				p[0], p[1] = p[1], p[0]
			}
			return strings.Join(p, " ")
		}
		for _, name := range []string{"ORG", "NICKNAME", "EMAIL", "TEL", "NOTE"} {
			if s := v.first(name); s != "" {
				return s
			}
		}
		return v.anything()
	}
	path, _ := v.mainPath()
	for _, key := range []string{path + "SUMMARY", path + "DESCRIPTION", path + "LOCATION"} {
		if s := v.text(key); s != "" {
			if strings.HasSuffix(key, "DESCRIPTION") {
				s = noteTitle(s)
			}
			return s
		}
	}
	for _, name := range []string{"SUMMARY", "DESCRIPTION", "COMMENT"} {
		if s := v.first(name); s != "" {
			return noteTitle(s)
		}
	}
	for i := range v.fields { // no entry: a time zone, or something like VFREEBUSY
		key := v.fields[i].Key
		if zone, ok := strings.CutPrefix(key, zonePrefix); ok && path == "" && len(v.fields) > 0 {
			return "time zone " + zone
		}
		if rest, ok := strings.CutPrefix(key, pathCalendar+"/"); ok && strings.Contains(rest, "/") {
			name, _, _ := strings.Cut(rest, ".")
			return strings.ToLower(strings.TrimPrefix(name, "V"))
		}
	}
	return v.anything()
}

// anything returns the first text of a record that has nothing better.
func (v *view) anything() string {
	for i := range v.fields {
		path, leaf := splitKey(v.fields[i].Key)
		if path == "" && searchable(leafName(leaf)) && v.fields[i].Blob == nil && !strings.HasPrefix(leaf, zonePrefix) {
			if s := v.textAt(i); s != "" {
				return s
			}
		}
	}
	return ""
}

// cleanTitle makes one line without control characters of a text.
func cleanTitle(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, cutRunes(s, 4*titleMax))
	return cutRunes(strings.Join(strings.Fields(s), " "), titleMax)
}

// sortKey folds case and drops accents.
func sortKey(s string) string {
	s = norm.NFD.String(cases.Fold().String(s))
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, s)
	return norm.NFC.String(s)
}

// unsearched are properties whose values are no words of a person.
var unsearched = nameSet(`VERSION PRODID UID REV DTSTAMP CREATED LAST-MODIFIED SEQUENCE DTSTART DTEND DUE DURATION RRULE EXRULE RDATE EXDATE
	RECURRENCE-ID COMPLETED PERCENT-COMPLETE PRIORITY STATUS CLASS TRANSP CALSCALE METHOD TZID GEO TRIGGER ACTION REPEAT PHOTO LOGO SOUND KEY
	GENDER KIND PROFILE SORT-STRING TZ LANG CLIENTPIDMAP REQUEST-STATUS BEGIN END X-WIDTH X-HEIGHT X-ORIENTATION`)

func searchable(name string) bool {
	return !unsearched[name] && (!strings.HasPrefix(name, "X-") || strings.HasPrefix(name, "X-PHONETIC") || strings.HasPrefix(name, "X-ABRELATED"))
}

// search collects the text to find a record by, and its phone numbers.
func (v *view) search() (string, []string) {
	var b strings.Builder
	var digits []string
	seen := map[string]bool{}
	for i := range v.fields {
		f := &v.fields[i]
		path, leaf := splitKey(f.Key)
		name := leafName(leaf)
		if f.Blob != nil || strings.HasPrefix(leaf, zonePrefix) || strings.HasPrefix(path, pathCalendar+"/") && !strings.Contains(path, ".") {
			continue
		}
		phone, found := name == "TEL" || name == "X-MS-TEL", searchable(name)
		if !phone && !found {
			continue
		}
		s := v.textAt(i)
		if phone {
			if d := phoneDigits(s); d != "" && !seen["+"+d] && len(digits) < digitsMax {
				seen["+"+d] = true
				digits = append(digits, d)
			}
		}
		if !found || name == "ATTACH" && len(s) > 200 {
			continue
		}
		if name == "ATTENDEE" || name == "ORGANIZER" {
			if p, ok := parseProperty(f.Line); ok {
				s = strings.TrimSpace(toUTF8([]byte(p.param("CN")), "") + " " + s)
			}
		}
		if s == "" || seen[s] || b.Len()+len(s) >= searchTextBytesMax {
			continue
		}
		seen[s] = true
		b.WriteString(s)
		b.WriteByte('\n')
	}
	return b.String(), digits
}

// phoneDigits normalises a phone number: digits, a leading + where it was
// written (or 00), no extension. Fewer than three digits are none.
func phoneDigits(s string) string {
	if len(s) >= 4 && strings.EqualFold(s[:4], "tel:") {
		s, _, _ = strings.Cut(s[4:], ";")
	}
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < 32; i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == '+' && b.Len() == 0:
			b.WriteByte(c)
		case c == 'x' || c == 'X' || c == ';' || c == ',' || c == 'p' || c == 'w':
			i = len(s)
		}
	}
	d := b.String()
	if rest, ok := strings.CutPrefix(d, "00"); ok {
		d = "+" + rest
	}
	if len(strings.TrimPrefix(d, "+")) < 3 {
		return ""
	}
	return d
}
