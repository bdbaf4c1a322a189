package lab

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"sidekeep/cmd/internal/lab/sample"
)

// Main runs a command line of sidekeep-lab, or, in a copy that the lab started,
// of the command whose role it plays. It returns the exit code: 0 when what the
// command set out to show was shown, 1 when it was not, 2 for a wrong command
// line, 130 when it was interrupted.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if code, ok := actRole(args, stdin, stdout, stderr); ok {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := false
	root := &cobra.Command{
		Use:   "sidekeep-lab",
		Short: "Break handsets and clouds, and count what is left",
		Long: `sidekeep-lab starts real handsets and clouds on this machine, breaks them, and
counts what is left. It needs nothing else: it is also sidekeep and sidekeep-cloud.
Everything happens in a new folder and on loopback addresses, and every process
that it started ends with it.

Exit codes: 0 shown, 1 not shown, 2 wrong arguments, 130 interrupted.`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { began = true },
	}
	root.AddCommand(outageCommand(), crashCommand(), drillCommand(), benchCommand(), sampleCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "sidekeep-lab: interrupted")
		return 130
	}
	fmt.Fprintln(stderr, "sidekeep-lab:", err)
	if !began {
		return 2
	}
	return 1
}

func outageCommand() *cobra.Command {
	var keep, asJSON bool
	cmd := &cobra.Command{
		Use:   "outage",
		Short: "Lose the cloud and get everything back: the main job as a story",
		Long: `outage starts a cloud and two handsets. Sample data is imported on one and
appears on the other; both are edited while the cloud is down; the cloud's data
folder is destroyed; a new, empty cloud starts; the handsets give everything
back; a third handset joins. It takes less than a minute, and ends in a table of
counts and digests per kind at each stage.

The exit code is 0 only if nothing is lost and the digests of the three handsets
and the cloud agree.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runOutage(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), keep, asJSON)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the folder with homes, cloud, exports and logs, and say where it is")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the table as JSON; progress goes to standard error")
	return cmd
}

func crashCommand() *cobra.Command {
	var rounds int
	var seed uint64
	var keep bool
	cmd := &cobra.Command{
		Use:   "crash",
		Short: "Kill agents and cloud at random moments while edits go on",
		Long: `crash runs a cloud and two handsets, edits on both without a pause, through
sidekeep commands and through SQL, and kills (signal 9) an agent, the cloud or a
command at random moments. Every twentieth round all come to rest, all are killed
at once, and what is on disk is compared with what was acknowledged.

The seed decides what is killed and edited; the timing is the machine's.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seed == 0 {
				seed = rand.Uint64()
			}
			return runCrash(cmd.Context(), cmd.OutOrStdout(), rounds, seed, keep)
		},
	}
	cmd.Flags().IntVar(&rounds, "rounds", 100, "how often something is killed")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "seed of a run to repeat (default: a new one)")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the folder with homes, cloud and logs, and say where it is")
	return cmd
}

func sampleCommand() *cobra.Command {
	workload := false
	cmd := &cobra.Command{
		Use:   "sample DIR",
		Short: "Write the sample data to DIR",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 0
			write := func(f sample.File) error {
				n++
				path := filepath.Join(args[0], filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				return os.WriteFile(path, f.Data, 0o644)
			}
			if err := writeSample(workload, write); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d files written to %s\n", n, args[0])
			return nil
		},
	}
	cmd.Flags().BoolVar(&workload, "workload", false, fmt.Sprintf("the %d records and %d pictures that bench syncs, instead", sample.WorkloadRecords, sample.WorkloadPictures))
	return cmd
}

func writeSample(workload bool, write func(sample.File) error) error {
	if workload {
		if err := sample.Workload(sample.WorkloadRecords, write); err != nil {
			return err
		}
		for i := range sample.WorkloadPictures {
			if err := write(sample.WorkloadPicture(i)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, f := range sample.Generate().Files {
		if err := write(f); err != nil {
			return err
		}
	}
	return nil
}
