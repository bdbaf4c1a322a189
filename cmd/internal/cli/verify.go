package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/localstore"
)

// verifyJSON is the shape of `verify --json`.
type verifyJSON struct {
	OK         bool               `json:"ok"`
	Records    int                `json:"records"`
	Chunks     int                `json:"chunks"`
	Missing    int                `json:"missing"` // pieces of pictures that have not arrived yet: not damage
	Damage     []string           `json:"damage"`
	Lost       []agent.LostRecord `json:"lost"`
	AtLeast    bool               `json:"at_least"` // more may be lost than could be named
	Incomplete []incompleteJSON   `json:"incomplete"`
}

// incompleteJSON is a record of which pieces are missing.
type incompleteJSON struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Missing int    `json:"missing"`
}

func (a *app) verifyCommand() *cobra.Command {
	seen := false
	cmd := &cobra.Command{
		Use:     "verify [--seen]",
		GroupID: "care",
		Short:   "Check that everything here is as it was written",
		Long: `verify checks everything on this device: the database file, the id of every
version, the hash of every piece of every picture, every digest, and that the
files are open to nobody but this user (and the apps' group, if one was named at
init); it mends the latter and says so. It needs no network. If all is sound it
changes nothing.

A damaged database is set aside and kept in data/damaged-TIME; a new one is made
of every record and piece in it that can be read and proven. What is missing
then comes from the cloud with the next sync. verify names the records that are
known to have been here and are not; after a sync, "nowhere" says that the cloud
does not have them either. A record that came back from the cloud without its
last edit, which was not synced, is named, too. What is lost for good stays named,
here and in status, until you edit the record or say --seen. Exit code 6 means that
something was damaged, or is still missing because of it.

With --json it prints {"ok", "records", "chunks", "missing", "damage": [...],
"lost": [{"id", "kind", "nowhere", "copy", "edit": ""|"lost"|"perhaps lost"}],
"at_least": true if pages that name records could not be read,
"incomplete": [{"id", "kind", "missing"}]}.`,
		Example: "  sidekeep verify",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.verify(cmd.Context(), seen) },
	}
	cmd.Flags().BoolVar(&seen, "seen", false, "take what is named as lost for good off the list, after naming it once more")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) verify(ctx context.Context, seen bool) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	if err := h.mendPermissions(func(what string) { fmt.Fprintln(a.stderr, "sidekeep: "+escape(what)) }); err != nil {
		return &Error{Op: "verify", Object: h.data(), Cause: err, Hint: "look at whose the data folder is, and at apps_group in config.json"}
	}
	gone := !exists(filepath.Join(h.data(), localstore.FileName)) && !exists(filepath.Join(h.data(), "salvaged"))
	report, err := a.checkStore(ctx, h)
	before := report.Damage
	if gone && err == nil {
		before = append(before, "the database was gone; a new one is empty")
	}
	if !gone && (len(before) > 0 || errors.Is(err, localstore.ErrDamaged)) {
		if err == nil {
			err = fmt.Errorf("%s damaged: %w", count(len(before), "place"), localstore.ErrDamaged)
		}
		if len(before) == 0 {
			before = []string{err.Error()}
		}
		if err := a.salvage(ctx, h, err); err != nil {
			return errors.Join(a.printVerify(report), err)
		}
		report, err = a.checkStore(ctx, h)
	}
	if err != nil {
		return explain("verify", err)
	}
	sound := len(report.Damage) == 0
	report.Damage = append(before, report.Damage...)
	if gone {
		return errors.Join(a.printVerify(report), &Error{Op: "verify", Object: h.data(), Cause: errors.New("the database was gone"), Code: ExitDamaged,
			Hint: "'sidekeep sync' fetches what the cloud has; if you have the old " + localstore.FileName + ", stop all of sidekeep and put it back first"})
	}
	if err := a.printVerify(report); err != nil {
		return err
	}
	if seen {
		if err := a.seenLost(ctx, h, &report); err != nil {
			return err
		}
	}
	switch {
	case !sound:
		return &Error{Op: "verify", Cause: errors.New("the new database is damaged, too"), Code: ExitDamaged,
			Hint: "the flash of this device may be failing: back up, and join the account on another one"}
	case len(report.Lost) > 0:
		return &Error{Op: "verify", Cause: fmt.Errorf("%s could not be read and not found elsewhere yet", lostCount(report.Lost)), Code: ExitDamaged, Hint: hintLost}
	case len(before) > 0:
		return &Error{Op: "verify", Cause: fmt.Errorf("%s damaged; what could be read is whole again", count(len(before), "place")), Code: ExitDamaged,
			Hint: "'sidekeep sync' fetches what is missing"}
	}
	return nil
}

// seenLost takes what is lost for good off the list, and out of a report.
func (a *app) seenLost(ctx context.Context, h *home, report *localstore.VerifyReport) error {
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return err
	}
	n, err := s.SeenLost(ctx)
	var st localstore.Status
	if err == nil {
		st, err = s.Status(ctx)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return explain("verify", err)
	}
	report.Lost = st.Lost
	fmt.Fprintf(a.stderr, "taken off the list: %s\n", count(n, "record"))
	return nil
}

// checkStore opens the database of a home as it is and verifies it.
func (a *app) checkStore(ctx context.Context, h *home) (report localstore.VerifyReport, err error) {
	s, err := a.tryStore(ctx, h, nil)
	if err != nil {
		return report, err
	}
	p := newProgress(a.stderr)
	report, err = s.Verify(ctx, func(part float64) { p.show("verifying: %3.0f %%", 100*part) })
	p.clear()
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	return report, err
}

func (a *app) printVerify(report localstore.VerifyReport) error {
	if a.json {
		j := verifyJSON{OK: len(report.Damage) == 0 && len(report.Lost) == 0, Records: report.Records, Chunks: report.Chunks,
			Missing: report.Missing, Damage: append([]string{}, report.Damage...), Lost: agent.LostRecords(report.Lost), AtLeast: localstore.AtLeast(report.Lost), Incomplete: []incompleteJSON{}}
		for _, in := range report.Incomplete {
			j.Incomplete = append(j.Incomplete, incompleteJSON{in.ID.String(), string(in.Kind), in.Missing})
		}
		return a.printJSON(j)
	}
	for _, d := range report.Damage {
		fmt.Fprintln(a.stdout, "damaged: "+escape(d))
	}
	for _, l := range agent.LostRecords(report.Lost) {
		fmt.Fprintln(a.stdout, escape(lostLine(l)))
	}
	for _, in := range report.Incomplete {
		fmt.Fprintf(a.stdout, "incomplete: %s %s: %s not here yet\n", escape(string(in.Kind)), in.ID, count(in.Missing, "piece"))
	}
	missing := ""
	if report.Missing > 0 {
		missing = fmt.Sprintf("; %s of pictures not here yet", count(report.Missing, "piece"))
	}
	sound := "all sound"
	if len(report.Damage) > 0 {
		sound = count(len(report.Damage), "place") + " damaged"
	}
	if len(report.Lost) > 0 {
		sound += ", " + lostCount(report.Lost) + " lost"
	}
	_, err := fmt.Fprintf(a.stdout, "%s and %s of pictures: %s%s\n",
		count(report.Records, "record"), count(report.Chunks, "piece"), sound, missing)
	return err
}

const hintLost = "'sidekeep sync' fetches what the cloud has; a back-up restored into another home brings back what it has; editing a named record, or 'sidekeep verify --seen', takes what is lost for good off the list"

const hintNowhere = "'sidekeep verify' names the pictures; a device that has the pieces gives them when it syncs; if none has, import the files again"

// lostCount counts records and, apart, edits of records that are here. It says
// so if there may be more than have a name.
func lostCount(list []localstore.Lost) string {
	edits := 0
	for i := range list {
		if list[i].Back {
			edits++
		}
	}
	text := ""
	if n := len(list) - edits; n > 0 || edits == 0 {
		text = count(n, "record")
	}
	if edits > 0 && text != "" {
		text += " and "
	}
	if edits > 0 {
		text += count(edits, "edit")
	}
	if localstore.AtLeast(list) {
		text = "at least " + text
	}
	return text
}

// lostLine names a record that was in a damaged database.
func lostLine(l agent.LostRecord) string {
	what := "could not be read here, and the cloud was not asked yet"
	switch {
	case l.Edit == "lost":
		what = "the record is here as the cloud had it; its last edit on this device was not synced, and is lost"
	case l.Edit != "":
		what = "the record is here as the cloud has it; its last edit on this device was not acknowledged, and may be lost"
	case l.Nowhere:
		what = "nowhere: neither here nor at the cloud"
	case l.Copy:
		what = "damaged here, and the cloud was not asked yet; the damaged copy comes back if it has none"
	}
	return fmt.Sprintf("lost: %s %s: %s", orDash(string(l.Kind)), l.ID, what)
}
