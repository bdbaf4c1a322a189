package pim

import (
	"strconv"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// zoneSet turns wall times into UTC by the time zones that a record carries
// (RFC 5545 section 3.6.5), then by those that the system knows. A wall time
// whose zone nobody knows is taken as UTC.
type zoneSet struct {
	fields []record.Field
	rules  map[string][]observance // by TZID
}

// observance is a STANDARD or DAYLIGHT part: since when an offset holds.
type observance struct {
	start    time.Time // wall time before the change
	from, to time.Duration
	rule     map[string]string // of RRULE, or nil
	dates    []time.Time       // RDATEs
}

func (zs *zoneSet) toUTC(wall time.Time, tzid string) time.Time {
	if tzid == "" {
		return wall
	}
	if zs.rules == nil {
		zs.rules = map[string][]observance{}
		for i := range zs.fields {
			if strings.HasPrefix(zs.fields[i].Key, zonePrefix) {
				id, obs := parseZone(zs.fields[i].Line)
				zs.rules[id] = append(zs.rules[id], obs...)
			}
		}
	}
	if offset, ok := offsetAt(zs.rules[tzid], wall); ok {
		return wall.Add(-offset)
	}
	if loc := systemZone(tzid); loc != nil {
		return time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, loc).UTC()
	}
	return wall
}

// systemZone finds an IANA zone, also at the end of ids that old programs made
// of them (/softwarestudio.org/Tzfile/America/Chicago).
func systemZone(tzid string) *time.Location {
	if len(tzid) > 200 {
		return nil
	}
	for parts := strings.Split(tzid, "/"); len(parts) > 0; parts = parts[1:] {
		name := strings.Join(parts, "/")
		if name == "" || name == "Local" {
			continue
		}
		if loc, err := time.LoadLocation(name); err == nil {
			return loc
		}
	}
	return nil
}

// parseZone reads a raw VTIMEZONE.
func parseZone(raw []byte) (tzid string, obs []observance) {
	var cur *observance
	for line := range strings.SplitSeq(string(raw), "\n") {
		if isMarker([]byte(line), "BEGIN") {
			if name := markerName([]byte(line)); name == "STANDARD" || name == "DAYLIGHT" {
				obs = append(obs, observance{})
				cur = &obs[len(obs)-1]
			}
			continue
		}
		p, ok := parseProperty([]byte(line))
		if !ok {
			continue
		}
		name, value := strings.ToUpper(p.name), strings.TrimSpace(string(p.value))
		if name == "TZID" {
			tzid = value
		}
		if cur == nil {
			continue
		}
		switch name {
		case "DTSTART":
			m, _ := parseMoment(value)
			cur.start = m.t
		case "TZOFFSETFROM":
			cur.from = parseOffset(value)
		case "TZOFFSETTO":
			cur.to = parseOffset(value)
		case "RRULE":
			cur.rule = map[string]string{}
			for part := range strings.SplitSeq(strings.ToUpper(value), ";") {
				k, v, _ := strings.Cut(part, "=")
				cur.rule[k] = v
			}
		case "RDATE":
			for d := range strings.SplitSeq(value, ",") {
				if m, ok := parseMoment(d); ok {
					cur.dates = append(cur.dates, m.t)
				}
			}
		}
	}
	return tzid, obs
}

// parseOffset reads +0100, -053000.
func parseOffset(s string) time.Duration {
	sign := time.Duration(1)
	if strings.HasPrefix(s, "-") {
		sign = -1
	}
	s = strings.TrimLeft(s, "+-")
	var d time.Duration
	for _, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if len(s) < 2 {
			break
		}
		n, err := strconv.Atoi(s[:2])
		if err != nil {
			break
		}
		d += time.Duration(n) * unit
		s = s[2:]
	}
	return sign * d
}

// offsetAt returns the offset that holds at a wall time: that of the latest
// onset before it, or what held before the first.
func offsetAt(obs []observance, wall time.Time) (time.Duration, bool) {
	var best, first time.Time
	var offset, before time.Duration
	found := false
	for i := range obs {
		o := &obs[i]
		if onset, ok := o.lastOnset(wall); ok && (!found || onset.After(best)) {
			best, offset, found = onset, o.to, true
		}
		if i == 0 || o.start.Before(first) {
			first, before = o.start, o.from
		}
	}
	if !found {
		return before, len(obs) > 0
	}
	return offset, true
}

// lastOnset returns the last time at or before wall when the observance began.
func (o *observance) lastOnset(wall time.Time) (last time.Time, ok bool) {
	consider := func(t time.Time) {
		if !t.After(wall) && !t.Before(o.start) && (!ok || t.After(last)) {
			last, ok = t, true
		}
	}
	consider(o.start)
	for _, d := range o.dates {
		consider(d)
	}
	until, limited := parseMoment(o.rule["UNTIL"])
	for _, year := range []int{wall.Year() - 1, wall.Year()} {
		t, yes := o.inYear(year)
		if yes && (!limited || !t.After(until.t.Add(24*time.Hour))) {
			consider(t)
		}
	}
	return last, ok
}

var weekdays = map[string]time.Weekday{"SU": 0, "MO": 1, "TU": 2, "WE": 3, "TH": 4, "FR": 5, "SA": 6}

// inYear evaluates a yearly rule (BYMONTH with BYDAY, BYMONTHDAY or both), the
// only kind that time zones use.
func (o *observance) inYear(year int) (time.Time, bool) {
	if o.rule["FREQ"] != "YEARLY" {
		return time.Time{}, false
	}
	month := int(o.start.Month())
	if m, err := strconv.Atoi(o.rule["BYMONTH"]); err == nil && m >= 1 && m <= 12 {
		month = m
	}
	day := func(d int) time.Time {
		return time.Date(year, time.Month(month), d, o.start.Hour(), o.start.Minute(), o.start.Second(), 0, time.UTC)
	}
	byDay := o.rule["BYDAY"]
	if len(byDay) < 2 {
		if d, err := strconv.Atoi(o.rule["BYMONTHDAY"]); err == nil && d >= 1 && d <= 31 {
			return day(d), true
		}
		return day(o.start.Day()), byDay == ""
	}
	weekday, ok := weekdays[byDay[len(byDay)-2:]]
	if !ok {
		return time.Time{}, false
	}
	if days := o.rule["BYMONTHDAY"]; days != "" {
		for s := range strings.SplitSeq(days, ",") {
			if d, err := strconv.Atoi(s); err == nil && d >= 1 && d <= 31 && day(d).Weekday() == weekday {
				return day(d), true
			}
		}
		return time.Time{}, false
	}
	n, err := strconv.Atoi(byDay[:len(byDay)-2])
	if err != nil || n == 0 || n < -5 || n > 5 {
		return time.Time{}, false
	}
	if n > 0 {
		return day(1 + (int(weekday)-int(day(1).Weekday())+7)%7 + 7*(n-1)), true
	}
	end := day(1).AddDate(0, 1, -1).Day()
	return day(end - (int(day(end).Weekday())-int(weekday)+7)%7 + 7*(n+1)), true
}
