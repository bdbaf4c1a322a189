package lab

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sidekeep/cmd/internal/lab/sample"
)

// Main runs a command line of sidekeep-lab and returns its exit code: 0 when
// what the command set out to show was shown, 1 when it was not, 2 for a wrong
// command line.
func Main(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "sidekeep-lab",
		Short:         "Break handsets and clouds, and count what is left",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	ran := false
	root.PersistentPreRun = func(*cobra.Command, []string) { ran = true }
	root.AddCommand(sampleCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(stderr, "sidekeep-lab:", err)
		if !ran {
			return 2
		}
		return 1
	}
	return 0
}

func sampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sample DIR",
		Short: "Write the sample data to DIR",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set := sample.Generate()
			for _, f := range set.Files {
				path := filepath.Join(args[0], filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(path, f.Data, 0o644); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d files written to %s\n", len(set.Files), args[0])
			return nil
		},
	}
}
