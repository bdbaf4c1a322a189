package pim

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// moment is an iCalendar date or date-time (RFC 5545 sections 3.3.4, 3.3.5).
// t holds the wall time as if it were UTC.
type moment struct {
	t    time.Time
	date bool // a whole day
	utc  bool
}

// parseMoment reads the basic and the extended ISO 8601 forms.
func parseMoment(s string) (moment, bool) {
	s = strings.ToUpper(strings.TrimSpace(s))
	s, utc := strings.CutSuffix(s, "Z")
	for _, layout := range []string{"20060102T150405", "20060102", "20060102T1504", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if len(s) != len(layout) {
			continue
		}
		if t, err := time.Parse(layout, s); err == nil {
			m := moment{t, !strings.Contains(layout, "15"), utc}
			return m, !(m.date && utc)
		}
	}
	return moment{}, false
}

// String is the moment as the store keeps it in its columns.
func (m moment) String() string {
	if m.date {
		return m.t.Format("2006-01-02")
	}
	return m.t.Format("2006-01-02T15:04:05Z")
}

var errDuration = errors.New("not a duration")

// parseDuration reads an iCalendar duration (RFC 5545 section 3.3.6): days and
// the rest apart, because days have no fixed length in wall time.
func parseDuration(s string) (days int, rest time.Duration, err error) {
	s = strings.TrimSpace(s)
	sign := 1
	if strings.HasPrefix(s, "-") {
		sign = -1
	}
	s, ok := strings.CutPrefix(strings.TrimLeft(s, "+-"), "P")
	if !ok || s == "" {
		return 0, 0, errDuration
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
	timePart := false
	for len(s) > 0 {
		if s[0] == 'T' {
			timePart, s = true, s[1:]
			continue
		}
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi(s[:i])
		if err != nil || i == len(s) || n > 1e6 {
			return 0, 0, errDuration
		}
		switch c := s[i]; {
		case c == 'W' && !timePart:
			days += 7 * n
		case c == 'D' && !timePart:
			days += n
		case timePart && units[c] != 0:
			rest += time.Duration(n) * units[c]
		default:
			return 0, 0, errDuration
		}
		s = s[i+1:]
	}
	return sign * days, time.Duration(sign) * rest, nil
}

// calendarTimes reads the times of one component.
type calendarTimes struct {
	zones  zoneSet
	fields []timeField // of one component
}

type timeField struct {
	name string
	property
}

// field returns the line called name.
func (ct *calendarTimes) field(name string) (property, bool) {
	for i := len(ct.fields) - 1; i >= 0; i-- {
		if ct.fields[i].name == name {
			return ct.fields[i].property, true
		}
	}
	return property{}, false
}

func timesOf(fields []record.Field, path string) *calendarTimes {
	ct := &calendarTimes{zones: zoneSet{fields: fields}, fields: make([]timeField, 0, 3)}
	for i := range fields {
		p, leaf := splitKey(fields[i].Key)
		switch leaf {
		case "DTSTART", "DTEND", "DUE", "DURATION", "RECURRENCE-ID":
			if p == path {
				line, _ := parseProperty(fields[i].Line)
				ct.fields = append(ct.fields, timeField{leaf, line})
			}
		}
	}
	return ct
}

// at returns the named time in UTC.
func (ct *calendarTimes) at(name string) (moment, bool) {
	p, ok := ct.field(name)
	if !ok {
		return moment{}, false
	}
	m, ok := parseMoment(string(p.value))
	if !ok || m.date || m.utc {
		return m, ok
	}
	m.t, m.utc = ct.zones.toUTC(m.t, p.param("TZID")), true
	return m, m.inRange()
}

// inRange reports whether the year has four digits.
func (m moment) inRange() bool { return m.t.Year() >= 0 && m.t.Year() <= 9999 }

// after returns the named time moved on by DURATION.
func (ct *calendarTimes) after(name string) (moment, bool) {
	m, ok := ct.at(name)
	d, has := ct.field("DURATION")
	if !ok || !has {
		return moment{}, false
	}
	days, rest, err := parseDuration(string(d.value))
	if err != nil {
		return moment{}, false
	}
	m.t = m.t.AddDate(0, 0, days)
	if !m.date {
		m.t = m.t.Add(rest)
	}
	return m, m.inRange()
}

// endOf returns when an entry ends: DTEND, or DTSTART and DURATION, or, for a
// day without an end, the next one (RFC 5545 section 3.6.1).
func (ct *calendarTimes) endOf(start moment) moment {
	if m, ok := ct.at("DTEND"); ok {
		return m
	}
	if m, ok := ct.after("DTSTART"); ok {
		return m
	}
	if start.date && start.t.Year() < 9999 {
		start.t = start.t.AddDate(0, 0, 1)
	}
	return start
}
