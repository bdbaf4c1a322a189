package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"sidekeep/localstore/record"
)

// gen invents things. All of it follows from the seed.
type gen struct{ *rand.Rand }

// zipf draws 1 to n, small numbers most often.
func (g *gen) zipf(n int) uint64 { return uint64(math.Exp(g.Float64() * math.Log(float64(n)+1))) }

// pick draws from a list whose first members are the most usual.
func (g *gen) pick(list []string) string { return list[min(int(g.zipf(len(list)))-1, len(list)-1)] }

func (g *gen) any(list []string) string { return list[g.IntN(len(list))] }

func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

func (g *gen) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + g.IntN(10))
	}
	return string(b)
}

func (g *gen) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[g.IntN(16)]
	}
	return string(b)
}

func (g *gen) uuid() string {
	u := fmt.Sprintf("%s-%s-4%s-%c%s-%s", g.hex(8), g.hex(4), g.hex(3), "89ab"[g.IntN(4)], g.hex(3), g.hex(12))
	if g.chance(20) {
		return strings.ToUpper(u)
	}
	return u
}

func (g *gen) uid() string {
	switch g.IntN(6) {
	case 0:
		return g.hex(24) + "@" + g.pick(domains)
	case 1:
		return g.hex(26) + "@google.com"
	case 2:
		return "040000008200E00074C5B7101A82E008000000" + strings.ToUpper(g.hex(42))
	}
	return g.uuid()
}

func (g *gen) blob() *record.Blob {
	b := &record.Blob{Size: g.zipf(8 << 20)}
	for range b.Size/65536 + 1 {
		var id record.ChunkID
		for i := range id {
			id[i] = byte(g.Uint32())
		}
		b.Chunks = append(b.Chunks, id)
	}
	return b
}

// text makes n words of running text in one language.
func (g *gen) text(n int) string {
	list := prose[g.pick(languages)]
	var b strings.Builder
	for i := range n {
		w := g.pick(list)
		if g.chance(30) {
			w = g.any(list)
		}
		if i > 0 {
			b.WriteString(g.pick(joints))
		}
		b.WriteString(w)
	}
	return b.String()
}

func (g *gen) title(n int) string {
	t := g.text(n)
	if t == "" || g.chance(30) {
		return t
	}
	return strings.ToUpper(t[:1]) + t[1:]
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(s)
}

func (g *gen) date(from, to int) string {
	return fmt.Sprintf("%04d%02d%02d", from+g.IntN(to-from), 1+g.IntN(12), 1+g.IntN(28))
}

func (g *gen) clock() string {
	return fmt.Sprintf("%02d%s00", 6+g.IntN(15), g.pick([]string{"00", "30", "15", "45", "10", "20"}))
}

func (g *gen) stamp() string {
	return fmt.Sprintf("%sT%02d%02d%02dZ", g.date(2018, 2028), g.IntN(24), g.IntN(60), g.IntN(60))
}

func (g *gen) phone() string {
	n := g.pick(countryCodes)
	switch g.IntN(5) {
	case 0:
		return n + " " + g.digits(2) + " " + g.digits(2) + " " + g.digits(2) + " " + g.digits(2)
	case 1:
		return n + "-" + g.digits(3) + "-" + g.digits(3) + "-" + g.digits(4)
	case 2:
		return "0" + g.digits(3) + " " + g.digits(7)
	case 3:
		return "(" + g.digits(3) + ") " + g.digits(3) + "-" + g.digits(4)
	}
	return n + g.digits(10)
}

func fold(s string) string {
	return strings.NewReplacer("ü", "u", "ö", "o", "ä", "a", "é", "e", "è", "e", "ø", "o", "å", "a", "í", "i", "ó", "o", "ñ", "n", "ç", "c",
		"ł", "l", "ń", "n", "š", "s", "ć", "c", "á", "a", "ë", "e", "ß", "ss", "'", "", " ", "").Replace(strings.ToLower(s))
}

func (g *gen) email(first, last string) string {
	f, l := fold(first), fold(last)
	switch g.IntN(4) {
	case 0:
		return f[:1] + l + "@" + g.pick(domains)
	case 1:
		return f + g.digits(2) + "@" + g.pick(domains)
	case 2:
		return f + "." + l + g.digits(1+g.IntN(2)) + "@" + g.pick(domains)
	}
	return f + "." + l + "@" + g.pick(domains)
}

func (g *gen) street() string {
	if g.chance(50) {
		return g.pick(streets) + " " + fmt.Sprint(1+g.IntN(180))
	}
	return fmt.Sprint(1+g.IntN(180)) + " " + g.pick(streets)
}

// pictureFields are the lines of a picture as pim writes them.
func pictureFields(g *gen) []record.Field {
	form := g.pick([]string{"jpeg", "png", "heic", "webp", "gif"})
	ext := map[string]string{"jpeg": "jpg"}[form]
	if ext == "" {
		ext = form
	}
	day, clock := g.date(2008, 2028), g.digits(6)
	base := g.pick([]string{"IMG_" + day + "_" + clock, "IMG_" + g.digits(4), "DSC" + g.digits(5), "PXL_" + day + "_" + clock + g.digits(3),
		"Screenshot_" + day + "-" + clock, "signal-" + day + "-" + clock, g.pick(prose["en"]) + "-" + g.digits(2), "DSCN" + g.digits(4), "P" + g.digits(7)})
	var fields []record.Field
	add := func(key, rest string) {
		fields = append(fields, record.Field{Key: key, Line: []byte(key + rest)})
	}
	add("SUMMARY", ":"+base)
	if g.chance(80) {
		add("DTSTART", ":"+day+"T"+g.clock())
	}
	if g.chance(40) {
		add("GEO", fmt.Sprintf(":%.6f;%.6f", g.Float64()*120-50, g.Float64()*300-150))
	}
	size := g.any([]string{"4032 3024", "3024 4032", "4000 3000", "1920 1080", "1080 1920", "1600 1200", "640 480", "2592 1944", "3264 2448", "1280 960"})
	w, h, _ := strings.Cut(size, " ")
	add("X-WIDTH", ":"+w)
	add("X-HEIGHT", ":"+h)
	if g.chance(60) {
		add("X-ORIENTATION", ":"+g.pick([]string{"1", "6", "3", "8"}))
	}
	add("ATTACH", fmt.Sprintf(";FMTTYPE=image/%s;ENCODING=BASE64;VALUE=BINARY;SIZE=%d;FILENAME=%s.%s:", form, g.zipf(8<<20), base, ext))
	return fields
}
