package sample

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/jpeg"
	"strings"

	"sidekeep/localstore/record"
)

// person is what all three card formats are made from.
type person struct {
	given, family   string
	organisation    string
	mobile, landing string
	mail            string
	street, city    string
	code, country   string
	birthday        string // YYYYMMDD
	note            string
}

func (p person) name() string { return p.given + " " + p.family }

// The names come in pairs that belong to one script each.
var names = []struct{ given, family []string }{
	{strings.Fields("Alma Bertil Cora Dario Edda Fynn Greta Hugo Ilse Jonna Karl Lene Mats Nora Ole Pia Ruben Selma Till Wiebke"),
		strings.Fields("Ahrens Brandström Cordes Dünnwald Ekström Frühling Gößling Håkansson Jürgensen Köpke Lindqvist Möllenkamp Nygård Øvrebø Rüther Sjöberg Tønnesen Wöhler")},
	{strings.Fields("Amélie Benoît Chloé Désiré Élodie Gaël Inês João Lucía Martín Niño Renée Sofía Tomás Zoé"),
		strings.Fields("Arnaud Beaulieu Castaño Dufrêne Estévez Fontaine Gonçalves Ibáñez Lefèvre Muñiz Peñalver Quiñones Roubaud Simões")},
	{strings.Fields("Анна Борис Вера Глеб Дарья Егор Жанна Игорь Кира Лев"), strings.Fields("Абрамова Белов Громова Ершов Зимина Котов Ларина Орлов")},
	{strings.Fields("Ελένη Γιώργος Μαρία Νίκος Σοφία"), strings.Fields("Αγγελίδης Βασιλείου Καραγιάννη Παπαδάκης")},
	{strings.Fields("美咲 翔太 結衣 蓮 陽菜"), strings.Fields("佐藤 鈴木 高橋 田中")},
	{strings.Fields("민준 서연 지호 하은"), strings.Fields("김 박 이 최")},
	{strings.Fields("ليلى سامي نور يوسف"), strings.Fields("الحداد النجار الخطيب")},
	{strings.Fields("נועה דניאל תמר"), strings.Fields("כהן לוי מזרחי")},
	{strings.Fields("आरव दिया ईशान"), strings.Fields("शर्मा वर्मा गुप्ता")},
}

var organisations = []string{"Nordlicht Werft GmbH", "Brot & Butter", "Atelier Kobold", "Fährhaus 9", "Lindqvist, Möller; Partner", "Studio Zwölf", "Harbour Lights Ltd", "Kaffeerösterei Mohr", "Observatorium e.V."}
var streets = []string{"Deichstraße", "Am Leuchtturm", "Kirschallee", "Mill Lane", "Rue du Port", "Calle del Faro", "Strandvägen", "Speicherweg"}
var cities = []string{"Hafenstadt", "Neudorf an der Aue", "Kirkby", "Port-Clair", "Villanueva", "Sandvik"}
var countries = []string{"Deutschland", "France", "España", "Sverige", "United Kingdom"}

func newPerson(r *random, i int) person {
	group := names[0]
	switch {
	case i%5 == 3:
		group = names[1]
	case i%5 == 4:
		group = names[2+i/5%(len(names)-2)]
	}
	return person{
		given: r.pick(group.given), family: r.pick(group.family),
		organisation: r.pick(organisations),
		mobile:       fmt.Sprintf("+44 7700 900%03d", r.below(1000)), // reserved for drama by Ofcom
		landing:      fmt.Sprintf("+1-555-01%02d", r.below(100)),
		mail:         fmt.Sprintf("person%03d@example.org", i),
		street:       fmt.Sprintf("%s %d", r.pick(streets), r.between(1, 140)),
		city:         r.pick(cities), code: fmt.Sprint(r.between(10000, 99999)), country: r.pick(countries),
		birthday: fmt.Sprintf("%04d%02d%02d", r.between(1938, 2012), r.between(1, 12), r.between(1, 28)),
		note:     r.sentence() + "\n" + r.sentence(),
	}
}

const (
	cardsOld   = 30 // vCard 2.1
	cardsPhone = 72 // vCard 3.0
	cardsBook  = 56 // vCard 4.0, one of them a group of others
)

func contacts(s *Set) {
	s.add("contacts/old-phone.vcf", oldCards())
	s.add("contacts/handset.vcf", phoneCards())
	s.add("contacts/address-book.vcf", bookCards())
	s.Counts[record.Contacts] = cardsOld + cardsPhone + cardsBook
}

// oldCards are vCard 2.1, as handsets of the time sent them by infrared: no
// UID, bare types, quoted-printable with soft line breaks, LF line ends.
func oldCards() []byte {
	r := newRandom("old-phone")
	var b strings.Builder
	for i := range cardsOld {
		p := newPerson(r, i)
		b.WriteString("BEGIN:VCARD\nVERSION:2.1\n")
		b.WriteString(quoted("N", p.family+";"+p.given))
		b.WriteString(quoted("FN", p.name()))
		b.WriteString("TEL;CELL;VOICE:" + p.mobile + "\n")
		if i%2 == 0 {
			b.WriteString("TEL;HOME;PREF:" + p.landing + "\n")
		}
		if i%3 == 0 {
			b.WriteString("EMAIL;INTERNET:" + p.mail + "\n")
		}
		if i%4 == 0 {
			b.WriteString(quoted("NOTE", p.note))
		}
		b.WriteString("END:VCARD\n")
	}
	return []byte(b.String())
}

// quoted writes a property of vCard 2.1, as quoted-printable UTF-8 if need be.
func quoted(name, value string) string {
	plain := true
	var q strings.Builder
	column := 0
	for i := range len(value) {
		c := value[i]
		if c > ' ' && c < 0x7f && c != '=' || c == ' ' {
			q.WriteByte(c)
			column++
		} else {
			plain = false
			if c == '\n' {
				q.WriteString("=0D=0A")
				column += 6
			} else {
				fmt.Fprintf(&q, "=%02X", c)
				column += 3
			}
		}
		if column >= 66 && i+1 < len(value) {
			q.WriteString("=\n")
			column = 0
		}
	}
	if plain {
		return name + ":" + value + "\n"
	}
	return name + ";CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:" + q.String() + "\n"
}

// phoneCards are vCard 3.0 as phones export them: grouped lines with labels of
// the person's own, inline pictures, properties of the maker's.
func phoneCards() []byte {
	r := newRandom("handset")
	var b strings.Builder
	line := func(format string, args ...any) { foldLine(&b, fmt.Sprintf(format, args...), "\r\n") }
	for i := range cardsPhone {
		p := newPerson(r, i)
		line("BEGIN:VCARD")
		line("VERSION:3.0")
		line("PRODID:-//Sample//Handset 7//EN")
		line("UID:%s", r.uuid())
		line("N:%s;%s;;;", escape(p.family), escape(p.given))
		line("FN:%s", escape(p.name()))
		if i%3 != 2 {
			line("ORG:%s;", escape(p.organisation))
		}
		line("TEL;type=CELL;type=VOICE;type=pref:%s", p.mobile)
		if i%2 == 0 {
			line("item1.TEL:%s", p.landing)
			line("item1.X-ABLabel:%s", []string{"Boathouse", "Großmutter", "_$!<Other>!$_"}[i/2%3])
		}
		line("EMAIL;type=INTERNET;type=HOME:%s", p.mail)
		if i%4 == 1 {
			line("EMAIL;type=INTERNET;type=WORK:%s", "office."+p.mail)
		}
		if i%3 == 0 {
			line("item2.ADR;type=HOME;type=pref:;;%s;%s;;%s;%s", escape(p.street), escape(p.city), p.code, escape(p.country))
			line("item2.X-ABADR:de")
		}
		line("BDAY:%s-%s-%s", p.birthday[:4], p.birthday[4:6], p.birthday[6:])
		if i%5 == 0 {
			line("NOTE:%s", escape(p.note))
		}
		if i%12 == 0 {
			line("PHOTO;ENCODING=b;TYPE=JPEG:%s", base64.StdEncoding.EncodeToString(portrait(r)))
		}
		if i%7 == 0 {
			line("CATEGORIES:Family,Sailing\\, summer")
			line("X-HANDSET-RINGTONE:harbour-bell-%d", r.between(1, 9))
		}
		line("REV:2026-%02d-%02dT%02d:30:00Z", r.between(1, 11), r.between(1, 28), r.below(24))
		line("END:VCARD")
	}
	return []byte(b.String())
}

// bookCards are vCard 4.0 as address books keep them: URIs, parameters with
// quotes and RFC 6868 escapes, languages, alternatives, partial dates, a group.
func bookCards() []byte {
	r := newRandom("address-book")
	var b strings.Builder
	line := func(format string, args ...any) { foldLine(&b, fmt.Sprintf(format, args...), "\r\n") }
	var members []string
	for i := range cardsBook - 1 {
		p, uid := newPerson(r, i), r.uuid()
		line("BEGIN:VCARD")
		line("VERSION:4.0")
		line("UID:urn:uuid:%s", uid)
		line("KIND:individual")
		line("FN;PREF=1:%s", escape(p.name()))
		line(`N;SORT-AS="%s,%s":%s;%s;;;`, p.family, p.given, escape(p.family), escape(p.given))
		if i%6 == 0 {
			line("NICKNAME;ALTID=1;LANGUAGE=de:Kapitän")
			line("NICKNAME;ALTID=1;LANGUAGE=en:Captain")
		}
		line("TEL;VALUE=uri;PREF=1;TYPE=\"cell,voice\":tel:%s", strings.ReplaceAll(p.mobile, " ", "-"))
		if i%2 == 1 {
			line("TEL;VALUE=uri;TYPE=home:tel:%s", p.landing)
		}
		line("EMAIL;TYPE=home;PID=1.1:%s", p.mail)
		if i%3 == 1 {
			line(`ADR;TYPE=work;LABEL="%s^n%s %s";GEO="geo:%d.%04d,%d.%04d":;;%s;%s;;%s;%s`, p.street, p.code, p.city,
				r.between(40, 59), r.below(10000), r.between(1, 18), r.below(10000), escape(p.street), escape(p.city), p.code, escape(p.country))
		}
		if i%4 == 0 {
			line("BDAY:--%s", p.birthday[4:]) // a birthday without a year
			line("ANNIVERSARY:2009-10-02")
		} else {
			line("BDAY:%s", p.birthday)
		}
		if i%5 == 0 {
			line("NOTE;LANGUAGE=en:%s", escape(p.note))
		}
		if i%14 == 3 {
			line("PHOTO:data:image/jpeg;base64,%s", base64.StdEncoding.EncodeToString(portrait(r)))
		}
		if i%8 == 0 {
			line("IMPP;X-SERVICE-TYPE=matrix:matrix:u/person%d:example.org", i)
			line("RELATED;TYPE=friend:urn:uuid:%s", r.uuid())
		}
		line("CLIENTPIDMAP:1;urn:uuid:%s", r.uuid())
		line("REV:2026%02d%02dT%02d%02d00Z", r.between(1, 11), r.between(1, 28), r.below(24), r.below(60))
		line("END:VCARD")
		if i%9 == 0 {
			members = append(members, uid)
		}
	}
	line("BEGIN:VCARD")
	line("VERSION:4.0")
	line("UID:urn:uuid:%s", r.uuid())
	line("KIND:group")
	line("FN:Rowing club")
	for _, uid := range members {
		line("MEMBER:urn:uuid:%s", uid)
	}
	line("END:VCARD")
	return []byte(b.String())
}

// portrait returns a small JPEG for a card.
func portrait(r *random) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, scene(r, 48, 48), &jpeg.Options{Quality: 70}); err != nil {
		panic(err)
	}
	return b.Bytes()
}
