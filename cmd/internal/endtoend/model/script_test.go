package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"sidekeep/localstore/record"
)

// action is one step of a script. The numbers are taken modulo what there is,
// so that any part of a script is a script.
type action struct {
	verb string
	n    [3]int
}

func (a action) String() string { return fmt.Sprintf("%s %d %d %d", a.verb, a.n[0], a.n[1], a.n[2]) }

type script []action

func (s script) String() string {
	var b strings.Builder
	for _, a := range s {
		fmt.Fprintln(&b, a)
	}
	return b.String()
}

// parseScript reads one action a line; '#' begins a comment.
func parseScript(text string) (script, error) {
	var s script
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		a := action{verb: words[0]}
		if _, ok := verbs[a.verb]; !ok || len(words) > 4 {
			return nil, fmt.Errorf("line %d: %q is no action", i+1, line)
		}
		for j, w := range words[1:] {
			n, err := strconv.Atoi(w)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			a.n[j] = n
		}
		s = append(s, a)
	}
	return s, nil
}

var verbNames = func() []string {
	var names []string
	for v := range verbWeights {
		names = append(names, v)
	}
	slices.Sort(names)
	return names
}()

// draw makes an action from a source of numbers: pick(n) gives 0 to n-1.
func draw(weights map[string]int, pick func(n int) int) action {
	total := 0
	for _, v := range verbNames {
		total += weights[v]
	}
	at := pick(total)
	for _, v := range verbNames {
		if at -= weights[v]; at < 0 {
			return action{v, [3]int{pick(60), pick(60), pick(60)}}
		}
	}
	panic("unreachable")
}

// onRecord are the actions whose second number is a record.
var onRecord = map[string]bool{"put": true, "set": true, "unset": true, "resolve": true, "delete": true, "undelete": true, "sql": true, "poison": true}

// scriptOf is the script of a seed. A history uses some of the actions only, and
// in half of them most actions are about one or two records: so what is rare
// elsewhere meets itself (swarm testing: Groce et al., ISSTA 2012).
func scriptOf(seed uint64) script {
	rng := rand.New(rand.NewPCG(seed, 0x5eed))
	var s script
	if rng.IntN(4) > 0 { // most begin with handsets that hold the same
		for n := range recordsMax {
			s = append(s, action{"put", [3]int{n, n, 7}})
		}
		for n := range 6 {
			s = append(s, action{"sync", [3]int{n % 3, 1, 0}})
		}
	}
	weights := map[string]int{}
	for _, v := range verbNames {
		if verbWeights[v] >= 10 || rng.IntN(5) < 2 {
			weights[v] = verbWeights[v]
		}
	}
	focus := []int{rng.IntN(recordsMax), rng.IntN(recordsMax)}
	narrow := rng.IntN(2) == 0
	for range 10 + rng.IntN(60) {
		a := draw(weights, rng.IntN)
		if narrow && onRecord[a.verb] && rng.IntN(5) > 0 {
			a.n[1] = a.n[1]/recordsMax*recordsMax + focus[rng.IntN(2)]
		}
		s = append(s, a)
	}
	return s
}

// The records of a history: few, so that handsets meet.
var recordNames = []string{"ada", "bob", "cyd", "dan", "eve"}

const recordsMax = 11

var kindKeys = map[record.Kind][]string{
	record.Contacts: {"FN", "NOTE", "ORG", "TITLE"},
	record.Notes:    {"SUMMARY", "DESCRIPTION", "COMMENT", "LOCATION"},
	record.Events:   {"SUMMARY", "DTSTART", "DTEND", "RRULE"}, // but the first, one merge unit
	record.Pictures: {"SUMMARY", "DESCRIPTION", "GEO", "COMMENT"},
	"recipes":       {"X-A", "X-B", "X-C", "X-D"}, // a kind that no code knows
}

// recordOf names a record by number: its kind and id.
func recordOf(n int) (record.Kind, record.ID) {
	n %= recordsMax
	switch {
	case n < 5:
		return record.Contacts, idOf("c-" + recordNames[n])
	case n < 7:
		return record.Notes, idOf("n-" + recordNames[n-5])
	case n < 8:
		return "recipes", idOf("r-" + recordNames[n-7])
	case n < 9:
		return record.Events, idOf("e-" + recordNames[n-8])
	}
	return record.Pictures, idOf("p-" + recordNames[n-9])
}

func idOf(name string) (id record.ID) {
	copy(id[:], name)
	return id
}

func name(id record.ID) string { return strings.TrimRight(string(id[:]), "\x00") }
