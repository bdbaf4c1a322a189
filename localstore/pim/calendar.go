package pim

import (
	"slices"
	"strings"

	"sidekeep/localstore/record"
)

// entryKinds maps the components that are records to their kinds. Any other
// component of a calendar is an event record of its own, without a main
// component, so that it is neither lost nor shown as a date.
var entryKinds = map[string]record.Kind{
	"VEVENT":   record.Events,
	"VTODO":    record.Tasks,
	"VJOURNAL": record.Notes,
}

// mainName is the name of a kind's main component.
func mainName(kind record.Kind) string {
	switch kind {
	case record.Contacts:
		return "VCARD"
	case record.Events:
		return "VEVENT"
	case record.Tasks:
		return "VTODO"
	}
	return "VJOURNAL"
}

// defaultHead are the calendar lines of a record that has none.
var defaultHead = []string{"VERSION:2.0", "PRODID:-//sidekeep//sidekeep//EN"}

// entry is one record to be: the components of a calendar with one UID.
type entry struct {
	kind  record.Kind
	uid   string
	parts []int // indexes into the calendar's items, in file order
	other bool  // a component that is no event, task or note
}

// shared is what stands in a calendar beside its entries: a line or a time
// zone, with the key it has in every record.
type shared struct {
	at   int // index into the calendar's items
	key  string
	line []byte
}

// calendar imports one VCALENDAR: its entries grouped by UID, each with the
// calendar's own lines and the time zones that it uses.
func (im *importer) calendar(c *component) error {
	im.checkLines(c)
	around := im.surroundings(c)
	entries, uses := im.entries(c)
	for _, it := range c.items {
		if it.sub != nil && it.sub.name == "VCALENDAR" {
			im.problem(it.no, "a calendar inside a calendar; imported as one of its own", Repaired)
			if err := im.calendar(it.sub); err != nil {
				return err
			}
		}
	}
	if len(entries) == 0 {
		if len(around.zones) == 0 {
			im.problem(c.no, "a calendar without any entry of its own", Refused)
			return nil
		}
		entries = []*entry{{kind: record.Events, other: true}} // nothing but time zones
	}
	around.giveUnused(entries, uses)
	for i, e := range entries {
		b := im.entry(c, e, around.of(uses[e], i == 0))
		if _, err := b.object(); err != nil && i == 0 && len(around.excess)+len(around.unused) > 0 {
			im.problem(c.no, "the calendar's own lines and unused time zones are more than one record can hold", Refused)
			b = im.entry(c, e, around.of(uses[e], false))
		}
		at := c
		if len(e.parts) > 0 {
			at = c.items[e.parts[0]].sub
		}
		if err := im.emitObject(b, at, e.uid); err != nil {
			return err
		}
	}
	return nil
}

// surroundings are the lines and time zones of a calendar.
type surroundings struct {
	lines  []shared // those that every entry carries
	excess []shared // the rest, which travels with the first entry
	zones  map[string][]shared
	unused []string // time zones that no entry refers to: with the first entry, too
}

func (s *surroundings) giveUnused(entries []*entry, uses map[*entry]map[string]bool) {
	used := map[string]bool{}
	for _, e := range entries {
		for tzid := range uses[e] {
			used[tzid] = true
		}
	}
	for tzid := range s.zones {
		if !used[tzid] {
			s.unused = append(s.unused, tzid)
		}
	}
}

// of returns what an entry that uses the given time zones carries, in file order.
func (s *surroundings) of(uses map[string]bool, first bool) []shared {
	mine := slices.Clone(s.lines)
	for tzid := range uses {
		mine = append(mine, s.zones[tzid]...)
	}
	if first {
		mine = append(mine, s.excess...)
		for _, tzid := range s.unused {
			mine = append(mine, s.zones[tzid]...)
		}
	}
	slices.SortFunc(mine, func(a, b shared) int { return a.at - b.at })
	return mine
}

// surroundings finds the lines and time zones of a calendar and gives them
// their keys. Lines beyond calendarHeadMax travel with the first entry only, so
// that a hostile head is not multiplied by its entries.
func (im *importer) surroundings(c *component) *surroundings {
	keys := keySet{}
	s := &surroundings{zones: map[string][]shared{}}
	size := 0
	for i, it := range c.items {
		switch {
		case it.sub == nil:
			key := keys.line("", pathCalendar+"/", it.line)
			if size += len(key) + len(it.line) + fieldOverheadBytes; size <= calendarHeadMax {
				s.lines = append(s.lines, shared{i, key, it.line})
			} else {
				s.excess = append(s.excess, shared{i, key, it.line})
			}
		case it.sub.name == "VTIMEZONE":
			raw := it.sub.raw()
			tzid := "_" + tag(string(raw))
			if p, ok := it.sub.property("TZID"); ok {
				tzid = strings.TrimSpace(joinValue(decodeValue(loose, p, p.value), ""))
			}
			key := keys.unique(zonePrefix + sanitize(tzid, "/+. ", 80))
			s.zones[tzid] = append(s.zones[tzid], shared{i, key, raw})
		}
	}
	if isDefaultHead(s.lines) && string(c.begin) == "BEGIN:VCALENDAR" && string(c.end) == "END:VCALENDAR" {
		s.lines = nil
	}
	return s
}

func isDefaultHead(lines []shared) bool {
	return slices.EqualFunc(lines, defaultHead, func(s shared, want string) bool { return string(s.line) == want })
}

// entries groups the components of a calendar into records, in the order in
// which each first appears, and finds the time zones that each refers to.
// Overrides belong to the main component of their UID; where a file has
// several of those, to the first that recurs. The others are records of their own.
func (im *importer) entries(c *component) (entries []*entry, uses map[*entry]map[string]bool) {
	uses = map[*entry]map[string]bool{}
	masters := mainComponents(c)
	byUID := map[string]*entry{}
	for i, it := range c.items {
		if it.sub == nil || it.sub.name == "VTIMEZONE" || it.sub.name == pathCalendar {
			continue
		}
		kind, isEntry := entryKinds[it.sub.name]
		if !isEntry {
			kind = record.Events
		}
		uid := uidOf(it.sub)
		group := it.sub.name + ":" + uid
		_, override := it.sub.property("RECURRENCE-ID")
		joins := isEntry && uid != "" && (override || masters[group] == i)
		e := byUID[group]
		if e == nil || !joins {
			e = &entry{kind: kind, uid: uid, other: !isEntry}
			uses[e] = map[string]bool{}
			entries = append(entries, e)
			if joins {
				byUID[group] = e
			}
		}
		e.parts = append(e.parts, i)
		collectZones(it.sub, uses[e])
	}
	return entries, uses
}

// mainComponents finds for each UID the main component that its overrides
// belong to: the first that recurs, else the first.
func mainComponents(c *component) map[string]int {
	masters, recurs := map[string]int{}, map[string]bool{}
	for i, it := range c.items {
		if it.sub == nil {
			continue
		}
		if _, override := it.sub.property("RECURRENCE-ID"); override {
			continue
		}
		group := it.sub.name + ":" + uidOf(it.sub)
		_, rule := it.sub.property("RRULE")
		_, dates := it.sub.property("RDATE")
		if _, known := masters[group]; !known || !recurs[group] && (rule || dates) {
			masters[group], recurs[group] = i, rule || dates
		}
	}
	return masters
}

// collectZones adds every TZID parameter inside c to ids.
func collectZones(c *component, ids map[string]bool) {
	for _, it := range c.items {
		if it.sub != nil {
			collectZones(it.sub, ids)
		} else if p, ok := parseProperty(it.line); ok {
			if tzid := p.param("TZID"); tzid != "" {
				ids[strings.TrimSpace(tzid)] = true
			}
		}
	}
}

// entry builds one record of the calendar c: the lines and time zones of mine
// and the entry's components, in file order.
func (im *importer) entry(c *component, e *entry, mine []shared) *builder {
	b := newBuilder(e.kind)
	if !im.alone {
		b.calendarMarker(leafBegin, c)
	}
	overrides := keySet{}
	place := func(i int) {
		sub := c.items[i].sub
		if e.other {
			b.sub(pathCalendar+"/", sub)
			return
		}
		b.component(entryPrefix(sub, overrides), mainName(e.kind), sub, lacksStamp(sub))
	}
	parts := e.parts
	for _, s := range mine {
		for len(parts) > 0 && parts[0] < s.at {
			place(parts[0])
			parts = parts[1:]
		}
		b.add(s.key, s.line)
	}
	for _, i := range parts {
		place(i)
	}
	if !im.alone {
		b.calendarMarker(leafEnd, c)
	}
	return b
}

// calendarMarker adds the calendar's BEGIN or END line where export would not
// write the same: unusual ones, and the BEGIN of a calendar without lines.
func (b *builder) calendarMarker(leaf string, c *component) {
	line := c.begin
	if leaf == leafEnd {
		if line = c.end; line == nil {
			return
		}
	}
	bare := leaf == leafBegin && !slices.ContainsFunc(c.items, func(it item) bool { return it.sub == nil })
	if bare || string(line) != leaf+":"+pathCalendar {
		b.add(pathCalendar+"/"+leaf, line)
	}
}

// lacksStamp reports whether export would add something to a component that
// has no marker of its own.
func lacksStamp(c *component) bool {
	_, ok := c.property("DTSTAMP")
	return !ok
}

// entryPrefix is the key prefix of an entry's component: "" for the main one,
// "@20261122T090000/" for the override of that occurrence. A date that is
// overridden twice (RANGE, another zone) is numbered.
func entryPrefix(c *component, overrides keySet) string {
	p, ok := c.property("RECURRENCE-ID")
	if !ok {
		return ""
	}
	id := strings.TrimSpace(joinValue(decodeValue(verbatim, p, p.value), ""))
	return overrides.unique("@"+sanitize(id, "+", 40)) + "/"
}
