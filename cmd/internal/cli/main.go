package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// app is what every command shares.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	home   string // --home as given
	json   bool   // --json of the command that runs

	started bool // arguments were fine and the command itself began
}

// Main runs one command with the arguments after the program's name and returns
// the exit code of the process. It never calls os.Exit. New files are private
// to the user from then on (umask 077), and SIGINT and SIGTERM end the command
// cleanly; a second one ends the process at once.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	unix.Umask(0o077)
	noCoreDumps()
	smallHeap()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	a := &app{stdin: &input{ctx, stdin}, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started {
		err = &Error{Cause: err, Hint: "see '" + cmd.CommandPath() + " --help'", Code: ExitUsage}
	}
	code := exitCode(err)
	if err != nil {
		var silent *silentError
		if !errors.As(err, &silent) {
			printError(stderr, err)
		}
	}
	return code
}

// noCoreDumps keeps keys out of core files.
func noCoreDumps() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// silentError ends the command with a code when everything was said already.
type silentError struct{ code int }

func (e *silentError) Error() string { return "" }

const rootHelp = `sidekeep keeps your contacts, events, notes, tasks and pictures on this device,
whole and durable, and syncs them with a cloud that can not read them. If the
cloud loses them, this device gives them back.

The kinds of data are contacts, events, notes, tasks and pictures. Records have
an id of 32 hex digits; a unique beginning of it is enough.

Everything lives in the home folder: --home, else the variable SIDEKEEP_HOME,
else sidekeep in the XDG data folder (~/.local/share/sidekeep). Other programs
may read and write the data with any SQLite library, through the views in
data/sidekeep.db; the keys are kept elsewhere in the home folder.

`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "sidekeep",
		Short:         "Keep your personal data on this device, and a sealed copy in the cloud",
		Long:          rootHelp + exitCodesHelp,
		Example:       "  sidekeep init --cloud wss://cloud.example.org\n  sidekeep import ~/old-phone\n  sidekeep sync",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		Run:           func(cmd *cobra.Command, _ []string) { _ = cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.home, "home", "", "home `folder` (default: $SIDEKEEP_HOME, else the XDG data folder)")
	root.AddGroup(
		&cobra.Group{ID: "device", Title: "This device:"},
		&cobra.Group{ID: "data", Title: "Your data:"},
		&cobra.Group{ID: "care", Title: "Care:"},
	)
	root.SetHelpCommandGroupID("care")
	root.SetCompletionCommandGroupID("care")
	root.AddCommand(a.commands()...)
	a.noteStart(root)
	return root
}

// noteStart makes cmd and all below it note that the command itself has begun:
// errors before that (flags, arguments, unknown commands) are usage errors.
func (a *app) noteStart(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(c *cobra.Command, args []string) error {
			a.started = true
			return run(c, args)
		}
	}
	for _, c := range cmd.Commands() {
		a.noteStart(c)
	}
}

// smallHeap has garbage collected sooner where words have 32 bits: such a handset
// has 64 MB or little more. It is 2 MB less, for a tenth more processor time. GOGC
// in the environment counts more.
func smallHeap() {
	if _, set := os.LookupEnv("GOGC"); strconv.IntSize == 32 && !set {
		debug.SetGCPercent(50)
	}
}
