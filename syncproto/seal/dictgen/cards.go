package main

import (
	"fmt"
	"strings"
)

// contactFile writes one vCard as one of several programs would.
func contactFile(g *gen) (string, string) {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	version := g.pick([]string{"3.0", "4.0", "2.1"})
	first, last := g.pick(firstNames), g.pick(lastNames)
	if g.chance(30) {
		first = g.any(firstNames)
	}
	if g.chance(30) {
		last = g.any(lastNames)
	}
	line("BEGIN:VCARD")
	line("VERSION:%s", version)
	if g.chance(50) {
		line("PRODID:%s", g.pick(cardProducts))
	}
	uidFirst := g.chance(50)
	uid := g.pick([]string{"UID:" + g.uuid(), "UID:urn:uuid:" + g.uuid(), "UID:" + g.uid()})
	if uidFirst {
		line("%s", uid)
	}
	switch g.IntN(3) {
	case 0:
		line("N:%s;%s;;;", last, first)
		line("FN:%s %s", first, last)
	case 1:
		line("FN:%s %s", first, last)
		line("N:%s;%s;;;", last, first)
	case 2:
		line("FN:%s %s", first, last)
		line("N:%s;%s;%s;%s;", last, first, g.pick([]string{"", "M.", "J.", "Maria"}), g.pick([]string{"", "Dr.", "Mr.", "Mrs."}))
	}
	if g.chance(15) {
		line("NICKNAME:%s", g.pick(firstNames))
	}
	org := func() {
		if g.chance(50) {
			line("ORG:%s%s", escape(g.pick(companies)), g.pick([]string{"", ";", ";" + g.title(1)}))
		}
		if g.chance(30) {
			line("TITLE:%s", g.title(1+g.IntN(2)))
		}
	}
	early := g.chance(50)
	if early {
		org()
	}
	for range g.zipf(4) {
		line("%s", phoneLine(g, version))
	}
	for range int(g.zipf(3)) - g.IntN(2) {
		line("%s:%s", emailHead(g, version), g.email(first, last))
	}
	for range g.IntN(3) {
		country := g.pick(countries)
		line("%s:;;%s;%s;%s;%s;%s", addressHead(g, version), escape(g.street()), g.pick(cities), g.pick([]string{"", "", "CA", "NY"}), g.digits(5), country)
	}
	if !early {
		org()
	}
	if g.chance(40) {
		d := g.date(1940, 2012)
		if version == "3.0" && g.chance(60) {
			d = d[:4] + "-" + d[4:6] + "-" + d[6:]
		}
		line("BDAY%s:%s", g.pick([]string{"", ";VALUE=date"}), d)
	}
	if g.chance(20) {
		line("URL%s:%s%s", g.pick([]string{"", ";TYPE=work", ";type=pref"}), g.pick([]string{"https://", "http://www.", "https://www."}), g.pick(domains))
	}
	if g.chance(45) {
		line("NOTE:%s", escape(g.text(2+int(g.zipf(24)))))
	}
	if g.chance(25) {
		line("CATEGORIES:%s", g.pick(categories))
	}
	if g.chance(20) {
		if version == "4.0" {
			line("PHOTO:data:image/jpeg;base64,%s", strings.Repeat("/9j/4AAQSkZJRgABAQ", 100))
		} else {
			line("PHOTO;ENCODING=b;TYPE=JPEG:%s", strings.Repeat("/9j/4AAQSkZJRgABAQ", 100))
		}
	}
	if !uidFirst {
		line("%s", uid)
	}
	if g.chance(60) {
		s := g.stamp()
		if g.chance(50) {
			s = s[:4] + "-" + s[4:6] + "-" + s[6:11] + ":" + s[11:13] + ":" + s[13:]
		}
		line("REV:%s", s)
	}
	if g.chance(10) {
		line("X-ABLABEL:_$!<%s>!$_", g.pick([]string{"HomePage", "Anniversary", "Other"}))
	}
	line("END:VCARD")
	return "card.vcf", b.String()
}

func phoneLine(g *gen, version string) string {
	t := g.pick([]string{"cell", "home", "work", "fax", "pager", "other"})
	switch version {
	case "2.1":
		return "TEL;" + strings.ToUpper(t) + g.pick([]string{"", ";VOICE", ";PREF"}) + ":" + g.phone()
	case "4.0":
		if g.chance(60) {
			return "TEL;VALUE=uri;TYPE=" + g.pick([]string{t, `"` + t + `,voice"`, "voice," + t}) + ":tel:" + strings.NewReplacer(" ", "-", "(", "", ")", "").Replace(g.phone())
		}
		return "TEL;TYPE=" + t + ":" + g.phone()
	}
	return g.pick([]string{"TEL;TYPE=" + strings.ToUpper(t), "TEL;TYPE=" + t, "TEL;type=" + strings.ToUpper(t) + ";type=VOICE", "TEL;TYPE=" + strings.ToUpper(t) + ",VOICE",
		"TEL;TYPE=" + t + ",voice", "TEL;type=" + strings.ToUpper(t) + ";type=VOICE;type=pref"}) + ":" + g.phone()
}

func emailHead(g *gen, version string) string {
	t := g.pick([]string{"home", "work", "other"})
	switch version {
	case "2.1":
		return "EMAIL;" + g.pick([]string{"INTERNET", strings.ToUpper(t), "INTERNET;" + strings.ToUpper(t)})
	case "4.0":
		return g.pick([]string{"EMAIL;TYPE=" + t, "EMAIL;PREF=1;TYPE=" + t, "EMAIL"})
	}
	return g.pick([]string{"EMAIL;TYPE=INTERNET", "EMAIL;type=INTERNET;type=" + strings.ToUpper(t), "EMAIL;TYPE=INTERNET," + strings.ToUpper(t), "EMAIL;TYPE=" + t,
		"EMAIL;type=INTERNET;type=" + strings.ToUpper(t) + ";type=pref", "EMAIL;TYPE=" + strings.ToUpper(t)})
}

func addressHead(g *gen, version string) string {
	t := g.pick([]string{"home", "work", "other"})
	switch version {
	case "2.1":
		return "ADR;" + strings.ToUpper(t)
	case "4.0":
		return g.pick([]string{"ADR;TYPE=" + t, "ADR;PREF=1;TYPE=" + t})
	}
	return g.pick([]string{"ADR;TYPE=" + strings.ToUpper(t), "ADR;TYPE=" + t, "ADR;type=" + strings.ToUpper(t), "ADR;type=" + strings.ToUpper(t) + ";type=pref"})
}
