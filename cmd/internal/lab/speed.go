package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/cmd/internal/lab/sample"
)

// speedOptions say what `bench` measures.
type speedOptions struct {
	Records  int      `json:"records"`  // text records of the workload
	Pictures int      `json:"pictures"` // pictures of it
	Edits    int      `json:"edits"`    // single edits, one at a time
	Many     int      `json:"many"`     // edits at once, online and offline
	Grow     int      `json:"grow"`     // the second account is so many times as large; 0: none
	Accounts int      `json:"accounts"` // of the fleet
	Seconds  int      `json:"seconds"`  // that the fleet edits
	Counts   bool     `json:"counts"`   // measure again, with system calls and bytes counted
	Rows     []string `json:"rows,omitempty"`
	Sidekeep string   `json:"sidekeep,omitempty"` // program of the handsets
	keep     bool
	json     bool
}

// The parts of a run that --rows chooses from; each may need those before it.
var speedParts = []struct{ name, about string }{
	{"sync", "import, up, down, pictures, no-op, cold start"},
	{"edits", "one edit from handset to handset, many online, many offline"},
	{"loss", "reconcile after the cloud lost one record, 1 % and all"},
	{"grow", "import, up, down, cold start, no-op and edits of a larger account"},
	{"fleet", "durable edits a second of many accounts at once"},
}

func benchCommand() *cobra.Command {
	var o speedOptions
	var parts []string
	for _, p := range speedParts {
		parts = append(parts, p.name)
	}
	about := strings.Builder{}
	for _, p := range speedParts {
		fmt.Fprintf(&about, "  %-6s %s\n", p.name, p.about)
	}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a handset and a cloud beside the floor: time, bytes, round trips, fsyncs, memory",
		Long: fmt.Sprintf(`bench starts real handsets and a cloud on this machine, gives them a workload of
%d contacts, events, notes and tasks and %d pictures of 150 KB that were made up, and
prints what it costs to sync. Both ends commit with synchronous=FULL. In the same run it measures the
floor: the same rows in one transaction through the same SQLite driver, and the
same bytes through a bare websocket; ratios are to their sum.

Everything is measured twice: for time, processor and memory; then again with
system calls (strace, if it is installed) and bytes (a proxy) counted.
Nothing but ratios should be compared between machines. The handsets are copies of
this program; --sidekeep measures the one that a device gets, without what the lab
adds to it.

Parts, for --rows:
%s`, sample.WorkloadRecords, sample.WorkloadPictures, about.String()),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, r := range o.Rows {
				if !slices.Contains(parts, r) {
					return fmt.Errorf("--rows %s: there are %s", r, strings.Join(parts, ", "))
				}
			}
			if o.Records < 100 || o.Pictures < 0 || o.Edits < 1 || o.Many < 1 || o.Grow < 0 || o.Accounts < 1 || o.Seconds < 1 {
				return fmt.Errorf("--records must be at least 100, the other numbers positive")
			}
			return runSpeed(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Records, "records", sample.WorkloadRecords, "text records")
	f.IntVar(&o.Pictures, "pictures", sample.WorkloadPictures, "pictures")
	f.IntVar(&o.Edits, "edits", 200, "single edits, one at a time")
	f.IntVar(&o.Many, "many", 1000, "edits at once, online and offline")
	f.IntVar(&o.Grow, "grow", 10, "how many times larger the second account is")
	f.IntVar(&o.Accounts, "accounts", 500, "accounts of the fleet")
	f.IntVar(&o.Seconds, "seconds", 5, "how long the fleet edits")
	f.BoolVar(&o.Counts, "counts", true, "measure again with system calls and bytes counted")
	f.StringSliceVar(&o.Rows, "rows", parts, "parts to measure")
	f.StringVar(&o.Sidekeep, "sidekeep", "", "`program` of the handsets to measure, such as one for 32 bits; without it a copy of this one")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with homes, cloud and logs, and say where it is")
	f.BoolVar(&o.json, "json", false, "print the table as JSON; progress goes to standard error")
	return cmd
}

func (o *speedOptions) wants(part string) bool { return slices.Contains(o.Rows, part) }

// speedResult is what --json prints.
type speedResult struct {
	Options  speedOptions `json:"options"`
	RawText  int64        `json:"raw_text_bytes"`
	RawBlobs int64        `json:"raw_picture_bytes"`
	Traced   bool         `json:"traced"` // fsyncs were counted, by strace
	Floor    speedFloor   `json:"floor"`
	Rows     []*speedRow  `json:"rows"`
}

// runSpeed measures in one pass or two, and prints the table.
func runSpeed(ctx context.Context, o speedOptions, stdout, stderr io.Writer) error {
	story := newStory(stderr)
	result := speedResult{Options: o}
	var err error
	story.say("the floor: rows through the driver, bytes through a websocket")
	if result.Floor, err = measureFloor(ctx, o); err != nil {
		return fmt.Errorf("measure the floor: %w", err)
	}
	passes := []bool{false}
	if o.Counts {
		passes = append(passes, true)
	}
	for _, counting := range passes {
		if err := speedPass(ctx, &result, story, counting); err != nil {
			return err
		}
	}
	for _, r := range result.Rows {
		r.relate(&result)
	}
	if o.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(result)
	}
	printSpeed(stdout, &result)
	return nil
}

// handsetProgram finds the program that --sidekeep names, and sees that it runs here.
func handsetProgram(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	path, err := filepath.Abs(name)
	if err == nil {
		err = exec.CommandContext(ctx, path, "version").Run()
	}
	if err != nil {
		return "", fmt.Errorf("--sidekeep %s: it does not run here: %w", name, err)
	}
	return path, nil
}

// speedPass plays the whole workload once.
func speedPass(ctx context.Context, result *speedResult, story *story, counting bool) error {
	b, err := newBench("sidekeep-bench")
	if err != nil {
		return err
	}
	keep := result.Options.keep
	defer b.Close(keep)
	if b.device, err = handsetProgram(ctx, result.Options.Sidekeep); err != nil {
		return err
	}
	s := &speedRun{story: story, bench: b, o: result.Options, result: result, counting: counting}
	if counting {
		b.trace = tracer()
		result.Traced = b.trace != nil
		story.say("once more, with bytes and system calls counted")
	}
	if keep {
		story.say("kept: %s", b.dir)
	}
	return s.play(ctx)
}
