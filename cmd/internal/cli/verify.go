package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
)

// verifyJSON is the shape of `verify --json`.
type verifyJSON struct {
	OK      bool     `json:"ok"`
	Records int      `json:"records"`
	Chunks  int      `json:"chunks"`
	Missing int      `json:"missing"` // pieces of pictures that have not arrived yet: not damage
	Damage  []string `json:"damage"`
}

func (a *app) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify",
		GroupID: "care",
		Short:   "Check that everything here is as it was written",
		Long: `verify checks everything on this device: the database file, the id of every
version, the hash of every piece of every picture, every digest. It needs no
network and changes nothing. Exit code 6 means that something is damaged; what
the cloud or another device has can be fetched again by joining anew.

With --json it prints {"ok", "records", "chunks", "missing", "damage": [...]}.`,
		Example: "  sidekeep verify",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.verify(cmd.Context(), s)
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) verify(ctx context.Context, s *localstore.Store) error {
	p := newProgress(a.stderr)
	report, err := s.Verify(ctx, func(part float64) { p.show("verifying: %3.0f %%", 100*part) })
	p.clear()
	if err != nil {
		return explain("verify", err)
	}
	if a.json {
		err = a.printJSON(verifyJSON{OK: len(report.Damage) == 0, Records: report.Records, Chunks: report.Chunks,
			Missing: report.Missing, Damage: append([]string{}, report.Damage...)})
	} else {
		err = a.printVerify(report)
	}
	if err != nil {
		return err
	}
	if n := len(report.Damage); n > 0 {
		return &Error{Op: "verify", Cause: fmt.Errorf("%s damaged", count(n, "place")), Code: ExitDamaged,
			Hint: "keep this home as it is; joining the account in a new home fetches what the cloud and the other devices have"}
	}
	return nil
}

func (a *app) printVerify(report localstore.VerifyReport) error {
	for _, d := range report.Damage {
		fmt.Fprintln(a.stdout, "damaged: "+escape(d))
	}
	missing := ""
	if report.Missing > 0 {
		missing = fmt.Sprintf("; %s of pictures not here yet", count(report.Missing, "piece"))
	}
	sound := "all sound"
	if len(report.Damage) > 0 {
		sound = count(len(report.Damage), "place") + " damaged"
	}
	_, err := fmt.Fprintf(a.stdout, "%s and %s of pictures: %s%s\n",
		count(report.Records, "record"), count(report.Chunks, "piece"), sound, missing)
	return err
}
