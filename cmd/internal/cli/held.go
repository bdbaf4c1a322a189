package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

func (a *app) heldCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "held",
		GroupID: "care",
		Short:   "Show, accept or reject mass deletions that wait for you",
		Long: fmt.Sprintf(`A deletion of more than %d records of a kind, and more than %d %% of them, does not
leave this device until a person agrees: a program gone mad must not empty
every device. 'held' shows the records that wait; 'held accept' lets the
deletions go out, 'held reject' brings the records back.

With --json it prints an array of records in the shape of list.`, localstore.BrakeMinDefault, localstore.BrakePercentDefault),
		Example: "  sidekeep held\n  sidekeep held accept contacts\n  sidekeep held reject",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.held(cmd.Context(), s)
			})
		},
	}
	a.jsonFlag(cmd)
	cmd.AddCommand(
		a.decideCommand("accept", "Let held deletions go out to the cloud and the other devices", "accepted",
			func(s *localstore.Store) decide { return s.AcceptHeld }),
		a.decideCommand("reject", "Undo held deletions: the records come back", "brought back",
			func(s *localstore.Store) decide { return s.RejectHeld }),
	)
	return cmd
}

// decide is AcceptHeld or RejectHeld of a store.
type decide func(context.Context, record.Kind) (int, error)

func (a *app) decideCommand(verb, short, done string, of func(*localstore.Store) decide) *cobra.Command {
	cmd := &cobra.Command{
		Use:               verb + " [KIND]",
		Short:             short,
		Long:              short + ", of one kind or of all.",
		Example:           "  sidekeep held " + verb + " contacts",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeKind,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				var kind record.Kind
				if len(args) == 1 {
					var err error
					if kind, err = parseKind(cmd.Context(), s, args[0]); err != nil {
						return err
					}
				}
				n, err := of(s)(cmd.Context(), kind)
				if err != nil {
					return explain("held "+verb, err)
				}
				if a.json {
					return a.printJSON(map[string]int{verb + "ed": n})
				}
				_, err = fmt.Fprintf(a.stdout, "%s %s\n", count(n, "held deletion"), done)
				return err
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) held(ctx context.Context, s *localstore.Store) error {
	out := a.records(true)
	n := 0
	for r, err := range s.Held(ctx) {
		if err != nil {
			out.w.Flush()
			return explain("read what is held", err)
		}
		n++
		if err := out.add(&r); err != nil {
			return err
		}
	}
	if n == 0 && !a.json {
		fmt.Fprintln(out.w, "nothing is held")
	}
	return out.end()
}
