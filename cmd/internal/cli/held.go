package cli

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

func (a *app) heldCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "held",
		GroupID: "care",
		Short:   "Show, accept or reject mass deletions that wait for you",
		Long: fmt.Sprintf(`When more than %d records of a kind, and more than %d %% of them, are deleted or
emptied within a day, a person has to agree: a program gone mad must not empty
every device. Direction 'out' is what this device, or a program on it, did: it
does not leave before you accept it. Direction 'in' came from another device: the
records stay here, as they were, until you accept it.

'held accept' lets the deletions happen; 'held reject' keeps the records, and
brings them back on all devices and the cloud. What came is rejected by writing
the records anew, which the next sync does.

The limits are "brake_min" and "brake_percent" in config.json in the home folder,
and --brake-min and --brake-percent of 'sidekeep run' and 'sidekeep sync'.

With --json it prints an array of records in the shape of list, each with
"direction": "in" or "out", and "loss": "deleted" or "emptied".`, localstore.BrakeMinDefault, localstore.BrakePercentDefault),
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
		a.decideCommand("accept", "Let held deletions happen", "accepted",
			func(s *localstore.Store) decide { return s.AcceptHeld }),
		a.decideCommand("reject", "Undo held deletions: the records stay, or come back", "rejected: the records stay",
			func(s *localstore.Store) decide { return s.RejectHeld }),
	)
	return cmd
}

// decide is AcceptHeld or RejectHeld of a store.
type decide func(context.Context, record.Kind, ...record.ID) (int, error)

func (a *app) decideCommand(verb, short, done string, of func(*localstore.Store) decide) *cobra.Command {
	cmd := &cobra.Command{
		Use:               verb + " [KIND|ID...]",
		Short:             short,
		Long:              short + ": of some kinds, of some records, or, without arguments, of all.",
		Example:           "  sidekeep held " + verb + " contacts\n  sidekeep held " + verb + " 3f2a",
		ValidArgsFunction: completeKind,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				n, err := decideAll(cmd.Context(), s, args, of(s))
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

// decideAll decides on everything, or on the kinds and records that args name.
func decideAll(ctx context.Context, s *localstore.Store, args []string, on decide) (int, error) {
	if len(args) == 0 {
		return on(ctx, "")
	}
	var kinds []record.Kind
	var prefixes []string
	for _, arg := range args {
		kind, err := parseKind(ctx, s, arg)
		switch {
		case err == nil:
			kinds = append(kinds, kind)
		case strings.Trim(strings.ToLower(arg), "0123456789abcdef") == "":
			prefixes = append(prefixes, arg)
		default:
			return 0, err
		}
	}
	ids, err := resolveAll(ctx, s, prefixes)
	if err != nil {
		return 0, err
	}
	slices.Sort(kinds)
	total := 0
	for _, kind := range slices.Compact(kinds) {
		n, err := on(ctx, kind)
		if err != nil {
			return total, err
		}
		total += n
	}
	if len(ids) == 0 {
		return total, nil
	}
	n, err := on(ctx, "", ids...)
	return total + n, err
}

// heldJSON is one held loss in `held --json`.
type heldJSON struct {
	recordJSON
	Direction string          `json:"direction"` // in or out
	Loss      localstore.Loss `json:"loss"`
}

func (a *app) held(ctx context.Context, s *localstore.Store) error {
	var out *jsonArray
	if a.json {
		out = &jsonArray{w: bufio.NewWriterSize(a.stdout, 32<<10)}
	}
	t := newTable("id", "kind", "direction", "would be", "title")
	for r, err := range s.Held(ctx) {
		if err != nil {
			return explain("read what is held", err)
		}
		for _, h := range []struct {
			direction string
			loss      localstore.Loss
		}{{"out", r.Held.Out}, {"in", r.Held.In}} {
			switch {
			case h.loss == "":
			case out != nil:
				if err := out.add(heldJSON{shapeOf(&r), h.direction, h.loss}); err != nil {
					return err
				}
			default:
				title := r.Title
				if title == "" {
					title = "(no title)"
				}
				t.add(shortID(r.ID), string(r.Kind), h.direction, string(h.loss), shorten(title, 60))
			}
		}
	}
	if out != nil {
		return out.end()
	}
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nothing is held")
		return err
	}
	return t.print(a.stdout)
}
