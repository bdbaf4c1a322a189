package cloud

import (
	"context"
	"maps"
	"time"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
)

// Defaults of the scrub.
const (
	// ScrubEveryDefault is the time between two passes over the whole store.
	ScrubEveryDefault = 24 * time.Hour
	// ScrubBytesDefault bounds what a scrub reads in a second.
	ScrubBytesDefault = 4 << 20
	watchEvery        = time.Second
)

// scrub goes through all accounts slowly, mends what a disk damaged, and tells
// the devices that are connected, which fill the holes.
func (s *Server) scrub(ctx context.Context) {
	if s.conf.ScrubEvery < 0 {
		return
	}
	tick := time.NewTicker(s.conf.ScrubEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := s.scrubAll(ctx); err != nil && ctx.Err() == nil {
			s.conf.Log.Error("the scrub found what it can not mend; stop the server and run verify --repair", "error", err)
		}
	}
}

func (s *Server) scrubAll(ctx context.Context) error {
	accounts, err := s.conf.Store.Accounts(ctx)
	if err != nil {
		return err
	}
	pace := func(bytes int) error {
		t := time.NewTimer(time.Duration(float64(bytes) / float64(s.conf.ScrubBytes) * float64(time.Second)))
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, a := range accounts {
		found := func(p cloudstore.Problem) {
			s.conf.Log.Warn("scrub", "account", p.Account, "kind", p.Kind, "found", p.What)
		}
		changed, err := s.conf.Store.Repair(ctx, a, pace, found)
		if len(changed) > 0 {
			s.hub.moved(nil, a, changed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// watch tells sessions what other programs do to the store: that the operator
// declares a kind as being restored, or as whole again, and that rows went or came.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	before, err := s.conf.Store.Restoring(ctx)
	if err != nil {
		before = map[record.Kind]int{}
	}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		changed, err := s.conf.Store.Recount(ctx, s.hub.accounts())
		if err != nil && ctx.Err() == nil {
			s.conf.Log.Warn("the store could not be counted again", "error", err)
		}
		for a, kinds := range changed {
			s.hub.moved(nil, a, kinds)
		}
		now, err := s.conf.Store.Restoring(ctx)
		if err != nil || maps.Equal(before, now) {
			continue
		}
		var kinds []record.Kind
		for k, n := range now {
			if before[k] != n {
				kinds = append(kinds, k)
			}
		}
		for k := range before {
			if now[k] == 0 {
				kinds = append(kinds, k)
			}
		}
		s.conf.Log.Info("declared as being restored", "kinds", len(now))
		before = now
		s.hub.movedAll(kinds)
	}
}
