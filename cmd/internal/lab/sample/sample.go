package sample

import (
	"strings"

	"sidekeep/localstore/record"
)

// File is one file of the sample: a slash-separated name and its bytes.
type File struct {
	Name string
	Data []byte
}

// Set is a generated sample: its files, and how many records of each kind an
// import of all of them gives.
type Set struct {
	Files  []File
	Counts map[record.Kind]int
}

// Generate makes the whole sample. It panics only if an encoder of the standard
// library refuses an image, which can not happen for the images made here.
func Generate() Set {
	s := Set{Counts: map[record.Kind]int{}}
	contacts(&s)
	calendars(&s)
	notes(&s)
	pictures(&s)
	return s
}

func (s *Set) add(name string, data []byte) { s.Files = append(s.Files, File{name, data}) }

// random is splitmix64 (Steele, Lea, Flood 2014): small, and fixed for ever,
// which the generators of the standard library do not promise.
type random uint64

// newRandom seeds a generator from a name, so that a change of one file's
// recipe leaves the others as they are.
func newRandom(name string) *random {
	r := random(14695981039346656037)
	for i := range len(name) {
		r = (r ^ random(name[i])) * 1099511628211
	}
	return &r
}

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n).
func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

// between returns a number in [low, high].
func (r *random) between(low, high int) int { return low + r.below(high-low+1) }

func (r *random) pick(list []string) string { return list[r.below(len(list))] }

// words returns n words of small talk.
func (r *random) words(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = r.pick(vocabulary)
	}
	return strings.Join(out, " ")
}

// sentence returns words with a capital and a full stop.
func (r *random) sentence() string {
	s := r.words(r.between(5, 13))
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// uuid returns a version 4 UUID in text form.
func (r *random) uuid() string {
	const digits = "0123456789abcdef"
	b := []byte("xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx")
	for i, c := range b {
		if c == 'x' {
			b[i] = digits[r.below(16)]
		}
	}
	return string(b)
}

var vocabulary = strings.Fields(`the a and with for about before after near behind under over
	boat bread bridge candle chair cloud coffee concert corner dinner doctor door engine evening ferry
	garden guitar harbour island kettle key kitchen lamp letter library market meeting mirror morning
	mountain orchard paper parcel picnic piano plan platform project rain recipe river roof school
	seat shelf ship shop song station stone story street summer table ticket tower train valley
	village window winter workshop ask bake borrow bring build buy call carry check clean collect
	cook draw fetch find fix fold measure mend move order paint pay phone plant post read remind
	return sell send show sort start swap take tell visit wait walk wash weigh write blue broad
	calm cheap clear cold early easy empty fresh green heavy kind late light long loud narrow new
	old open plain quick quiet red round short slow small soft steep strong tall warm wide yellow`)

// foldLine splits a content line into physical lines of at most 75 octets, the
// continuation marked by a space (RFC 5545 section 3.1, RFC 6350 section 3.2),
// never inside a UTF-8 sequence.
func foldLine(b *strings.Builder, line, end string) {
	room := 75
	for len(line) > room {
		cut := room
		for line[cut]&0xc0 == 0x80 {
			cut--
		}
		b.WriteString(line[:cut] + end + " ")
		line, room = line[cut:], 74
	}
	b.WriteString(line + end)
}

// escape is the text escaping of RFC 5545 section 3.3.11 and RFC 6350 section 3.4.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, ";", `\;`, "\n", `\n`).Replace(s)
}
