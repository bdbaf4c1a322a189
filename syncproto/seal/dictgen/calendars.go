package main

import (
	"fmt"
	"strings"
)

// component writes one calendar object as one of several programs would.
func component(g *gen, name string, body func(line func(string, ...any))) string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	line("BEGIN:VCALENDAR")
	version, product := "VERSION:2.0", "PRODID:"+g.pick(calendarProducts)
	if g.chance(50) {
		version, product = product, version
	}
	line("%s", version)
	line("%s", product)
	if g.chance(30) {
		line("CALSCALE:GREGORIAN")
	}
	if g.chance(20) {
		line("METHOD:%s", g.pick([]string{"PUBLISH", "REQUEST"}))
	}
	line("BEGIN:%s", name)
	body(line)
	line("END:%s", name)
	line("END:VCALENDAR")
	return b.String()
}

// shuffled writes groups of lines in an order that some programs share.
func shuffled(g *gen, groups ...func()) {
	if g.chance(60) {
		for _, f := range groups {
			f()
		}
		return
	}
	for _, i := range g.Perm(len(groups)) {
		groups[i]()
	}
}

func eventFile(g *gen) (string, string) {
	return "event.ics", component(g, "VEVENT", func(line func(string, ...any)) {
		zone := g.pick(zones)
		shuffled(g,
			func() { line("UID:%s", g.uid()) },
			func() { line("DTSTAMP:%s", g.stamp()) },
			func() { times(g, line, zone) },
			func() { line("SUMMARY:%s", escape(g.title(1+int(g.zipf(6))))) },
			func() {
				if g.chance(50) {
					line("LOCATION:%s", escape(g.pick([]string{g.street() + ", " + g.pick(cities), g.title(2), "https://meet.example.com/" + g.hex(10), g.pick(cities)})))
				}
			},
			func() {
				if g.chance(50) {
					line("DESCRIPTION:%s", escape(g.text(3+int(g.zipf(40)))))
				}
			},
			func() {
				if g.chance(20) {
					line("RRULE:%s", rule(g))
				}
			},
			func() { people(g, line) },
			func() { bookkeeping(g, line) },
		)
		if g.chance(40) {
			alarm(g, line)
		}
	})
}

func times(g *gen, line func(string, ...any), zone string) {
	day, at := g.date(2018, 2028), g.clock()
	end := fmt.Sprintf("%02d%s", min(23, 1+int(at[0]-'0')*10+int(at[1]-'0')), at[2:])
	switch g.IntN(5) {
	case 0:
		line("DTSTART;VALUE=DATE:%s", day)
		if g.chance(60) {
			line("DTEND;VALUE=DATE:%s", day)
		}
	case 1:
		line("DTSTART:%sT%sZ", day, at)
		line("DURATION:PT%s", g.pick([]string{"1H", "30M", "45M", "60M", "90M", "2H", "15M", "1H30M"}))
	case 2:
		line("DTSTART:%sT%sZ", day, at)
		line("DTEND:%sT%sZ", day, end)
	default:
		line("DTSTART;TZID=%s:%sT%s", zone, day, at)
		line("DTEND;TZID=%s:%sT%s", zone, day, end)
	}
}

func rule(g *gen) string {
	days := []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}
	r := g.pick([]string{"FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=" + g.any(days), "FREQ=YEARLY", "FREQ=MONTHLY;BYMONTHDAY=" + fmt.Sprint(1+g.IntN(28)),
		"FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=" + g.any(days), "FREQ=WEEKLY;BYDAY=" + g.any(days) + "," + g.any(days), "FREQ=MONTHLY;BYDAY=1" + g.any(days)})
	return r + g.pick([]string{"", ";COUNT=" + fmt.Sprint(5*(1+g.IntN(8))), ";UNTIL=" + g.stamp(), ";WKST=MO"})
}

func people(g *gen, line func(string, ...any)) {
	if !g.chance(30) {
		return
	}
	person := func() (string, string) {
		f, l := g.pick(firstNames), g.pick(lastNames)
		return f + " " + l, g.email(f, l)
	}
	if g.chance(70) {
		n, e := person()
		line("ORGANIZER;CN=%s:mailto:%s", n, e)
	}
	for range g.zipf(5) {
		n, e := person()
		line("ATTENDEE%s;CN=%s:mailto:%s", g.pick([]string{"", ";ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE", ";PARTSTAT=ACCEPTED",
			";CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED", ";PARTSTAT=DECLINED", ";CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE"}), n, e)
	}
}

func bookkeeping(g *gen, line func(string, ...any)) {
	if g.chance(50) {
		line("STATUS:%s", g.pick([]string{"CONFIRMED", "TENTATIVE", "CANCELLED"}))
	}
	if g.chance(50) {
		line("CREATED:%s", g.stamp())
	}
	if g.chance(50) {
		line("LAST-MODIFIED:%s", g.stamp())
	}
	if g.chance(50) {
		line("SEQUENCE:%d", g.zipf(9)-1)
	}
	if g.chance(40) {
		line("TRANSP:%s", g.pick([]string{"OPAQUE", "TRANSPARENT"}))
	}
	if g.chance(20) {
		line("CLASS:%s", g.pick([]string{"PUBLIC", "PRIVATE", "CONFIDENTIAL"}))
	}
	if g.chance(20) {
		line("CATEGORIES:%s", g.pick(categories))
	}
	if g.chance(10) {
		line("X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC")
	}
	if g.chance(10) {
		line("X-MICROSOFT-CDO-BUSYSTATUS:BUSY")
	}
}

func alarm(g *gen, line func(string, ...any)) {
	line("BEGIN:VALARM")
	shuffled(g,
		func() { line("ACTION:%s", g.pick([]string{"DISPLAY", "AUDIO", "EMAIL"})) },
		func() {
			line("DESCRIPTION:%s", g.pick([]string{"Reminder", "This is an event reminder", "reminder", "Event reminder", g.title(2)}))
		},
		func() {
			line("TRIGGER%s:%s", g.pick([]string{"", ";RELATED=START", ";VALUE=DURATION"}), g.pick([]string{"-PT15M", "-PT30M", "-PT10M", "-P1D", "-PT1H", "-P0DT0H30M0S", "PT0S", "-PT5M"}))
		},
		func() {
			if g.chance(20) {
				line("UID:%s", g.uuid())
			}
		},
	)
	line("END:VALARM")
}

func taskFile(g *gen) (string, string) {
	return "task.ics", component(g, "VTODO", func(line func(string, ...any)) {
		shuffled(g,
			func() { line("UID:%s", g.uid()) },
			func() { line("DTSTAMP:%s", g.stamp()) },
			func() {
				if g.chance(60) {
					line("DUE%s", g.pick([]string{":" + g.stamp(), ";VALUE=DATE:" + g.date(2018, 2028), ";TZID=" + g.pick(zones) + ":" + g.date(2018, 2028) + "T" + g.clock()}))
				}
			},
			func() { line("SUMMARY:%s", escape(g.title(1+int(g.zipf(7))))) },
			func() {
				if g.chance(40) {
					line("DESCRIPTION:%s", escape(g.text(2+int(g.zipf(24)))))
				}
			},
			func() {
				if g.chance(50) {
					line("PRIORITY:%d", g.IntN(10))
				}
			},
			func() {
				if g.chance(30) {
					line("PERCENT-COMPLETE:%d", 10*g.IntN(11))
				}
			},
			func() {
				s := g.pick([]string{"NEEDS-ACTION", "COMPLETED", "IN-PROCESS"})
				line("STATUS:%s", s)
				if s == "COMPLETED" {
					line("COMPLETED:%s", g.stamp())
				}
			},
			func() {
				if g.chance(40) {
					line("CREATED:%s", g.stamp())
					line("LAST-MODIFIED:%s", g.stamp())
				}
			},
			func() {
				if g.chance(15) {
					line("CATEGORIES:%s", g.pick(categories))
				}
			},
		)
		if g.chance(25) {
			alarm(g, line)
		}
	})
}

func noteFile(g *gen) (string, string) {
	if g.chance(20) {
		return "note.ics", component(g, "VJOURNAL", func(line func(string, ...any)) {
			line("UID:%s", g.uid())
			line("DTSTAMP:%s", g.stamp())
			line("SUMMARY:%s", escape(g.title(1+int(g.zipf(6)))))
			line("DESCRIPTION:%s", escape(noteText(g)))
			if g.chance(30) {
				line("CATEGORIES:%s", g.pick(categories))
			}
			line("CREATED:%s", g.stamp())
			line("LAST-MODIFIED:%s", g.stamp())
		})
	}
	return g.pick([]string{"note.txt", "note.md"}), g.title(1+int(g.zipf(6))) + "\n\n" + noteText(g)
}

func noteText(g *gen) string {
	var b strings.Builder
	for range g.zipf(20) {
		switch g.IntN(6) {
		case 0:
			b.WriteString(g.pick([]string{"- ", "* ", "- [ ] ", "- [x] ", "1. ", "2. "}) + g.text(1+g.IntN(5)) + "\n")
		case 1:
			b.WriteString(g.pick([]string{"# ", "## ", ""}) + g.title(1+g.IntN(4)) + "\n\n")
		default:
			b.WriteString(g.title(4+g.IntN(14)) + g.pick([]string{".", "", "!", "?"}) + "\n")
		}
	}
	return b.String()
}
