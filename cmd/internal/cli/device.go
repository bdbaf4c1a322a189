package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/localstore"
)

// agentConfig is what the sync engine of a home needs. folder is where it
// remembers and listens; "" for an agent that does neither.
func (h *home) agentConfig(s *localstore.Store, folder string, log *slog.Logger) agent.Config {
	pins, _ := h.config.pins() // both were checked when read
	admission, _ := parseAdmission(h.config.Admission)
	return agent.Config{
		Store:      s,
		Identity:   h.identity,
		Device:     h.config.Name,
		Program:    buildVersion().Version,
		CloudURL:   h.config.Cloud,
		Create:     h.config.Create,
		AllowPlain: h.config.AllowPlain,
		Pins:       pins,
		Admission:  admission,
		Home:       folder,
		Log:        log,
	}
}

func (h *home) newAgent(s *localstore.Store, folder string, log *slog.Logger) (*agent.Agent, error) {
	ag, err := agent.New(h.agentConfig(s, folder, log))
	return ag, explain("use cloud "+h.config.Cloud, err)
}

func (a *app) runCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:     "run",
		GroupID: "device",
		Short:   "Keep this device in sync, in the foreground",
		Long: `run is the agent: it keeps this device in sync with the cloud until it gets
SIGINT or SIGTERM, comes back after every failure, and logs to standard error
(never a value of your data). One agent runs at a time in a home; a second one
is told who it is. The other commands work beside it, and so do programs that
use the database.

When the cloud moves to another address, change "cloud" in config.json in the
home folder and start run again.`,
		Example: "  sidekeep run\n  sidekeep run --verbose 2> sidekeep.log &",
		Args:    cobra.NoArgs,
	}
	limits := limitFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context(), verbose, limits) }
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log every step")
	return cmd
}

func (a *app) run(ctx context.Context, verbose bool, limits func(*config) error) (err error) {
	h, err := a.openHome()
	if err == nil {
		err = limits(&h.config)
	}
	if err != nil {
		return err
	}
	l, err := takeLock(h.dir, "run")
	if err != nil {
		return lockError(h, err)
	}
	defer l.release()
	h.lock = l
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	log.Info("running", "home", h.dir, "cloud", h.config.Cloud)
	for range salvagesMax {
		err = a.runStore(ctx, h, log)
		if !errors.Is(err, localstore.ErrDamaged) || ctx.Err() != nil {
			break
		}
		log.Error("the database is damaged", "error", err)
		if err := a.salvage(ctx, h, err); err != nil {
			return err
		}
	}
	if err != nil {
		return explain("run", err)
	}
	log.Info("ended")
	return nil
}

// salvagesMax is how often in one run a damaged database is set aside: flash
// that goes on failing is nothing to go on with.
const salvagesMax = 3

// runStore runs the agent on an open store until it ends.
func (a *app) runStore(ctx context.Context, h *home, log *slog.Logger) (err error) {
	s, err := a.openStore(ctx, h, log)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := s.Close(); err == nil && cerr != nil {
			err = explain("close the database", cerr)
		}
	}()
	ag, err := h.newAgent(s, h.dir, log)
	if err != nil {
		return err
	}
	if err := ag.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// lockError explains why the agent lock of a home could not be had.
func lockError(h *home, err error) error {
	var held *lockedError
	if !errors.As(err, &held) {
		return explain("use home "+h.dir, err)
	}
	e := &Error{Op: "use home", Object: h.dir, Cause: err, Code: ExitRefused}
	if held.pid != 0 {
		e.Hint = fmt.Sprintf("end it with 'kill %d', or leave the syncing to it", held.pid)
	}
	return e
}

// askCloud lets the cloud tell whether it knows the account of a home in the
// making, and returns nil as soon as a session has begun. It uses the home's
// own store, so that the cloud sees one replica.
func (a *app) askCloud(ctx context.Context, h *home) error {
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	ag, err := h.newAgent(s, "", nil)
	if err != nil {
		return err
	}
	err = ag.Greet(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return explain("join", err)
}
