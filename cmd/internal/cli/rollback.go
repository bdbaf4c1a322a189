package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
)

var historyLong = fmt.Sprintf(`history prints what changed in a record on this device and when, newest first,
whoever changed it: you, an app, or another device. It reaches back %d days that
sidekeep runs, within %d MB: of a record written over and over, states in the middle
go first, and a change before which the record is not known says so. The limits
are "history_days" and "history_bytes" in config.json in the home folder, and
--history-days and --history-bytes of 'sidekeep run' and 'sidekeep sync'.

The time is what this device's clock said; the number is the true order of
changes, and 'rollback --to' takes it, too.

With --json it prints an array of
  {"number", "at", "what", "keys": [{"key", "before", "after"}]}
where what is added, edited, deleted, undeleted, purged or unknown.`,
	localstore.HistoryDaysDefault, localstore.HistoryBytesDefault>>20)

func (a *app) historyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "history ID",
		GroupID: "care",
		Short:   "Show what changed in a record, and when",
		Long:    historyLong,
		Example: "  sidekeep history 3f9a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.history(cmd.Context(), s, args[0])
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

type historyJSON struct {
	Number int64         `json:"number"`
	At     time.Time     `json:"at"`
	What   string        `json:"what"`
	Keys   []keyDiffJSON `json:"keys"`
}

type keyDiffJSON struct {
	Key    string `json:"key"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

func keyDiffs(keys []localstore.KeyChange) []keyDiffJSON {
	list := []keyDiffJSON{}
	for _, k := range keys {
		list = append(list, keyDiffJSON{k.Key, k.Before, k.After})
	}
	return list
}

func (a *app) history(ctx context.Context, s *localstore.Store, prefix string) error {
	id, err := resolve(ctx, s, prefix)
	if err != nil {
		return err
	}
	changes, err := s.History(ctx, id)
	if err != nil {
		return explain("read the history of "+shortID(id), err)
	}
	w := bufio.NewWriter(a.stdout)
	if a.json {
		array := &jsonArray{w: w}
		for _, c := range changes {
			if err := array.add(historyJSON{c.Order, c.At.UTC(), c.What, keyDiffs(c.Keys)}); err != nil {
				return err
			}
		}
		return array.end()
	}
	for _, c := range changes {
		what := c.What
		if what == localstore.ChangeUnknown {
			what = "changed; what it was before is not known"
		}
		fmt.Fprintf(w, "%s  #%d  %s\n", c.At.Local().Format(time.DateTime), c.Order, what)
		printKeys(w, c.Keys)
	}
	if len(changes) == 0 {
		fmt.Fprintln(w, "no changes are kept")
	}
	return w.Flush()
}

func printKeys(w *bufio.Writer, keys []localstore.KeyChange) {
	for _, k := range keys {
		text := escape(quoted(k.Before) + " -> " + quoted(k.After))
		if k.Blob {
			text += " (with its large value)"
		}
		fmt.Fprintf(w, "    %s  %s\n", escape(k.Key), text)
	}
}

func quoted(v any) string {
	if v == nil {
		return "nothing"
	}
	return strconv.Quote(shorten(valueText(v), 80))
}

const rollbackLong = `rollback brings records back to how they were on this device at a time: what was
edited since gets its old fields, what was deleted since comes back, what was added
since goes to the trash. These are ordinary changes: they go to the cloud and all
your devices, stand in the history, and can be rolled back themselves.

TIME is one of
  2026-11-22T09:30:00Z   RFC 3339
  2026-11-22 09:30       wall time here
  2h                     so long ago (s, m, h, or d)
  '#123'                 before the change of this number, as 'history' prints it
Times are those of this device's clock. Where it was wrong for a while, the order of
changes is known all the same: changes made meanwhile count as made between their
neighbours, and those right at TIME are undone and counted as unclear. A number is exact.

What a record was may not be known: it came with the first sync of this device, or
its history is no longer kept (see 'sidekeep help history'). Such records are named
and left alone. So are all if TIME is before the history begins.

Look with --dry-run first. Deletions of very many records are held on this device
until you accept them (see 'sidekeep help held'), unless you give --yes. Other
devices may hold them, too. A rollback that was interrupted is finished by running
it again with the TIME it printed.

With --json it prints
  {"to", "order", "dry_run", "edited", "undeleted", "deleted", "unknown", "unclear",
   "changes": [{"id", "kind", "title", "what", "keys": [{"key", "before", "after"}]}]}`

type rollbackFlags struct {
	to, kind    string
	dryRun, yes bool
}

func (a *app) rollbackCommand() *cobra.Command {
	var f rollbackFlags
	cmd := &cobra.Command{
		Use:     "rollback --to TIME",
		GroupID: "care",
		Short:   "Bring records back to how they were at a time",
		Long:    rollbackLong,
		Example: "  sidekeep rollback --to 2h --dry-run\n  sidekeep rollback --to '2026-11-22 09:30' --kind contacts",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.rollback(cmd.Context(), s, f)
			})
		},
	}
	cmd.Flags().StringVar(&f.to, "to", "", "the `TIME` to go back to")
	cmd.Flags().StringVar(&f.kind, "kind", "", "only records of this `kind`")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only print what would change")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "let deletions go out, however many")
	_ = cmd.MarkFlagRequired("to")
	a.jsonFlag(cmd)
	return cmd
}

type rollbackJSON struct {
	To        time.Time            `json:"to"`
	Order     int64                `json:"order"`
	DryRun    bool                 `json:"dry_run"`
	Edited    int                  `json:"edited"`
	Undeleted int                  `json:"undeleted"`
	Deleted   int                  `json:"deleted"`
	Unknown   int                  `json:"unknown"`
	Unclear   int                  `json:"unclear"`
	Changes   []rollbackChangeJSON `json:"changes"`
}

type rollbackChangeJSON struct {
	ID    string        `json:"id"`
	Kind  string        `json:"kind"`
	Title string        `json:"title"`
	What  string        `json:"what"`
	Keys  []keyDiffJSON `json:"keys"`
}

func (a *app) rollback(ctx context.Context, s *localstore.Store, f rollbackFlags) error {
	o := localstore.RollbackOptions{DryRun: f.dryRun, Release: f.yes}
	var err error
	if o.To, err = moment(ctx, s, f.to, time.Now()); err != nil {
		return err
	}
	if f.kind != "" {
		if o.Kind, err = parseKind(ctx, s, f.kind); err != nil {
			return err
		}
	}
	out := rollbackJSON{To: o.To.At.UTC(), Order: o.To.Order, DryRun: f.dryRun, Unclear: o.To.Unclear, Changes: []rollbackChangeJSON{}}
	w := bufio.NewWriter(a.stdout)
	if !a.json {
		fmt.Fprintf(w, "to %s, before change #%d\n", o.To.At.Format(time.RFC3339Nano), o.To.Order+1)
		if err := w.Flush(); err != nil { // whoever is cut off needs it
			return err
		}
	}
	report, err := s.Rollback(ctx, o, func(c localstore.RollbackChange) error {
		if a.json {
			out.Changes = append(out.Changes, rollbackChangeJSON{c.ID.String(), string(c.Kind), c.Title, c.What, keyDiffs(c.Keys)})
			return nil
		}
		what := c.What
		if what == localstore.RollbackUnknown {
			what = "left as it is, since what it was is not known"
		}
		fmt.Fprintf(w, "%s  %s  %s: %s\n", shortID(c.ID), escape(string(c.Kind)), escape(shorten(c.Title, 60)), what)
		if f.dryRun {
			printKeys(w, c.Keys)
		}
		return nil
	})
	if err != nil {
		w.Flush()
		return explain("roll back", err)
	}
	if a.json {
		out.Edited, out.Undeleted, out.Deleted, out.Unknown = report.Edited, report.Undeleted, report.Deleted, report.Unknown
		return a.printJSON(out)
	}
	did := "rolled back"
	if f.dryRun {
		did = "would be rolled back"
	}
	fmt.Fprintf(w, "%s %s: %d edited, %d undeleted, %d deleted\n",
		count(report.Edited+report.Undeleted+report.Deleted, "record"), did, report.Edited, report.Undeleted, report.Deleted)
	if report.Unknown > 0 {
		fmt.Fprintf(w, "%s left alone: what they were then is not known\n", count(report.Unknown, "record"))
	}
	if o.To.Unclear > 0 {
		fmt.Fprintf(w, "%s made while the clock was wrong counted as later; see 'sidekeep help rollback'\n", count(o.To.Unclear, "change"))
	}
	return w.Flush()
}

// moment reads TIME of rollback.
func moment(ctx context.Context, s *localstore.Store, text string, now time.Time) (localstore.Moment, error) {
	var m localstore.Moment
	var err error
	if number, ok := strings.CutPrefix(text, "#"); ok {
		n, perr := strconv.ParseInt(number, 10, 64)
		if perr != nil || n < 1 {
			return m, usagef("time %q: # stands before the number of a change", text)
		}
		m, err = s.MomentBefore(ctx, n)
	} else {
		to, perr := parseTime(text, now)
		if perr != nil {
			return m, perr
		}
		m, err = s.MomentAt(ctx, to)
	}
	var begins *localstore.HistoryError
	switch {
	case errors.As(err, &begins):
		return m, &Error{Op: "roll back", Cause: begins, Code: ExitRefused, Hint: "nothing was changed; take a later time, or restore a back-up"}
	case errors.Is(err, localstore.ErrNoChange):
		return m, &Error{Op: "roll back to", Object: text, Cause: localstore.ErrNoChange, Code: ExitUsage, Hint: "'sidekeep history ID' prints the numbers"}
	}
	return m, explain("roll back", err)
}

func parseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return notLater(t, text, now)
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return notLater(t, text, now)
		}
	}
	duration := text
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil {
			duration = fmt.Sprintf("%dh", n*24)
		}
	}
	if d, err := time.ParseDuration(duration); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return now, usagef("time %q: must look like 2026-11-22T09:30:00Z, 2026-11-22 09:30, 2h or #123", text)
}

func notLater(t time.Time, text string, now time.Time) (time.Time, error) {
	if t.After(now) {
		return t, usagef("time %q has not come yet", text)
	}
	return t, nil
}
