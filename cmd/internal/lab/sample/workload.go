package sample

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/jpeg"
	"strings"
)

// What one unit of the workload holds: a handset of somebody busy. Its text is
// about 4.1 MB as files, its pictures 30 MB that do not compress.
const (
	WorkloadContacts = 2000
	WorkloadEvents   = 3000
	WorkloadNotes    = 800
	WorkloadTasks    = 700
	WorkloadPictures = 200
	WorkloadRecords  = WorkloadContacts + WorkloadEvents + WorkloadNotes + WorkloadTasks
	pictureBytes     = 150_000
)

// Workload calls make with the text records of the workload, one a file, in a
// fixed order: n of them, in the proportions of the constants above.
func Workload(n int, make func(File) error) error {
	r := newRandom("workload")
	for i := range n {
		var f File
		// Spread evenly: 20 contacts, 30 events, 8 notes and 7 tasks of 65.
		switch at := i % 65 * 4 % 65; {
		case at < 20:
			f = loadCard(r)
		case at < 50:
			f = loadEvent(r, i)
		case at < 58:
			f = loadNote(r)
		default:
			f = loadTask(r)
		}
		if err := make(f); err != nil {
			return err
		}
	}
	return nil
}

// WorkloadPicture returns picture i: a JPEG's beginning, and noise.
func WorkloadPicture(i int) File {
	r := newRandom(fmt.Sprint("workload picture ", i))
	var b bytes.Buffer
	must(jpeg.Encode(&b, scene(r, 16, 12), nil))
	for b.Len() < pictureBytes {
		b.Write(binary.LittleEndian.AppendUint64(nil, r.next()))
	}
	return File{fmt.Sprintf("pictures/img%04d.jpg", i), b.Bytes()[:pictureBytes]}
}

func (r *random) some(most int, of ...string) []string {
	n, from := r.between(1, most), r.below(len(of))
	var out []string
	for i := range n {
		out = append(out, of[(from+i)%len(of)])
	}
	return out
}

func (r *random) moment() string {
	return fmt.Sprintf("2026%02d%02dT%02d%02d00Z", r.between(1, 12), r.between(1, 28), r.between(6, 20), 15*r.below(4))
}

// plainName turns a name into what an address has before its @.
func plainName(s string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(s) {
		if c < 128 {
			b.WriteRune(c)
		} else {
			b.WriteString([]string{"a", "e", "o", "u"}[c%4])
		}
	}
	return b.String()
}

func loadFile(folder, uid, extension string, lines []string) File {
	return File{folder + "/" + uid + extension, []byte(strings.Join(lines, "\r\n") + "\r\n")}
}

func loadCard(r *random) File {
	p, uid := newPerson(r, r.below(4)), r.uuid()
	l := []string{"BEGIN:VCARD", "VERSION:4.0", "UID:urn:uuid:" + uid, "FN:" + p.name(), fmt.Sprintf("N:%s;%s;;;", p.family, p.given),
		"ORG:" + escape(p.organisation), "TITLE:" + r.words(2)}
	for _, t := range r.some(3, "cell", "home", "work", "fax") {
		l = append(l, fmt.Sprintf("TEL;VALUE=uri;TYPE=%s:tel:+%d-%d-%07d", t, r.between(30, 49), r.between(30, 999), r.below(10_000_000)))
	}
	for _, t := range r.some(2, "home", "work") {
		l = append(l, fmt.Sprintf("EMAIL;TYPE=%s:%s.%s%d@%s", t, plainName(p.given), plainName(p.family), r.between(1, 99), r.pick([]string{"example.org", "example.com", "mail.example.net"})))
	}
	for _, t := range r.some(2, "home", "work") {
		l = append(l, fmt.Sprintf("ADR;TYPE=%s:;;%s %d;%s;;%d;%s", t, r.pick(streets), r.between(1, 180), r.pick(cities), r.between(10000, 99999), r.pick(countries)))
	}
	l = append(l, "BDAY:"+p.birthday, "NOTE:"+r.words(r.between(8, 24)), "REV:"+r.moment(), "END:VCARD")
	return loadFile("contacts", uid, ".vcf", l)
}

func loadCalendar(folder, uid string, lines ...string) File {
	all := append([]string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//sidekeep//workload//EN"}, lines...)
	return loadFile(folder, uid, ".ics", append(all, "END:VCALENDAR"))
}

func loadEvent(r *random, i int) File {
	p, uid := newPerson(r, r.below(4)), r.uuid()
	l := []string{"BEGIN:VEVENT", "UID:" + uid, "DTSTAMP:" + r.moment(), "DTSTART:" + r.moment(), fmt.Sprintf("DURATION:PT%dM", 15*r.between(2, 6)), "SUMMARY:" + r.words(5),
		fmt.Sprintf("LOCATION:%s %d\\, %s", r.pick(streets), r.between(1, 180), r.pick(cities)), "DESCRIPTION:" + r.words(r.between(10, 30))}
	if i%7 == 0 {
		l = append(l, r.pick([]string{"RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=30", "RRULE:FREQ=MONTHLY;BYMONTHDAY=1", "RRULE:FREQ=DAILY;COUNT=10"}))
	}
	given, family := plainName(p.given), plainName(p.family)
	l = append(l, fmt.Sprintf("ATTENDEE;CN=%s %s:mailto:%s.%s@example.org", given, family, given, family))
	if i%3 == 0 {
		l = append(l, "BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:reminder", "TRIGGER:-PT15M", "END:VALARM")
	}
	return loadCalendar("events", uid, append(l, "STATUS:CONFIRMED", "END:VEVENT")...)
}

func loadTask(r *random) File {
	uid := r.uuid()
	return loadCalendar("tasks", uid, "BEGIN:VTODO", "UID:"+uid, "DTSTAMP:"+r.moment(), "DUE:"+r.moment(), "SUMMARY:"+r.words(6), "DESCRIPTION:"+r.words(r.between(5, 20)),
		fmt.Sprint("PRIORITY:", r.between(1, 9)), "STATUS:NEEDS-ACTION", "END:VTODO")
}

func loadNote(r *random) File {
	l := []string{r.sentence(), ""}
	for range r.between(12, 20) {
		l = append(l, r.words(r.between(8, 18))+".")
	}
	return File{"notes/" + r.uuid() + ".txt", []byte(strings.Join(l, "\n") + "\n")}
}
