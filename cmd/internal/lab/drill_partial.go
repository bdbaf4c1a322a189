package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/testdata"
)

// drillPartial takes parts out of the cloud's file, which keeps its identity, and
// has devices fill the holes; then has the operator declare a kind as not whole
// while it is missing.
func drillPartial(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	want, err := s.fill(ctx, hs[0], "before the losses", 3)
	if err != nil {
		return err
	}
	gone, err := hs[1].add(ctx, "notes", "title=deleted before the losses")
	if err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	if err := hs[1].remove(ctx, gone); err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	kind := func(k record.Kind) []string {
		return []string{fmt.Sprintf("DELETE FROM version WHERE kind = '%s'", k), fmt.Sprintf("DELETE FROM kind WHERE kind = '%s'", k)}
	}
	losses := []struct {
		name string
		take []string
	}{
		{"all of " + string(record.Contacts), kind(record.Contacts)},
		{"a random tenth of the rows", []string{fmt.Sprintf("DELETE FROM version WHERE (seq * 2654435761 + %d) %% 1009 < 101", s.rand.IntN(1009))}},
		{"a random third of the pieces of pictures", []string{fmt.Sprintf("DELETE FROM chunk WHERE (rowid * 2654435761 + %d) %% 1009 < 337", s.rand.IntN(1009))}},
	}
	if s.long {
		for _, k := range record.Kinds[1:] {
			losses = append(losses, struct {
				name string
				take []string
			}{"all of " + string(k), kind(k)})
		}
		losses = append(losses, struct {
			name string
			take []string
		}{"all pieces of pictures", []string{"DELETE FROM chunk"}})
		losses = append(losses, losses...)
	}
	for _, l := range losses {
		if err := s.takeAndFill(ctx, hs, l.name, l.take); err != nil {
			return fmt.Errorf("%s gone: %w", l.name, err)
		}
	}
	if err := s.restoringKind(ctx, hs, want); err != nil {
		return err
	}
	three := s.handset("handset 3")
	if err := errors.Join(three.join(ctx, s.cloud.url(), s.words), three.on()); err != nil {
		return err
	}
	hs = append(hs, three)
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	for _, h := range hs {
		if i, err := h.show(ctx, gone); err != nil || !i.Deleted {
			return fmt.Errorf("%s: a deleted note is back (%v)", h.name, err)
		}
	}
	if s.long {
		if err := s.sameExports(ctx, hs[0], three); err != nil {
			return err
		}
	}
	return s.everyNote(ctx, want, hs...)
}

// takeAndFill takes rows out of the cloud's file and waits until it has them again.
func (s *scene) takeAndFill(ctx context.Context, hs []*handset, name string, take []string) error {
	before, err := s.cloud.rows(ctx)
	if err != nil {
		return err
	}
	report, err := s.cloud.report(ctx)
	if err != nil {
		return err
	}
	if err := s.cloud.off(); err != nil {
		return err
	}
	if err := s.cloud.change(ctx, take...); err != nil {
		return err
	}
	after, err := s.cloud.rows(ctx)
	if err != nil {
		return err
	}
	taken := before.total() - after.total() + before.Chunks - after.Chunks
	if taken == 0 {
		return errors.New("nothing was taken")
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	for _, h := range hs {
		h.hurry(ctx)
	}
	if err := s.cloud.filled(ctx, before); err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	now, err := s.cloud.report(ctx)
	if err != nil {
		return err
	}
	for kind, was := range report {
		// Devices state anew what they have seen: those versions may be newer.
		if now[kind] != was && !(kind == record.Witness && now[kind].Live == was.Live) {
			return fmt.Errorf("%s: %+v before, %+v after", kind, was, now[kind])
		}
	}
	s.say("%s: %d rows gone, all filled, digests as before", name, taken)
	return nil
}

// restoringKind has the operator declare contacts as not whole, while their rows
// are gone. Nobody takes that for empty; edits go on; when the operator says that
// it is whole, everything heals.
func (s *scene) restoringKind(ctx context.Context, hs []*handset, want map[string]string) error {
	before, err := s.cloud.rows(ctx)
	if err != nil {
		return err
	}
	if err := s.cloud.off(); err != nil {
		return err
	}
	err = s.cloud.change(ctx, "DELETE FROM version WHERE kind = 'contacts'", "DELETE FROM kind WHERE kind = 'contacts'")
	if err != nil {
		return err
	}
	declare := func(word string) error {
		_, err := s.run(ctx, roleCloud, "restoring", "all", "contacts", word, "--data", s.cloud.data)
		return err
	}
	if err := declare("on"); err != nil {
		return err
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	fresh := s.handset("new handset")
	if err := errors.Join(fresh.join(ctx, s.cloud.url(), s.words), fresh.on()); err != nil {
		return err
	}
	all := append([]*handset{fresh}, hs...)
	live := testdata.SampleCounts["contacts"]
	for _, h := range all {
		h.hurry(ctx)
		err := until(ctx, h.name+" hears that contacts are being restored", 20*time.Second, func() (string, error) {
			st, err := h.live(ctx)
			if err != nil {
				return err.Error(), nil
			}
			for _, kind := range record.Kinds[1:] {
				if !st.Kinds[kind].InSync {
					return string(kind) + " is not in sync", nil
				}
			}
			k := st.Kinds[record.Contacts]
			if h == fresh { // it has no row of a kind that it never saw
				if st.Cloud.State != "live" {
					return "its session is " + string(st.Cloud.State), nil
				}
				if k.InSync || k.Live != 0 {
					return "", fmt.Errorf("contacts: %+v", k)
				}
				return "", nil
			}
			if !k.Restoring {
				return "it does not say so", nil
			}
			if k.InSync || k.Held != 0 || k.Live != live {
				return "", fmt.Errorf("contacts: %+v", k)
			}
			return "", nil
		})
		if err != nil {
			return err
		}
	}
	text, err := hs[0].do(ctx, "status")
	if err != nil || !strings.Contains(string(text), "not yet: the cloud's operator is restoring it") {
		return fmt.Errorf("the status does not say that contacts are being restored: %w\n%s", err, text)
	}
	if _, err := hs[1].do(ctx, "sync", "--timeout", "1s"); exitCodeOf(err) != 4 {
		return fmt.Errorf("sync while contacts are being restored: %w", err)
	}
	// Other kinds go on, and an edit of a contact goes up and on.
	more, err := s.fill(ctx, hs[0], "while contacts are being restored", 1)
	if err != nil {
		return err
	}
	contacts, err := hs[0].list(ctx, record.Contacts)
	if err != nil {
		return err
	}
	if err := hs[0].set(ctx, contacts[0].ID, "note=edited while being restored"); err != nil {
		return err
	}
	for id, title := range more {
		want[id] = title
	}
	err = until(ctx, "the edit of a contact arrives", 20*time.Second, func() (string, error) {
		i, err := hs[1].show(ctx, contacts[0].ID)
		if err != nil || !i.contains("edited while being restored") {
			return fmt.Sprint("not yet ", err), nil
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	mid, err := s.cloud.rows(ctx)
	if err != nil {
		return err
	}
	if n := mid.Versions[record.Contacts]; n > 1 {
		return fmt.Errorf("%d contacts were given to a cloud that is being restored", n)
	}
	for _, h := range hs {
		if list, err := h.list(ctx, record.Contacts); err != nil || len(list) != live {
			return fmt.Errorf("%s has %d contacts while they are being restored, %w", h.name, len(list), err)
		}
	}
	s.say("a kind declared as being restored: told as \"not yet\", nothing dropped, held or given back; edits go on")
	if err := declare("off"); err != nil {
		return err
	}
	before.Versions[record.Notes] += len(more)
	if err := s.cloud.filled(ctx, before); err != nil {
		return err
	}
	if err := settled(ctx, all...); err != nil {
		return err
	}
	s.say("the operator says that it is whole: all heals, without a restart")
	return fresh.off()
}
