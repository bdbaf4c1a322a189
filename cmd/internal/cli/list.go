package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

func (a *app) listCommand() *cobra.Command {
	var o localstore.ListOptions
	cmd := &cobra.Command{
		Use:     "list KIND [--deleted]",
		GroupID: "data",
		Short:   "List the records of a kind",
		Long: `list prints the records of a kind (contacts, events, notes, tasks, pictures) in
the order of their titles: the beginning of the id, a time where the kind has
one, the title, and in brackets what a person should know.

With --json it prints an array of records:
  {"id", "kind", "title", "deleted", "fields": {KEY: {"value", "raw"}}}`,
		Example:           "  sidekeep list contacts\n  sidekeep list notes --deleted\n  sidekeep list events --json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeKind,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				kind, err := parseKind(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				return a.list(cmd.Context(), s, kind, o)
			})
		},
	}
	cmd.Flags().BoolVar(&o.Deleted, "deleted", false, "list the trash instead")
	cmd.Flags().IntVar(&o.Limit, "limit", 0, "at most so many; 0 for all")
	a.jsonFlag(cmd)
	return cmd
}

// completeKind completes the first argument of commands that take a kind.
func completeKind(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return strings.Split(kindNames(), ", "), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) list(ctx context.Context, s *localstore.Store, kind record.Kind, o localstore.ListOptions) error {
	out := a.records(false)
	for r, err := range s.List(ctx, kind, o) {
		if err != nil {
			out.w.Flush()
			return explain("list "+string(kind), err)
		}
		if err := out.add(&r); err != nil {
			return err
		}
	}
	return out.end()
}

// recordPrinter prints records one after another, as lines or as JSON.
type recordPrinter struct {
	json  *jsonArray // nil for lines
	w     *bufio.Writer
	kinds bool // lines name the kind
}

func (a *app) records(kinds bool) *recordPrinter {
	p := &recordPrinter{w: bufio.NewWriterSize(a.stdout, 32<<10), kinds: kinds}
	if a.json {
		p.json = &jsonArray{w: p.w}
	}
	return p
}

func (p *recordPrinter) add(r *localstore.Record) error {
	if p.json != nil {
		return p.json.add(shapeOf(r))
	}
	fmt.Fprintf(p.w, "%s  ", shortID(r.ID))
	if p.kinds {
		fmt.Fprintf(p.w, "%-8s  ", escape(string(r.Kind)))
	}
	if key, ok := timeKey[r.Kind]; ok {
		fmt.Fprintf(p.w, "%-16s  ", escape(timeText(valueText(r.Values[key]))))
	}
	title := r.Title
	if title == "" {
		title = "(no title)"
	}
	_, err := io.WriteString(p.w, escape(shorten(title, 60))+marks(r)+"\n")
	return err
}

func (p *recordPrinter) end() error {
	if p.json != nil {
		return p.json.end()
	}
	return p.w.Flush()
}

// timeKey is the field whose time lists show.
var timeKey = map[record.Kind]string{
	record.Events:   "DTSTART",
	record.Tasks:    "DUE",
	record.Pictures: "DTSTART",
}

// timeText makes an iCalendar time (20261122T093000Z) readable; what is no such
// time stays as it is.
func timeText(s string) string {
	date, clock, _ := strings.Cut(s, "T")
	if len(date) != 8 || strings.Trim(date, "0123456789") != "" {
		return shorten(s, 16)
	}
	text := date[:4] + "-" + date[4:6] + "-" + date[6:]
	if len(clock) >= 6 && strings.Trim(clock[:6], "0123456789") == "" {
		text += " " + clock[:2] + ":" + clock[2:4]
		if strings.HasSuffix(clock, "Z") {
			text += "Z"
		}
	}
	return shorten(text, 17)
}

// marks names what is special about a record, in brackets.
func marks(r *localstore.Record) string {
	var m []string
	if r.Deleted {
		m = append(m, "deleted")
	}
	if n := len(r.Conflicts); n > 0 {
		m = append(m, count(n, "conflict"))
	}
	if r.Held.Any() {
		m = append(m, "held")
	} else if !r.Synced {
		m = append(m, "not synced")
	}
	if len(m) == 0 {
		return ""
	}
	return "  [" + strings.Join(m, ", ") + "]"
}
