package pim

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"

	"sidekeep/localstore/record"
)

// Leaves and path segments with a meaning of their own. A property that
// happens to have such a name gets a key with '_' before it.
const (
	leafBegin    = "BEGIN"
	leafEnd      = "END"
	leafLine     = "LINE"
	pathCalendar = "VCALENDAR"
	zonePrefix   = "VTIMEZONE."
)

// once names the properties whose first line has the bare name as key. Every
// other line gets a tag.
var once = map[record.Kind]map[string]bool{
	record.Contacts: nameSet(`VERSION FN N NICKNAME BDAY ANNIVERSARY DEATHDATE GENDER KIND ORG TITLE ROLE NOTE PHOTO LOGO
		CATEGORIES UID REV PRODID CLASS SORT-STRING MAILER TZ GEO PROFILE NAME SOURCE CREATED`),
	"": nameSet(`UID DTSTAMP DTSTART DTEND DUE DURATION SUMMARY DESCRIPTION LOCATION STATUS CLASS PRIORITY TRANSP SEQUENCE
		CREATED LAST-MODIFIED RRULE GEO URL ORGANIZER RECURRENCE-ID COMPLETED PERCENT-COMPLETE CATEGORIES COLOR
		ACTION TRIGGER REPEAT TZID PRODID VERSION METHOD CALSCALE NAME REFRESH-INTERVAL
		X-WR-CALNAME X-WR-CALDESC X-WR-TIMEZONE X-WR-RELCALID`),
	record.Pictures: nameSet(`ATTACH SUMMARY DESCRIPTION DTSTART GEO CATEGORIES UID X-WIDTH X-HEIGHT X-ORIENTATION`),
}

func nameSet(names string) map[string]bool {
	set := map[string]bool{}
	for _, n := range strings.Fields(names) {
		set[n] = true
	}
	return set
}

func isOnce(kind record.Kind, name string) bool {
	set, ok := once[kind]
	if !ok {
		set = once[""]
	}
	return set[name]
}

// keySet gives out keys of one record, each once. It counts how often each was
// asked for.
type keySet map[string]int

// line returns a fresh key for a line in the component with the given prefix.
func (ks keySet) line(kind record.Kind, prefix string, line []byte) string {
	p, ok := parseProperty(line)
	if !ok {
		return ks.unique(prefix + leafLine + "." + tag(string(line)))
	}
	name := keyName(p.name)
	switch name {
	case leafBegin, leafEnd, leafLine, pathCalendar, "VTIMEZONE":
		name = "_" + name
	}
	if isOnce(kind, name) && ks[prefix+name] == 0 {
		return ks.unique(prefix + name)
	}
	return ks.unique(prefix + name + "." + tag(decodedText(kind, name, line)))
}

// unique returns key, numbered if it is taken: KEY, KEY-2, KEY-3...
func (ks keySet) unique(key string) string {
	ks[key]++
	k := key
	for n := ks[key]; n > 1; n++ {
		if k = key + "-" + strconv.Itoa(n); ks[k] == 0 {
			ks[key], ks[k] = n, 1
			break
		}
	}
	return k
}

// tag is five characters of a hash of s: enough to tell the lines of one
// record apart, equal on every device.
func tag(s string) string {
	h := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.StdEncoding.EncodeToString(h[:5])[:5])
}

// keyName makes a key part of a property or component name: upper case ASCII
// letters, digits, '-' and '_', at most componentNameLength long.
func keyName(name string) string {
	s := sanitize(strings.ToUpper(name), "", componentNameLength)
	if s == "" {
		return "_"
	}
	return s
}

// sanitize keeps the ASCII letters, digits, '-', '_' and the characters of
// extra, and writes '_' for each other byte. A result that is too long is cut
// and gets a tag, so that long names stay apart.
func sanitize(s, extra string, longest int) string {
	b := []byte(s)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || strings.IndexByte(extra, c) >= 0) {
			b[i] = '_'
		}
	}
	if len(b) > longest {
		return string(b[:longest-6]) + "-" + tag(s)
	}
	return string(b)
}

// splitKey divides a key into the path of its component ("" for the main one,
// else ending in '/') and its leaf.
func splitKey(key string) (path, leaf string) {
	if strings.HasPrefix(key, zonePrefix) {
		return "", key
	}
	i := strings.LastIndexByte(key, '/') + 1
	return key[:i], key[i:]
}

// leafName returns the property name that a key stands for: TEL of TEL.k3x2a,
// TRIGGER of VALARM.r7/TRIGGER.
func leafName(key string) string {
	_, leaf := splitKey(key)
	name, _, _ := strings.Cut(leaf, ".")
	return name
}
