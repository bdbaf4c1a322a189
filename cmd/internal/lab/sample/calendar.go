package sample

import (
	"fmt"
	"strings"

	"sidekeep/localstore/record"
)

const (
	eventsHome = 62 // one calendar in UTC, with all-day days and alarms
	eventsWork = 58 // one in local time with its zones, series and changed instances
	taskCount  = 52
	journals   = 12
)

func calendars(s *Set) {
	s.add("calendar/home.ics", homeCalendar())
	s.add("calendar/work.ics", workCalendar())
	s.add("calendar/tasks.ics", taskList())
	s.add("calendar/journal.ics", journal())
	s.Counts[record.Events] = eventsHome + eventsWork
	s.Counts[record.Tasks] = taskCount
	s.Counts[record.Notes] += journals
}

// calendar writes a VCALENDAR around what body writes.
func calendar(product string, body func(line func(format string, args ...any))) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { foldLine(&b, fmt.Sprintf(format, args...), "\r\n") }
	line("BEGIN:VCALENDAR")
	line("VERSION:2.0")
	line("PRODID:-//Sample//%s//EN", product)
	line("CALSCALE:GREGORIAN")
	body(line)
	line("END:VCALENDAR")
	return []byte(b.String())
}

// day and minute return parts of a date-time in 2026.
func (r *random) day() string    { return fmt.Sprintf("2026%02d%02d", r.between(1, 12), r.between(1, 28)) }
func (r *random) minute() string { return fmt.Sprintf("T%02d%02d00", r.between(7, 20), 15*r.below(4)) }

func homeCalendar() []byte {
	r := newRandom("home calendar")
	return calendar("Home", func(line func(string, ...any)) {
		line("X-WR-CALNAME:Home")
		for i := range eventsHome {
			line("BEGIN:VEVENT")
			line("UID:%s", r.uuid())
			line("DTSTAMP:%s%sZ", r.day(), r.minute())
			switch i % 4 {
			case 0: // all day, every year
				line("DTSTART;VALUE=DATE:%s", r.day())
				line("RRULE:FREQ=YEARLY")
				line("SUMMARY:Geburtstag %s 🎂", r.pick(names[i/4%len(names)].given))
				line("TRANSP:TRANSPARENT")
			case 1: // several days
				month, first := r.between(1, 12), r.between(1, 20)
				line("DTSTART;VALUE=DATE:2026%02d%02d", month, first)
				line("DTEND;VALUE=DATE:2026%02d%02d", month, first+r.between(2, 7))
				line("SUMMARY:%s", escape("Journey, "+r.words(2)))
			default:
				line("DTSTART:%s%sZ", r.day(), r.minute())
				line("DURATION:PT%dM", 15*r.between(1, 12))
				line("SUMMARY:%s", escape(r.words(4)))
				line("LOCATION:%s", escape(r.pick(streets)+", "+r.pick(cities)))
				line("GEO:%d.%04d;%d.%04d", r.between(40, 59), r.below(10000), r.between(1, 18), r.below(10000))
			}
			if i%3 == 0 {
				line("BEGIN:VALARM")
				line("ACTION:DISPLAY")
				line("TRIGGER:-PT%dM", 15*r.between(1, 8))
				line("DESCRIPTION:Reminder")
				line("END:VALARM")
			}
			if i%9 == 0 {
				line("BEGIN:VALARM")
				line("ACTION:AUDIO")
				line("TRIGGER;RELATED=START:-P1D")
				line("END:VALARM")
			}
			line("END:VEVENT")
		}
	})
}

// zone is a time zone with two observances, in the form that calendars ship it.
type zone struct{ winter, summer, winterName, summerName, winterStart, winterRule, summerStart, summerRule string }

var zones = map[string]zone{
	"Europe/Berlin": {"+0100", "+0200", "CET", "CEST", "19701025T030000", "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
		"19700329T020000", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"},
	"America/New_York": {"-0500", "-0400", "EST", "EDT", "20071104T020000", "FREQ=YEARLY;BYMONTH=11;BYDAY=1SU",
		"20070311T020000", "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU"},
}

func workCalendar() []byte {
	r := newRandom("work calendar")
	return calendar("Work", func(line func(string, ...any)) {
		line("X-WR-CALNAME:Work")
		for _, name := range []string{"Europe/Berlin", "America/New_York"} {
			z := zones[name]
			line("BEGIN:VTIMEZONE")
			line("TZID:%s", name)
			observance := func(kind, start, rule, from, to, name string) {
				line("BEGIN:%s", kind)
				line("DTSTART:%s", start)
				line("RRULE:%s", rule)
				line("TZOFFSETFROM:%s", from)
				line("TZOFFSETTO:%s", to)
				line("TZNAME:%s", name)
				line("END:%s", kind)
			}
			observance("DAYLIGHT", z.summerStart, z.summerRule, z.winter, z.summer, z.summerName)
			observance("STANDARD", z.winterStart, z.winterRule, z.summer, z.winter, z.winterName)
			line("END:VTIMEZONE")
		}
		for i := range eventsWork {
			workEvent(r, i, line)
		}
	})
}

// workEvent writes one event; every fourth is a weekly series with an excluded
// date, an added one, and an instance that was moved.
func workEvent(r *random, i int, line func(string, ...any)) {
	uid, zone := fmt.Sprintf("work-%03d-%s@example.org", i, r.uuid()[:8]), "Europe/Berlin"
	if i%5 == 0 {
		zone = "America/New_York"
	}
	month, hour := r.between(1, 10), r.between(8, 17)
	start := fmt.Sprintf("2026%02d05T%02d0000", month, hour)
	summary := escape(r.words(5))
	line("BEGIN:VEVENT")
	line("UID:%s", uid)
	line("DTSTAMP:%s%sZ", r.day(), r.minute())
	line("DTSTART;TZID=%s:%s", zone, start)
	line("DTEND;TZID=%s:2026%02d05T%02d3000", zone, month, hour)
	series := i%4 == 0
	if series {
		line("RRULE:FREQ=WEEKLY;COUNT=%d;WKST=MO", r.between(6, 30))
		line("EXDATE;TZID=%s:2026%02d12T%02d0000", zone, month, hour)
		line("RDATE;TZID=%s:2026%02d13T%02d0000", zone, month, hour)
	}
	line("SUMMARY:%s", summary)
	line("DESCRIPTION:%s", escape(r.sentence()+"\n"+r.sentence()+"\nhttps://example.org/agenda?id="+fmt.Sprint(i)))
	line("ORGANIZER;CN=\"%s\":mailto:%s", r.pick(names[0].given), "chair@example.org")
	for n := range r.between(1, 4) {
		line("ATTENDEE;CN=\"%s\";ROLE=REQ-PARTICIPANT;PARTSTAT=%s;RSVP=TRUE:mailto:person%03d@example.org", r.pick(names[1].given), []string{"ACCEPTED", "TENTATIVE", "NEEDS-ACTION"}[n%3], r.below(90))
	}
	line("SEQUENCE:%d", r.below(4))
	line("STATUS:CONFIRMED")
	line("X-SAMPLE-COLOUR;X-SHADE=\"dark, warm\":teal")
	line("END:VEVENT")
	if series {
		line("BEGIN:VEVENT")
		line("UID:%s", uid)
		line("RECURRENCE-ID;TZID=%s:2026%02d19T%02d0000", zone, month, hour)
		line("DTSTAMP:%s%sZ", r.day(), r.minute())
		line("DTSTART;TZID=%s:2026%02d20T%02d1500", zone, month, hour)
		line("DURATION:PT45M")
		line("SUMMARY:%s (moved)", summary)
		line("END:VEVENT")
	}
}

func taskList() []byte {
	r := newRandom("tasks")
	return calendar("Tasks", func(line func(string, ...any)) {
		for i := range taskCount {
			line("BEGIN:VTODO")
			line("UID:%s", r.uuid())
			line("DTSTAMP:%s%sZ", r.day(), r.minute())
			line("SUMMARY:%s", escape(r.words(r.between(2, 6))))
			if i%2 == 0 {
				line("DUE;VALUE=DATE:%s", r.day())
			} else if i%3 == 0 {
				line("DUE:%s%sZ", r.day(), r.minute())
			}
			if i%4 == 0 {
				line("DESCRIPTION:%s", escape(r.sentence()+"\n"+r.sentence()))
			}
			line("PRIORITY:%d", r.below(10))
			if i%5 == 0 {
				line("STATUS:COMPLETED")
				line("COMPLETED:%s%sZ", r.day(), r.minute())
				line("PERCENT-COMPLETE:100")
			} else {
				line("STATUS:NEEDS-ACTION")
			}
			if i%6 == 0 {
				line("CATEGORIES:%s,%s", r.pick(vocabulary), r.pick(vocabulary))
			}
			line("END:VTODO")
		}
	})
}

func journal() []byte {
	r := newRandom("journal")
	return calendar("Journal", func(line func(string, ...any)) {
		for range journals {
			line("BEGIN:VJOURNAL")
			line("UID:%s", r.uuid())
			line("DTSTAMP:%s%sZ", r.day(), r.minute())
			line("DTSTART;VALUE=DATE:%s", r.day())
			line("SUMMARY:%s", escape("Log: "+r.words(3)))
			line("DESCRIPTION:%s", escape(r.sentence()+" "+r.sentence()+"\n\n"+r.sentence()))
			line("CATEGORIES:Log")
			line("END:VJOURNAL")
		}
	})
}
