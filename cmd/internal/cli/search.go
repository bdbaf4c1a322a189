package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
)

// searchLimit is how many records search prints unless told otherwise.
const searchLimit = 50

func (a *app) searchCommand() *cobra.Command {
	limit := searchLimit
	cmd := &cobra.Command{
		Use:     "search TEXT",
		GroupID: "data",
		Short:   "Search all kinds for words",
		Long: `search prints the living records of all kinds that hold every word of TEXT, or
a word that begins with it, whatever the case and the accents; the best first.
With --json it prints an array of records in the shape of list.`,
		Example: "  sidekeep search lovelace\n  sidekeep search dentist friday --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.search(cmd.Context(), s, strings.Join(args, " "), limit)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", searchLimit, "at most so many")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) search(ctx context.Context, s *localstore.Store, text string, limit int) error {
	if limit < 1 {
		return usagef("--limit %d: must be at least 1", limit)
	}
	found, err := s.Search(ctx, text, limit)
	if err != nil {
		return explain("search", err)
	}
	out := a.records(true)
	for i := range found {
		if err := out.add(&found[i]); err != nil {
			return err
		}
	}
	return out.end()
}
