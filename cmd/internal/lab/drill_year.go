package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sidekeep/localstore/record"
)

// drillYear lets a handset come back to a world that moved on: records that it
// edited or still has were deleted (and, in the long form, purged, and the cloud
// lost), records that it deleted were edited.
func drillYear(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2", "old handset")
	if err != nil {
		return err
	}
	one, two, old := hs[0], hs[1], hs[2]
	notes, err := one.list(ctx, record.Notes)
	if err != nil {
		return err
	}
	const (
		deleted      = 0  // 0 to 9 are deleted by the others
		editedOnly   = 1  // and edited on the handset before
		deletedTwice = 2  // and deleted there, too
		edited       = 10 // edited by the others, and deleted on the handset before
		both         = 11 // edited on both sides
		total        = 12
	)
	ids := make([]string, total)
	for i := range ids {
		ids[i] = notes[i].ID
	}
	if err := old.off(); err != nil {
		return err
	}
	added, err := old.add(ctx, record.Notes, "title=made before the year")
	err = errors.Join(err,
		old.set(ctx, ids[editedOnly], "title=edited before the year"),
		old.set(ctx, ids[both], "body=edited before the year"),
		old.remove(ctx, ids[edited], ids[deletedTwice]))
	if err != nil {
		return err
	}
	err = errors.Join(
		one.remove(ctx, ids[deleted:edited]...),
		two.set(ctx, ids[edited], "title=edited in the year"),
		two.set(ctx, ids[both], "title=edited in the year"))
	if err != nil {
		return err
	}
	if err := settled(ctx, one, two); err != nil {
		return err
	}
	s.say("the old handset is off; the others deleted %d notes and edited two", edited)
	if s.long {
		if err := s.purge(ctx, one, two); err != nil {
			return err
		}
	}
	if err := old.on(); err != nil {
		return err
	}
	if err := settled(ctx, one, two, old); err != nil {
		return err
	}
	for _, h := range hs {
		for i, id := range ids {
			note, err := h.show(ctx, id)
			if err != nil {
				return err
			}
			text := ""
			switch i {
			case editedOnly, both:
				text = "edited before the year"
			case edited:
				text = "edited in the year"
			default:
				if !note.Deleted {
					return fmt.Errorf("%s: note %d returned from the dead", h.name, i)
				}
				continue
			}
			if note.Deleted || !note.contains(text) || i == both && !note.contains("edited in the year") {
				return fmt.Errorf("%s: an edit of note %d was dropped", h.name, i)
			}
		}
		if n, err := h.show(ctx, added); err != nil || n.Deleted || n.Title != "made before the year" {
			return fmt.Errorf("%s: the note that was made before the year: %+v, %v", h.name, n, err)
		}
	}
	s.say("it came back: no edit is dropped, nothing returned from the dead")
	return s.verifyAll(ctx, hs...)
}

// purge lets a month of running time pass for one handset, so that its trash
// expires for all, and replaces the cloud by an empty one.
func (s *scene) purge(ctx context.Context, one, two *handset) error {
	if err := one.off(); err != nil {
		return err
	}
	if err := one.app(ctx, "UPDATE meta SET value = value + 31*86400 WHERE key = 'ran'"); err != nil {
		return err
	}
	if err := one.on(); err != nil {
		return err
	}
	for _, h := range []*handset{one, two} {
		err := until(ctx, h.name+"'s trash is empty", 3*time.Minute, func() (string, error) {
			left, err := h.list(ctx, record.Notes, "--deleted")
			if err != nil || len(left) > 0 {
				return fmt.Sprintf("%d left %v", len(left), err), nil
			}
			return "", nil
		})
		if err != nil {
			return err
		}
	}
	if err := settled(ctx, one, two); err != nil {
		return err
	}
	s.cloud.crash()
	if err := errors.Join(s.cloud.destroy(), s.cloud.on(ctx)); err != nil {
		return err
	}
	s.say("the trash expired, and the cloud was lost")
	return settled(ctx, one, two)
}
