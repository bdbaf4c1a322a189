package sample

import (
	"fmt"
	"strings"

	"sidekeep/localstore/record"
)

const noteFiles = 34

var noteTitles = []string{"Packing list", "Soup for eight", "Reparaturen am Boot", "Bücher", "Ideas for the workshop", "Wi-Fi at the cabin", "Questions for the doctor",
	"旅行の計画", "Список дел", "Songs to learn", "Letter to the landlord", "Plants and their water", "Réunion du club", "Measurements"}

// notes adds plain and Markdown notes, one a file; calendars adds those that
// are VJOURNAL entries.
func notes(s *Set) {
	r := newRandom("notes")
	for i := range noteFiles {
		title := fmt.Sprintf("%s %d", noteTitles[i%len(noteTitles)], i/len(noteTitles)+1)
		name, body := "txt", plainNote(r, title)
		if i%3 != 0 {
			name, body = "md", markdownNote(r, title)
		}
		s.add(fmt.Sprintf("notes/note-%02d.%s", i+1, name), []byte(body))
		s.Counts[record.Notes]++
	}
}

func plainNote(r *random, title string) string {
	var b strings.Builder
	b.WriteString(title + "\n\n")
	for range r.between(2, 9) {
		b.WriteString(r.sentence() + "\n")
	}
	return b.String()
}

func markdownNote(r *random, title string) string {
	var b strings.Builder
	b.WriteString("# " + title + "\n\n" + r.sentence() + "\n\n")
	for range r.between(3, 12) {
		fmt.Fprintf(&b, "- [%s] %s\n", []string{" ", "x"}[r.below(2)], r.words(r.between(2, 6)))
	}
	b.WriteString("\n> " + r.sentence() + "\n\nPrice: 12,50 €; ½ pound of *flour*. " + r.sentence() + "\n")
	return b.String()
}
