package cloudcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/syncproto"
)

// Exit codes of sidekeep-cloud. They have the same meaning as sidekeep's.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitDamaged = 6
	exitRefused = 7
)

const exitHelp = `
Exit codes: 0 done, 1 failed, 2 usage, 6 damage found, 7 refused (the data
belongs to a newer version or another program, or another server has it open).`

var (
	errUsage   = errors.New("usage")
	errDamaged = errors.New("damage found")
	errLocked  = errors.New("another server has this folder open")
)

// hinted is an error with a hint for the person who sees it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

const hintDamaged = "stop the server and run: sidekeep-cloud verify --repair --data DIR; it " + hintRepairs

func hintOf(err error) string {
	var h hinted
	switch {
	case errors.As(err, &h):
		return h.hint
	case errors.Is(err, sqlitestore.ErrBackup):
		return "take another back-up; nothing was written. Without one, begin with an empty folder: devices give back what they hold"
	case errors.Is(err, sqlitestore.ErrNotEmpty):
		return "name a folder that does not exist yet"
	case exitCode(err) == exitDamaged:
		return hintDamaged
	case syncproto.CodeOf(err) == syncproto.CodeDiskFull, errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full: make some space, then try again; what was acknowledged is safe"
	case syncproto.CodeOf(err) == syncproto.CodeReadOnly, errors.Is(err, syscall.EROFS):
		return "the data can not be written: look at its permissions and whether its disk is mounted read-only (a disk that fails often is); report, verify and backup to another disk work meanwhile"
	}
	return ""
}

// Main runs sidekeep-cloud with args (without the program's name) and returns its
// exit code. SIGTERM and SIGINT drain a running server.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // no core file with the keys of TLS and of admission
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	root := &cobra.Command{
		Use:   "sidekeep-cloud",
		Short: "The cloud's side of sidekeep: a blind store for sealed personal data",
		Long: `sidekeep-cloud keeps what devices give it: sealed versions of records and
sealed pieces of pictures. It can order, store, compare, hand on and count them.
It can not read or forge one.` + exitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: there is no command %q", errUsage, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(serveCommand(), admitCommand(), reportCommand(), verifyCommand(), restoringCommand(), backupCommand(), restoreCommand())
	for _, c := range root.Commands() {
		args := c.Args
		c.Args = func(cmd *cobra.Command, a []string) error {
			if err := args(cmd, a); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return nil
		}
	}
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "sidekeep-cloud: %v\n", err)
		if hint := hintOf(err); hint != "" {
			fmt.Fprintf(stderr, "hint: %s\n", hint)
		}
	}
	return exitCode(err)
}

// exitCode is the one place that maps errors to exit codes.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errDamaged), errors.Is(err, sqlitestore.ErrDamaged), errors.Is(err, sqlitestore.ErrBackup):
		return exitDamaged
	case errors.Is(err, errLocked), errors.Is(err, sqlitestore.ErrFormat), errors.Is(err, sqlitestore.ErrForeign), errors.Is(err, sqlitestore.ErrNotEmpty), errors.Is(err, sqlitestore.ErrOlder):
		return exitRefused
	}
	return exitFailed
}
