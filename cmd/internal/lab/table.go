package lab

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sidekeep/localstore/record"
)

// story prints what happens as it happens, with the time since the beginning.
type story struct {
	w     io.Writer
	began time.Time
}

func newStory(w io.Writer) *story { return &story{w: w, began: time.Now()} }

func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.w, "%6.2f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// cell is what one party holds of one kind at one stage.
type cell struct {
	Live     int    `json:"live"`
	Deleted  int    `json:"deleted"`
	Unsynced int    `json:"unsynced"` // edited, and not yet told to the cloud
	Digest   string `json:"digest"`   // of what was told or heard
}

func (c *cell) counts() string {
	if c == nil {
		return "-"
	}
	text := fmt.Sprint(c.Live)
	if c.Deleted > 0 {
		text += fmt.Sprintf("+%d", c.Deleted)
	}
	if c.Unsynced > 0 {
		text += fmt.Sprintf(" *%d", c.Unsynced)
	}
	return text
}

// row is one kind at one stage; Parties has no entry for who is down or not there yet.
type row struct {
	Stage   string           `json:"stage"`
	Kind    record.Kind      `json:"kind"`
	Parties map[string]*cell `json:"parties"`
}

// agreed returns the digest that all parties of the row have, or "".
func (r *row) agreed() string {
	digest := ""
	for _, c := range r.Parties {
		if digest != "" && c.Digest != digest {
			return ""
		}
		digest = c.Digest
	}
	return digest
}

// printTable writes the rows stage by stage. A digest that all have stands in
// full, others by their first digits.
func printTable(w io.Writer, parties []string, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "stage\tkind\t%s\tdigest\n", strings.Join(parties, "\t"))
	for i, r := range rows {
		stage := r.Stage
		if i > 0 && rows[i-1].Stage == stage {
			stage = ""
		}
		fmt.Fprintf(t, "%s\t%s", stage, r.Kind)
		for _, p := range parties {
			fmt.Fprintf(t, "\t%s", r.Parties[p].counts())
		}
		fmt.Fprintf(t, "\t%s\n", r.digests(parties))
	}
	t.Flush()
}

func (r *row) digests(parties []string) string {
	if d := r.agreed(); d != "" {
		return fmt.Sprintf("%s (%d equal)", d, len(r.Parties))
	}
	var parts []string
	for _, p := range parties {
		if c := r.Parties[p]; c != nil {
			parts = append(parts, p+" "+c.Digest[:min(8, len(c.Digest))])
		}
	}
	return "differ: " + strings.Join(parts, ", ")
}

// inOrder reports whether the kinds stand in their order of priority.
func inOrder(kinds []record.Kind) bool {
	return slices.IsSortedFunc(kinds, func(a, b record.Kind) int { return a.Priority() - b.Priority() })
}
