package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
)

func (a *app) showCommand() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:     "show ID",
		GroupID: "data",
		Short:   "Show one record with all its fields",
		Long: `show prints a record, living or deleted, with every field in the order of its
lines, and the other values of fields that are in conflict. A unique beginning
of the id is enough. With --json it prints one record in the shape of list.`,
		Example: "  sidekeep show 3f9a\n  sidekeep show 3f9a --raw",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				r, err := get(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(shapeOf(&r))
				}
				return a.show(&r, raw)
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "print the content lines as they stand, not their values")
	a.jsonFlag(cmd)
	return cmd
}

// get reads the record whose id begins with prefix.
func get(ctx context.Context, s *localstore.Store, prefix string) (localstore.Record, error) {
	id, err := resolve(ctx, s, prefix)
	if err != nil {
		return localstore.Record{}, err
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return r, explain("read "+shortID(id), err)
	}
	return r, nil
}

func (a *app) show(r *localstore.Record, raw bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s%s\n", r.ID, escape(string(r.Kind)), marks(r))
	width := 5
	for _, f := range r.Fields {
		width = max(width, min(len(f.Key), 24))
	}
	conflicts := make(map[string]localstore.Conflict, len(r.Conflicts))
	for _, c := range r.Conflicts {
		conflicts[c.Key] = c
	}
	for _, f := range r.Fields {
		text := valueText(r.Values[f.Key])
		if raw {
			text = string(f.Line)
		}
		if f.Blob != nil {
			text = strings.TrimSpace(shorten(text, 60) + " " + blobText(f.Blob.Size))
		}
		line(&b, f.Key, width, text)
		if c, ok := conflicts[f.Key]; ok {
			for _, other := range c.Siblings[1:] {
				text := valueText(other.Value)
				if raw {
					text = string(other.Field.Line)
				}
				if other.Field.Blob != nil {
					text = strings.TrimSpace(shorten(text, 60) + " " + blobText(other.Field.Blob.Size))
				}
				line(&b, "  or", width, text)
			}
		}
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// line writes one field; further lines of its text stand under the first.
func line(b *strings.Builder, key string, width int, text string) {
	indent := "\n" + strings.Repeat(" ", width+2)
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\t", "    ")
	fmt.Fprintf(b, "%-*s  %s\n", width, escape(key), strings.ReplaceAll(escapeLines(text), "\n", indent))
}

func blobText(size uint64) string { return "(" + byteText(int64(size)) + ")" }

// byteText gives a size for people.
func byteText(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}
