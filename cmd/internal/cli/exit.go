package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// The exit codes of sidekeep. They are stable: scripts depend on them.
const (
	ExitDone        = 0 // done
	ExitFailed      = 1 // any failure without a code of its own
	ExitUsage       = 2 // wrong arguments
	ExitUnreachable = 3 // the cloud could not be reached
	ExitNotInSync   = 4 // reached, but not proven in sync in time
	ExitHeld        = 5 // a mass deletion waits for a person's decision
	ExitDamaged     = 6 // verify found damage
	ExitRefused     = 7 // the cloud refused, or some of what was given was refused
)

const exitCodesHelp = `Exit codes of sidekeep:

  0  done
  1  failed, for a reason without a code of its own
  2  wrong arguments
  3  the cloud could not be reached
  4  the cloud was reached, but this device is not proven in sync with it
  5  a mass deletion is held until a person decides (see 'sidekeep help held')
  6  damaged: verify found something that is not as it was written
  7  refused: the cloud refused this device or does not know the account, the
     home folder is in use already, or import refused some of what it was given

An error is printed as 'sidekeep: what went wrong', often followed by
'hint: what to do'.
`

// Error is a failure about which a person can do something.
type Error struct {
	Op     string // what was being done, for example "open home"; may be empty
	Object string // what it was done to: a path, an id, an address; may be empty
	Cause  error
	Hint   string // what the person can do; may be empty
	Code   int    // exit code; 0 means ExitFailed
}

func (e *Error) Error() string {
	s := e.Op
	if e.Object != "" {
		s += " " + e.Object
	}
	switch {
	case e.Cause == nil:
		return s
	case s == "":
		return e.Cause.Error()
	}
	return s + ": " + e.Cause.Error()
}

func (e *Error) Unwrap() error { return e.Cause }

// usageError marks errors in the arguments.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// exitCode gives the code that the process ends with for err.
func exitCode(err error) int {
	var e *Error
	var usage *usageError
	var silent *silentError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &silent):
		return silent.code
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &e) && e.Code != 0:
		return e.Code
	}
	return ExitFailed
}

// printError writes err and its hint for a person.
func printError(w io.Writer, err error) {
	var e *Error
	hint := ""
	if errors.As(err, &e) {
		hint = e.Hint
	}
	if errors.Is(err, context.Canceled) && hint == "" {
		fmt.Fprintln(w, "sidekeep: interrupted")
		return
	}
	fmt.Fprintf(w, "sidekeep: %s\n", escape(err.Error()))
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", escape(hint))
	}
}
