package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// A batch of an import is one transaction, so one flash commit: it is stored
// when it has so many records, or so many bytes.
const (
	importBatchRecords = 250
	importBatchBytes   = 4 << 20
)

func (a *app) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import FILE|DIR...",
		GroupID: "data",
		Short:   "Import contacts, calendars, notes and pictures from files",
		Long: `import reads vCards (2.1, 3.0, 4.0), iCalendar files (events, tasks, journals),
notes (.txt, .md) and pictures (JPEG, PNG, GIF, WebP, HEIC), and folders with all
they hold. What a file is, is told by its content.

Importing a file twice, or on two devices, makes no duplicates. What was imported
before changes nothing, whatever happened since: edits stay, and what was deleted
stays deleted ('sidekeep undelete' brings it back). A changed file changes its
records, and brings back those that were deleted, which is said; but nothing
that is no newer, by its SEQUENCE, REV or LAST-MODIFIED, than what came from
another device. Two files of one import that have one UID for different things
give two records, unless one is a newer revision, which wins; that is said too.

Where a file is broken, a line 'FILE:LINE: reason' says so and the rest is imported: 'repaired'
means that nothing was lost, 'refused' that something was not taken. Files in a
folder that are none of these are skipped and named.

The import can be stopped at any time (Ctrl-C, a pulled battery): what was
imported stays, and importing again goes on where it stopped.

Exit code 7 means that something was refused; everything else was imported.`,
		Example: "  sidekeep import contacts.vcf calendar.ics\n  sidekeep import ~/old-phone --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.importPaths(cmd.Context(), s, args)
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

// importCounts counts the records of one kind.
type importCounts struct {
	Created   int `json:"created"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
}

// importProblem is one place that was not taken as it stands.
type importProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // 0 when it is about the whole file
	Reason  string `json:"reason"`
	Outcome string `json:"outcome"` // repaired, refused, skipped
}

// importSummary is the shape of `import --json`.
type importSummary struct {
	Files    int                           `json:"files"`    // read
	Skipped  int                           `json:"skipped"`  // files of a folder that are nothing to import
	Repaired int                           `json:"repaired"` // broken places that lost nothing
	Refused  int                           `json:"refused"`  // files and places that were not imported
	Complete bool                          `json:"complete"` // false when the import was stopped
	Kinds    map[record.Kind]*importCounts `json:"kinds"`
	Problems []importProblem               `json:"problems"`
	Records  []importRecord                `json:"records"` // those that were changed, and deleted ones that were met
}

// importRecord is a record that was there before the import and is worth a look.
type importRecord struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Outcome string `json:"outcome"` // changed; undeleted: other content brought it back; deleted: it was met in the trash and stays there
}

const skipped = "skipped" // an outcome beside repaired and refused

// importer carries one import.
type importer struct {
	app     *app
	store   *localstore.Store
	p       *progress
	sum     importSummary
	batch   []pim.Object
	places  []importProblem // file and line of each object of the batch
	bytes   int64
	records int // stored so far
	trashed int // met in the trash and left there
	run     pim.Run
}

func (a *app) importPaths(ctx context.Context, s *localstore.Store, paths []string) error {
	m := &importer{app: a, store: s, p: newProgress(a.stderr)}
	m.sum.Kinds = make(map[record.Kind]*importCounts)
	m.sum.Problems, m.sum.Records = []importProblem{}, []importRecord{}
	files, err := findFiles(ctx, paths)
	for i, f := range files {
		if err != nil {
			break
		}
		m.p.show("importing: file %d of %d, %s", i+1, len(files), count(m.records, "record"))
		err = m.file(ctx, f)
	}
	if err == nil {
		err = m.flush(ctx)
	}
	m.p.clear()
	m.sum.Complete = err == nil
	if perr := m.print(); perr != nil {
		return perr
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &Error{Op: "import", Cause: errors.New("interrupted"),
			Hint: "what the table counts is stored; the same command goes on from there and doubles nothing"}
	case err != nil:
		return explain("import", err)
	case m.sum.Refused > 0:
		return &Error{Op: "import", Cause: fmt.Errorf("%s refused; everything else was imported", count(m.sum.Refused, "place")), Code: ExitRefused}
	}
	return nil
}

// file reads one file. Only what ends the whole import is an error.
func (m *importer) file(ctx context.Context, f found) error {
	if f.skip != "" {
		outcome := skipped
		if f.named || f.lost {
			outcome = string(pim.Refused)
		}
		m.problem(importProblem{f.path, 0, f.skip, outcome})
		return nil
	}
	var stop error // an error of the store, which ends the import
	report, err := pim.ImportFile(f.path, func(o pim.Object) error {
		stop = m.take(ctx, f.path, o)
		return stop
	})
	for _, p := range report.Problems {
		m.list(importProblem{f.path, p.Line, p.Reason, string(p.Outcome)})
	}
	m.sum.Repaired += report.Repaired
	m.sum.Refused += report.Refused
	if rest := report.Repaired + report.Refused - len(report.Problems); rest > 0 {
		m.list(importProblem{f.path, 0, fmt.Sprintf("%d more places, not listed", rest), string(pim.Repaired)})
	}
	switch {
	case stop != nil:
		return stop
	case errors.Is(err, pim.ErrUnknownFormat) && !f.named:
		m.problem(importProblem{f.path, 0, pim.ErrUnknownFormat.Error(), skipped})
	case err != nil:
		m.problem(importProblem{f.path, 0, reason(err), string(pim.Refused)})
	default:
		m.sum.Files++
	}
	return nil
}

// take puts an object into the batch and stores the batch when it is full.
func (m *importer) take(ctx context.Context, path string, o pim.Object) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if why := m.run.Take(path, &o); why != "" {
		m.sum.Repaired++
		m.list(importProblem{path, o.Line, why, string(pim.Repaired)})
	}
	m.batch = append(m.batch, o)
	m.places = append(m.places, importProblem{File: path, Line: o.Line, Outcome: string(pim.Refused)})
	for _, f := range o.Fields {
		m.bytes += int64(len(f.Line))
	}
	for _, b := range o.Blobs {
		m.bytes += b.Size
	}
	if len(m.batch) < importBatchRecords && m.bytes < importBatchBytes {
		return nil
	}
	return m.flush(ctx)
}

// flush stores the batch in one transaction. If one object can not be stored,
// the others are stored one by one.
func (m *importer) flush(ctx context.Context) error {
	if len(m.batch) == 0 {
		return nil
	}
	batch, places := m.batch, m.places
	m.batch, m.places, m.bytes = nil, nil, 0
	results, err := m.store.Import(ctx, batch)
	if err == nil {
		m.count(batch, places, results)
		return nil
	}
	if !ofOneObject(err) {
		return err
	}
	for i := range batch {
		results, err := m.store.Import(ctx, batch[i:i+1])
		switch {
		case err == nil:
			m.count(batch[i:i+1], places[i:i+1], results)
		case ofOneObject(err):
			places[i].Reason = reason(err)
			m.problem(places[i])
		default:
			return err
		}
	}
	return nil
}

// ofOneObject reports whether a failed transaction may succeed without the
// object at fault: one that passes a limit, or whose file can not be read.
func ofOneObject(err error) bool {
	for _, whole := range []error{context.Canceled, context.DeadlineExceeded, localstore.ErrFull, localstore.ErrBusy,
		localstore.ErrReadOnly, localstore.ErrDamaged} {
		if errors.Is(err, whole) {
			return false
		}
	}
	return true
}

func (m *importer) count(batch []pim.Object, places []importProblem, results []localstore.ImportResult) {
	for i, r := range results {
		c := m.sum.Kinds[batch[i].Kind]
		if c == nil {
			c = &importCounts{}
			m.sum.Kinds[batch[i].Kind] = c
		}
		m.note(batch[i].Kind, places[i], r)
		switch r.Outcome {
		case localstore.Created:
			c.Created++
		case localstore.Changed:
			c.Changed++
		case localstore.Unchanged:
			c.Unchanged++
		}
	}
	m.records += len(results)
	m.p.show("importing: %s", count(m.records, "record"))
}

// note keeps a record that the import changed, or met in the trash.
func (m *importer) note(kind record.Kind, at importProblem, r localstore.ImportResult) {
	outcome := string(r.Outcome)
	switch {
	case r.Undeleted:
		outcome = "undeleted"
		if !m.app.json {
			m.p.line("%s:%d: it had been deleted; other content than before brought it back (record %s)", at.File, at.Line, r.ID)
		}
	case r.Deleted:
		outcome = "deleted"
		m.trashed++
	case r.Outcome != localstore.Changed:
		return
	}
	if m.app.json {
		m.sum.Records = append(m.sum.Records, importRecord{at.File, at.Line, r.ID.String(), string(kind), outcome})
	}
}

// problem counts and lists a problem that no report has counted.
func (m *importer) problem(p importProblem) {
	if p.Outcome == skipped {
		m.sum.Skipped++
	} else {
		m.sum.Refused++
	}
	m.list(p)
}

func (m *importer) list(p importProblem) {
	if m.app.json {
		m.sum.Problems = append(m.sum.Problems, p)
		return
	}
	if p.Line > 0 {
		m.p.line("%s:%d: %s (%s)", p.File, p.Line, p.Reason, p.Outcome)
		return
	}
	m.p.line("%s: %s (%s)", p.File, p.Reason, p.Outcome)
}

func (m *importer) print() error {
	if m.app.json {
		return m.app.printJSON(m.sum)
	}
	t := newTable("kind", "created", "changed", "unchanged").numeric(1, 2, 3)
	for _, kind := range record.Kinds {
		if c := m.sum.Kinds[kind]; c != nil {
			t.add(string(kind), fmt.Sprint(c.Created), fmt.Sprint(c.Changed), fmt.Sprint(c.Unchanged))
		}
	}
	if len(t.rows) > 0 {
		if err := t.print(m.app.stdout); err != nil {
			return err
		}
	}
	if m.trashed > 0 {
		if _, err := fmt.Fprintf(m.app.stdout, "%s in the trash, not brought back: 'sidekeep undelete' does\n", count(m.trashed, "record")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(m.app.stdout, "%s read, %d skipped; %s repaired, %d refused\n",
		count(m.sum.Files, "file"), m.sum.Skipped, count(m.sum.Repaired, "place"), m.sum.Refused)
	return err
}
