package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sidekeep/localstore/record"
)

// drillRecords are the ids of records that the drill makes itself, beside the
// imported ones, so that every imported line can be looked for at the end.
type drillRecords struct {
	fields   string // edited on both handsets, different fields
	clash    string // edited on both, the same field
	deleted  string // deleted on one
	survivor string // deleted on one, edited on the other
	live     string // edited while all were connected
}

// The values that the drill writes.
const (
	noteOfOne   = "met at the harbour (drill, one)"
	mailOfTwo   = "two.drill@example.org"
	nameOfOne   = "Ben A. Drill"
	nameOfTwo   = "Ben B. Drill"
	lateNote    = "changed while deleted elsewhere (drill)"
	titleOfLive = "seen at once (drill)"
	noteTitle   = "Written in a tunnel (drill)"
	taskTitle   = "Ask for a boat (drill)"
)

// firstEdits makes the drill's records and one edit while everything runs.
func (o *outage) firstEdits(ctx context.Context) error {
	for _, m := range []struct {
		id   *string
		name string
	}{
		{&o.made.fields, "Ada Drill"}, {&o.made.clash, "Ben Drill"}, {&o.made.deleted, "Cleo Drill"}, {&o.made.survivor, "Dora Drill"}, {&o.made.live, "Emil Drill"},
	} {
		id, err := o.one.add(ctx, record.Contacts, "name="+m.name, "phone=+44 7700 900000")
		if err != nil {
			return err
		}
		*m.id = id
		o.want[record.Contacts].live++
	}
	if err := settled(ctx, o.one, o.two); err != nil {
		return err
	}
	if err := o.one.set(ctx, o.made.live, "org="+titleOfLive); err != nil {
		return err
	}
	committed := time.Now()
	err := until(ctx, "handset 2 shows the edit", 10*time.Second, func() (string, error) {
		i, err := o.two.show(ctx, o.made.live)
		if err != nil || i.contains(titleOfLive) {
			return "", err
		}
		return "not yet", nil
	})
	if err != nil {
		return err
	}
	o.say("an edit on handset 1 is on handset 2 %.2f s later", time.Since(committed).Seconds())
	return settled(ctx, o.one, o.two)
}

// editApart edits on both handsets while there is no cloud.
func (o *outage) editApart(ctx context.Context) error {
	picture, err := o.newPicture()
	if err != nil {
		return err
	}
	edits := []func() error{
		func() error { return o.one.set(ctx, o.made.fields, "note="+noteOfOne) },
		func() error { return o.two.set(ctx, o.made.fields, "email="+mailOfTwo) },
		func() error { return o.one.set(ctx, o.made.clash, "name="+nameOfOne) },
		func() error { return o.two.set(ctx, o.made.clash, "name="+nameOfTwo) },
		func() error { return o.two.remove(ctx, o.made.deleted) },
		func() error { return o.two.remove(ctx, o.made.survivor) },
		func() error { return o.one.set(ctx, o.made.survivor, "note="+lateNote) },
		func() error {
			_, err := o.two.add(ctx, record.Notes, "title="+noteTitle, "body=No bars here.")
			return err
		},
		func() error { _, err := o.one.add(ctx, record.Tasks, "title="+taskTitle); return err },
		func() error { _, err := o.two.do(ctx, "import", picture); return err },
	}
	for _, edit := range edits {
		if err := edit(); err != nil {
			return err
		}
	}
	o.want[record.Contacts].live--
	o.want[record.Contacts].deleted++
	o.want[record.Notes].live++
	o.want[record.Tasks].live++
	o.want[record.Pictures].live++
	o.say("meanwhile both are edited: different fields of one contact, the same field of another,")
	o.say("a deletion, a deletion against an edit, a new note, a new task, a new picture")
	return nil
}

// checkEdits checks that what editApart wrote is on a handset.
func (o *outage) checkEdits(ctx context.Context, h *handset) error {
	want := func(id, what string, texts ...string) error {
		i, err := h.show(ctx, id)
		if err != nil {
			return err
		}
		if i.Deleted {
			return fmt.Errorf("%s: it is deleted", what)
		}
		for _, text := range texts {
			if !i.contains(text) {
				return fmt.Errorf("%s: %q is missing", what, text)
			}
		}
		return nil
	}
	both := func() error {
		var conflicts []conflict
		if err := h.ask(ctx, &conflicts, "conflicts"); err != nil {
			return err
		}
		for _, c := range conflicts {
			if c.ID == o.made.clash && c.values(nameOfOne, nameOfTwo) {
				return nil
			}
		}
		return errors.New("same field on both: the two values are not both there")
	}
	gone := func() error {
		i, err := h.show(ctx, o.made.deleted)
		if err == nil && !i.Deleted {
			err = errors.New("deleted on one: it is alive")
		}
		return err
	}
	return errors.Join(
		want(o.made.fields, "different fields", noteOfOne, mailOfTwo),
		want(o.made.survivor, "edit against deletion", lateNote),
		want(o.made.live, "live edit", titleOfLive),
		both(), gone(),
	)
}

// conflict is one key of `sidekeep conflicts --json`.
type conflict struct {
	ID, Key string
	Shown   fieldValue
	Other   []fieldValue
}

type fieldValue struct {
	Value any
	Raw   string
}

// values reports whether the conflict holds exactly these two values.
func (c *conflict) values(a, b string) bool {
	if len(c.Other) != 1 {
		return false
	}
	shown, other := fmt.Sprint(c.Shown.Value), fmt.Sprint(c.Other[0].Value)
	return shown == a && other == b || shown == b && other == a
}
