package lab

import (
	"context"
	"fmt"
	"time"

	"sidekeep/localstore/record"
)

// drillClone lets a handset come back as its own old copy, and then two
// handsets from one image write at once.
func drillClone(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	one, two := hs[0], hs[1]
	want := map[string]string{} // id of a note: its text
	note := func(h *handset, text string) error {
		id, err := h.add(ctx, "notes", "title="+text)
		want[id] = text
		return err
	}
	if err := two.off(); err != nil {
		return err
	}
	image := s.path("image")
	if err := copyTree(two.home, image); err != nil {
		return err
	}
	rounds := 2
	if s.long {
		rounds = 10
	}
	if err := two.on(); err != nil {
		return err
	}
	for round := range rounds {
		// What it writes after the copy, in part told to the cloud and in part not.
		if err := note(two, fmt.Sprintf("after the copy %d", round)); err != nil {
			return err
		}
		if err := settled(ctx, one, two); err != nil {
			return err
		}
		two.crash()
		if err := copyTree(image, two.home); err != nil {
			return err
		}
		if err := note(two, fmt.Sprintf("written by the old copy %d", round)); err != nil {
			return err
		}
		if err := two.on(); err != nil {
			return err
		}
		if err := settled(ctx, one, two); err != nil {
			return err
		}
	}
	s.say("put back from an old copy %d times, handset 2 wrote on each time", rounds)
	if err := two.off(); err != nil {
		return err
	}
	three := s.handset("handset 3")
	if err := copyTree(two.home, three.home); err != nil {
		return err
	}
	for i, h := range []*handset{two, three} {
		if err := note(h, fmt.Sprintf("twin %d before it is on", i)); err != nil {
			return err
		}
		if err := h.on(); err != nil {
			return err
		}
	}
	for i, h := range []*handset{two, three, two, three} {
		if err := note(h, fmt.Sprintf("twin write %d", i)); err != nil {
			return err
		}
	}
	if err := settled(ctx, one, two, three); err != nil {
		return err
	}
	s.say("two handsets of one image wrote at the same time, and agree")
	if err := s.eachProved(ctx, record.Notes, 3); err != nil {
		return err
	}
	return s.everyNote(ctx, want, one, two, three)
}

// eachProved waits until the operator's report says of so many replicas what they
// proved to hold of a kind, and names no other.
func (s *scene) eachProved(ctx context.Context, kind record.Kind, n int) error {
	type replica struct{ Proofs []struct{ Kind record.Kind } }
	return until(ctx, fmt.Sprintf("the report names %d replicas", n), 20*time.Second, func() (string, error) {
		var report struct {
			Accounts []struct{ Replicas []replica }
		}
		if err := s.cloud.ask(ctx, &report, "report"); err != nil {
			return "", err
		}
		named := 0
		for _, r := range report.Accounts[0].Replicas {
			for _, p := range r.Proofs {
				if p.Kind == kind {
					named++
				}
			}
		}
		if named != n {
			return fmt.Sprintf("it names %d", named), nil
		}
		s.say("the operator's report has what each of %d replicas proved, and no other", n)
		return "", nil
	})
}

// everyNote checks that each handset shows each note, and verifies all.
func (s *scene) everyNote(ctx context.Context, want map[string]string, handsets ...*handset) error {
	for _, h := range handsets {
		notes, err := h.list(ctx, record.Notes)
		if err != nil {
			return err
		}
		titles := map[string]string{}
		for _, n := range notes {
			titles[n.ID] = n.Title
		}
		for id, text := range want {
			switch shown, ok := titles[id]; {
			case !ok:
				return fmt.Errorf("%s lacks %q", h.name, text)
			case shown != text:
				return fmt.Errorf("%s shows note %s otherwise than it was written", h.name, id)
			}
		}
	}
	if err := s.verifyAll(ctx, handsets...); err != nil {
		return err
	}
	s.say("all %d writes are on all %d handsets, and verify is clean", len(want), len(handsets))
	return nil
}

// verifyAll stops everything and runs verify on each handset and the cloud.
func (s *scene) verifyAll(ctx context.Context, handsets ...*handset) error {
	for _, h := range handsets {
		if h.agent != nil {
			if err := h.off(); err != nil {
				return err
			}
		}
		if _, err := h.do(ctx, "verify"); err != nil {
			return err
		}
	}
	if s.cloud.proc != nil {
		if err := s.cloud.off(); err != nil {
			return err
		}
	}
	_, err := s.run(ctx, roleCloud, "verify", "--data", s.cloud.data)
	return err
}
