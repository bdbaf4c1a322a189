package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sidekeep/localstore"
)

// salvagedError wraps the error of a damaged database that was salvaged since.
type salvagedError struct{ err error }

func (e *salvagedError) Error() string { return e.err.Error() }
func (e *salvagedError) Unwrap() error { return e.err }

// salvage sets the damaged database of a home aside and makes a new one of what
// can be read of it, and says so. It holds the agent lock meanwhile. Nobody in
// this process may have the database open.
func (a *app) salvage(ctx context.Context, h *home, damage error) error {
	path := filepath.Join(h.data(), localstore.FileName)
	was, _ := os.Stat(path)
	if h.lock == nil {
		l, err := takeLock(h.dir, "salvage")
		if err != nil {
			e := &Error{Op: "set the damaged database aside", Cause: errors.Join(err, damage), Code: ExitDamaged,
				Hint: "end what uses it; the next command sets it aside and reads from it what can be read"}
			var held *lockedError
			if errors.As(err, &held) && held.pid != 0 {
				e.Cause, e.Hint = damage, fmt.Sprintf("%v; %s", held, e.Hint)
			}
			return e
		}
		defer l.release()
	}
	if now, err := os.Stat(path); err == nil && was != nil && !os.SameFile(was, now) {
		return nil // somebody else has done it meanwhile
	}
	p := newProgress(a.stderr)
	report, err := localstore.Salvage(ctx, h.data(), storeOptions(h, nil), func(part float64) {
		p.show("the database is damaged; reading what can be read: %3.0f %%", 100*part)
	})
	p.clear()
	if err != nil {
		return explain("set the damaged database aside", err)
	}
	edited, lost := "", ""
	if report.Edited > 0 {
		edited = fmt.Sprintf(" (%d with changes not synced yet)", report.Edited)
	}
	if len(report.Lost) > 0 {
		lost = fmt.Sprintf("; %s could not be read", lostCount(report.Lost))
	}
	fmt.Fprintf(a.stderr, "sidekeep: the database was damaged. It is kept in %s\nsidekeep: a new one was made of it: %s%s and %s of pictures, each proven%s\nhint: 'sidekeep sync' fetches what is missing here and the cloud has; 'sidekeep verify' then names what is nowhere\n",
		escape(report.Aside), count(report.Records, "record"), edited, count(report.Chunks, "piece"), lost)
	return nil
}
