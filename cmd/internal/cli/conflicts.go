package cli

import (
	"bufio"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
)

func (a *app) conflictsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "conflicts",
		GroupID: "care",
		Short:   "Show fields that two devices changed at the same time",
		Long: `conflicts prints the fields that were changed on two devices, neither of which
had seen the other's change. Nothing was lost: one value is shown everywhere,
the others are kept beside it until the field is set again:

  sidekeep set ID KEY=VALUE

With --json it prints an array of
  {"id", "kind", "title", "key", "shown": {"value", "raw"}, "other": [{"value", "raw"}]}`,
		Example: "  sidekeep conflicts\n  sidekeep set 3f9a TEL.k3x2a=\"+44 20 7946 0002\"",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.conflicts(cmd.Context(), s)
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) conflicts(ctx context.Context, s *localstore.Store) error {
	w := bufio.NewWriter(a.stdout)
	array := &jsonArray{w: w}
	fields := 0
	for r, err := range s.Conflicts(ctx) {
		if err != nil {
			w.Flush()
			return explain("read the conflicts", err)
		}
		if !a.json {
			fmt.Fprintf(w, "%s  %s  %s\n", shortID(r.ID), escape(string(r.Kind)), escape(shorten(r.Title, 60)))
		}
		for _, c := range r.Conflicts {
			fields++
			if a.json {
				if err := array.add(conflictShape(&r, c)); err != nil {
					return err
				}
				continue
			}
			for i, sibling := range c.Siblings {
				what := "shown"
				if i > 0 {
					what = "other"
				}
				text := escape(shorten(valueText(sibling.Value), 200))
				if b := sibling.Field.Blob; b != nil {
					text += " " + blobText(b.Size)
				}
				fmt.Fprintf(w, "    %s  %s  %s\n", escape(c.Key), what, text)
			}
		}
	}
	if a.json {
		return array.end()
	}
	if fields == 0 {
		fmt.Fprintln(w, "no conflicts")
	}
	return w.Flush()
}
