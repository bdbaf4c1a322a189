package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/localstore"
)

func (a *app) syncCommand() *cobra.Command {
	var timeout time.Duration
	var how syncOptions
	cmd := &cobra.Command{
		Use:     "sync [--timeout D] [--prove]",
		GroupID: "device",
		Short:   "Sync once, until this device is proven in sync",
		Long: `sync brings this device and the cloud together once, with progress on standard
error. It ends with exit code 0 only if the digests of every kind are equal on
both sides and every piece of every picture is on both: 3 if the cloud was not
reached, 4 if it was but the proof failed or the time was up, 5 if a mass
deletion, from here or from another device, waits for you ('sidekeep held'), 7 if
the cloud refused; 4, too, if the cloud was caught lying: it did not give what it
had acknowledged, or another device has seen what it does not give here.

While 'sidekeep run' is active, sync asks it to sync now and waits for the same
proof; the limits of brake and history are then those of run.`,
		Example: "  sidekeep sync\n  sidekeep sync --timeout 2m && sidekeep status",
		Args:    cobra.NoArgs,
	}
	limits := limitFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.sync(cmd.Context(), timeout, how, limits) }
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after so long, like 90s or 10m; 0 tries as long as there is progress")
	cmd.Flags().BoolVar(&how.prove, "prove", false, "read a random sample of what the cloud has acknowledged back from it now, not only once a day")
	cmd.Flags().BoolVar(&how.callLost, "call-lost", false, "accept that what other devices have seen, and the cloud does not give, is lost")
	return cmd
}

// syncOptions are the rarer wishes of a sync.
type syncOptions struct{ prove, callLost bool }

func (a *app) sync(ctx context.Context, timeout time.Duration, how syncOptions, limits func(*config) error) error {
	if timeout < 0 {
		return usagef("--timeout %s: must not be negative", timeout)
	}
	h, err := a.openHome()
	if err == nil {
		err = limits(&h.config)
	}
	if err != nil {
		return err
	}
	outer := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if how.callLost {
		if err := a.callLost(ctx, h); err != nil {
			return err
		}
	}
	p := newProgress(a.stderr)
	begun := time.Now()
	stop := p.watch()
	last, err := a.syncHome(ctx, h, p, how.prove)
	stop()
	p.clear()
	if last != nil && last.Moved != nil {
		fmt.Fprintln(a.stderr, escape(movedText(last.Moved)))
	}
	switch {
	case outer.Err() != nil:
		return &Error{Op: "sync", Cause: errors.New("interrupted"), Hint: "everything here is safe; another sync goes on from here"}
	case ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, agent.ErrNotInSync) && !errors.Is(err, agent.ErrNotReachable):
		err = fmt.Errorf("%w: the time is up: %w", agent.ErrNotInSync, err)
		fallthrough
	case err != nil:
		return explain("sync", err)
	}
	if last != nil {
		for _, p := range last.Problems {
			if p.Code == agent.ProblemCloudLost {
				fmt.Fprintln(a.stderr, p.Text)
			}
		}
	}
	fmt.Fprintf(a.stderr, "in sync: %s, proven in %s\n", totalText(last), time.Since(begun).Round(10*time.Millisecond))
	return nil
}

// callLost notes that what the cloud withholds is not to be waited for.
func (a *app) callLost(ctx context.Context, h *home) error {
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return err
	}
	n, err := s.ExcuseWithheld(ctx)
	if err := errors.Join(err, s.Close()); err != nil {
		return explain("sync", err)
	}
	fmt.Fprintf(a.stderr, "called lost: what %s named\n", count(n, "statement"))
	return nil
}

// syncHome syncs by itself, or through the agent that runs.
func (a *app) syncHome(ctx context.Context, h *home, p *progress, prove bool) (*agent.Status, error) {
	for {
		l, err := takeLock(h.dir, "sync")
		if err == nil {
			defer l.release()
			h.lock = l
			last, err := a.syncHere(ctx, h, p, prove)
			if errors.Is(err, localstore.ErrDamaged) {
				p.clear()
				if err := a.salvage(ctx, h, err); err != nil {
					return last, err
				}
				return a.syncHere(ctx, h, p, prove)
			}
			return last, err
		}
		var held *lockedError
		if !errors.As(err, &held) {
			return nil, lockError(h, err)
		}
		last, err := syncThere(ctx, h, p, prove)
		if !errors.Is(err, agent.ErrNoAgent) {
			return last, err
		}
		// Another sync, or an agent that is starting or ending.
		p.show("waiting: %v", held)
		select {
		case <-ctx.Done():
			return nil, &Error{Op: "sync", Cause: held, Code: ExitNotInSync}
		case <-time.After(lockPause):
		}
	}
}

// lockPause is how long sync waits before it looks again whether the home is free.
const lockPause = 100 * time.Millisecond

// syncThere syncs through the agent that runs. The error wraps agent.ErrNoAgent
// if there is none.
func syncThere(ctx context.Context, h *home, p *progress, prove bool) (last *agent.Status, err error) {
	client, err := agent.Connect(ctx, h.dir)
	if err != nil {
		return nil, err
	}
	sync := client.Sync
	if prove {
		sync = client.SyncProve
	}
	err = sync(ctx, func(st agent.Status) {
		last = &st
		p.show("%s", progressText(&st))
	})
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%w: the time is up", agent.ErrNotInSync)
	}
	return last, err
}

func (a *app) syncHere(ctx context.Context, h *home, p *progress, prove bool) (last *agent.Status, err error) {
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := s.Close(); err == nil {
			err = cerr
		}
	}()
	ag, err := h.newAgent(s, h.dir, nil)
	if err != nil {
		return nil, err
	}
	if prove {
		ag.Prove()
	}
	err = ag.SyncOnce(ctx, func(st agent.Status) {
		last = &st
		p.show("%s", progressText(&st))
	})
	return last, err
}

// progressText says in one line what a sync is doing and what is left.
func progressText(s *agent.Status) string {
	switch s.Cloud.State {
	case agent.StateSyncing, agent.StateLive:
	case agent.StateWaiting:
		return cloudText(&s.Cloud)
	default:
		return "connecting to " + s.Cloud.URL
	}
	live, unsynced := 0, 0
	for _, k := range s.Kinds {
		live += k.Live
		unsynced += k.Unsynced
	}
	text := fmt.Sprintf("syncing: %s here", count(live, "record"))
	if unsynced > 0 {
		text += fmt.Sprintf(", %d to send", unsynced)
	}
	if s.Blobs.Missing > 0 {
		text += fmt.Sprintf(", %s to fetch", count(s.Blobs.Missing, "piece"))
	}
	if s.Blobs.Unsent > 0 {
		text += fmt.Sprintf(", %s to send", count(s.Blobs.Unsent, "piece"))
	}
	if s.Cloud.Error != "" {
		text += " (" + s.Cloud.Error + ")"
	}
	return text
}

// totalText counts what is proven.
func totalText(s *agent.Status) string {
	if s == nil {
		return "nothing changed"
	}
	live := 0
	for _, k := range s.Kinds {
		live += k.Live
	}
	return fmt.Sprintf("%s, %s of pictures", count(live, "record"), count(s.Blobs.Chunks, "piece"))
}
