package lab

import (
	"context"
	"fmt"
)

// drillOldCloud puts an earlier copy of the cloud's data back, once at rest and
// once after it took new writes from another device, so that sequences are
// issued twice.
func drillOldCloud(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	one, two := hs[0], hs[1]
	want := map[string]string{}
	var gone []string
	write := func(h *handset, text string) error {
		id, err := h.add(ctx, "notes", "title="+text)
		want[id] = text
		return err
	}
	rounds := 1
	if s.long {
		rounds = 6
	}
	for round := range rounds {
		doomed, err := one.add(ctx, "notes", fmt.Sprintf("title=deleted after the back-up %d", round))
		if err != nil {
			return err
		}
		if err := settled(ctx, one, two); err != nil {
			return err
		}
		if err := s.cloud.off(); err != nil {
			return err
		}
		old := s.path("old")
		if err := copyTree(s.cloud.data, old); err != nil {
			return err
		}
		if err := s.cloud.on(ctx); err != nil {
			return err
		}
		// What the back-up does not know.
		for i := range 3 {
			if err := write(one, fmt.Sprintf("after the back-up %d %d", round, i)); err != nil {
				return err
			}
		}
		if err := one.remove(ctx, doomed); err != nil {
			return err
		}
		gone = append(gone, doomed)
		if err := settled(ctx, one, two); err != nil {
			return err
		}
		// Handset 1 is away while the old back-up runs on with handset 2.
		if err := one.off(); err != nil {
			return err
		}
		s.cloud.crash()
		if err := copyTree(old, s.cloud.data); err != nil {
			return err
		}
		if err := s.cloud.on(ctx); err != nil {
			return err
		}
		for i := range 5 {
			if err := write(two, fmt.Sprintf("while it ran on %d %d", round, i)); err != nil {
				return err
			}
		}
		if err := settled(ctx, two); err != nil {
			return err
		}
		if err := one.on(); err != nil {
			return err
		}
		if err := settled(ctx, one, two); err != nil {
			return err
		}
	}
	s.say("an old back-up of the cloud came back and ran on, %d times; all are in sync again", rounds)
	for _, h := range []*handset{one, two} {
		for _, id := range gone {
			if i, err := h.show(ctx, id); err != nil || !i.Deleted {
				return fmt.Errorf("%s: a deleted note is back from the dead (%v)", h.name, err)
			}
		}
	}
	s.say("what was deleted after the back-up stays deleted")
	return s.everyNote(ctx, want, one, two)
}
