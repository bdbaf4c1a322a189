package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// keysHelp lists the keys for people, as localstore/pim has them.
func keysHelp() string {
	var b strings.Builder
	b.WriteString("\nKeys for people:\n")
	for _, kind := range record.Kinds {
		text := fmt.Sprintf("  %-9s", kind)
		for i, key := range pim.FriendlyKeys(kind) {
			if i > 0 {
				text += ","
			}
			if len(text)-strings.LastIndexByte(text, '\n')+len(key) > 76 {
				text += "\n           "
			}
			text += " " + key
		}
		b.WriteString(text + "\n")
	}
	b.WriteString(`Times are 2026-11-22, 2026-11-22T09:30 (wall time), 2026-11-22T09:30Z,
2026-11-22T09:30+01:00 or "2026-11-22T09:30 Europe/Berlin". A key with a plus
(phone+=...) adds another one. Any key that 'show' prints, like TEL.k3x2a, and
any property of the format, like NICKNAME, can be given, too.`)
	return b.String()
}

func (a *app) addCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add KIND KEY=VALUE...",
		GroupID: "data",
		Short:   "Add a record",
		Long: `add makes a new record and prints its id. It is durable when add returns, with
or without a network. A key given twice adds a second value where the kind
allows it. Pictures are not made here, but imported.
` + keysHelp(),
		Example: `  sidekeep add contacts name="Ada Lovelace" phone="+44 20 7946 0000" phone="+44 20 7946 0001"
  sidekeep add events title=Dentist start=2026-11-22T09:30 end=2026-11-22T10:00
  sidekeep add notes title=Shopping body="milk, bread"`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeKind,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.add(cmd.Context(), s, args[0], args[1:])
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) add(ctx context.Context, s *localstore.Store, kindName string, args []string) error {
	pairs, err := parsePairs(args)
	if err != nil {
		return err
	}
	kind, err := parseKind(ctx, s, kindName)
	if err != nil {
		return err
	}
	if kind == record.Pictures {
		return usagef("a picture is more than its fields: use 'sidekeep import FILE'")
	}
	fields, err := newFields(kind, pairs)
	if err != nil {
		return usagef("add to %s: %w", kindName, err)
	}
	id, err := s.NewID()
	if err != nil {
		return explain("draw an id", err)
	}
	if err := s.Put(ctx, kind, id, fields); err != nil {
		return explain("add to "+kindName, err)
	}
	if !a.json {
		_, err = fmt.Fprintln(a.stdout, id)
		return err
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return explain("read "+shortID(id), err)
	}
	return a.printJSON(shapeOf(&r))
}

// newFields makes the fields of a record: each key once, then what was given
// again as further values.
func newFields(kind record.Kind, pairs []pair) ([]record.Field, error) {
	first := make(map[string]string)
	var again []pair
	for _, p := range pairs {
		if _, ok := first[p.key]; ok || strings.HasSuffix(p.key, "+") {
			again = append(again, pair{strings.TrimSuffix(p.key, "+") + "+", p.value})
			continue
		}
		first[p.key] = p.value
	}
	fields, err := pim.NewFields(kind, first)
	for _, p := range again {
		if err != nil {
			break
		}
		fields, err = pim.Apply(kind, fields, p.key, p.value)
	}
	return fields, err
}

func (a *app) setCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set ID KEY=VALUE...",
		GroupID: "data",
		Short:   "Change fields of a record",
		Long: `set changes fields of a record; KEY= with nothing after it removes the field.
All changes of one call are one write. Setting a field that is in conflict
settles it: the other values are dropped. Setting a field of a deleted record
brings the record back.
` + keysHelp(),
		Example: `  sidekeep set 3f9a phone="+44 20 7946 0002"
  sidekeep set 3f9a note= email+=ada@example.org
  sidekeep set 77c0 done=yes`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.set(cmd.Context(), s, args[0], args[1:])
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) set(ctx context.Context, s *localstore.Store, prefix string, args []string) error {
	pairs, err := parsePairs(args)
	if err != nil {
		return err
	}
	id, err := resolve(ctx, s, prefix)
	if err != nil {
		return err
	}
	before, err := s.Get(ctx, id)
	if err != nil {
		return explain("read "+shortID(id), err)
	}
	var keys []string
	for _, p := range pairs {
		keys = append(keys, meant(before.Kind, before.Fields, p.key)...)
	}
	change := func(kind record.Kind, fields []record.Field) ([]record.Field, error) {
		var err error
		for _, p := range pairs {
			if fields, err = pim.Apply(kind, fields, p.key, p.value); err != nil {
				return nil, usagef("set %s: %w", shortID(id), err)
			}
		}
		return fields, nil
	}
	if err := s.Edit(ctx, id, change, keys...); err != nil {
		return explain("set "+shortID(id), err)
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return explain("read "+shortID(id), err)
	}
	if a.json {
		return a.printJSON(shapeOf(&r))
	}
	return a.show(&r, false)
}

// meant gives the keys of the fields that key, which may be one for people,
// stands for: those that removing it would take away. They are written even if
// their values stay, so that setting a field settles its conflict.
func meant(kind record.Kind, fields []record.Field, key string) []string {
	rest, err := pim.Apply(kind, fields, key, "")
	if err != nil || strings.HasSuffix(key, "+") {
		return nil
	}
	left := make(map[string]bool, len(rest))
	for _, f := range rest {
		left[f.Key] = true
	}
	var keys []string
	for _, f := range fields {
		if !left[f.Key] {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

func (a *app) rmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rm ID...",
		GroupID: "data",
		Short:   "Delete records (they stay in the trash for 30 days)",
		Long: `rm moves records to the trash, all or none. For 30 days that this device runs
'undelete' brings them back, here and everywhere. A deletion of very many
records is held on this device until you agree; see 'sidekeep help held'.`,
		Example: "  sidekeep rm 3f9a 77c0",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				err := a.change(cmd.Context(), s, args, "deleted", s.Delete)
				if err == nil && len(args) > localstore.BrakeMinDefault {
					fmt.Fprintln(a.stderr, "hint: so many deletions may be held at the next sync until you agree; see 'sidekeep help held'")
				}
				return err
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) undeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "undelete ID...",
		GroupID: "data",
		Short:   "Bring deleted records back from the trash",
		Long:    "undelete brings records back from the trash, all or none, with all their fields.",
		Example: "  sidekeep list contacts --deleted\n  sidekeep undelete 3f9a",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				return a.change(cmd.Context(), s, args, "undeleted", s.Undelete)
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

// change runs rm or undelete: done is the word for what happened.
func (a *app) change(ctx context.Context, s *localstore.Store, prefixes []string, done string, do func(context.Context, ...record.ID) error) error {
	ids, err := resolveAll(ctx, s, prefixes)
	if err != nil {
		return err
	}
	if err := do(ctx, ids...); err != nil {
		return explain("change "+count(len(ids), "record"), err)
	}
	if !a.json {
		_, err := fmt.Fprintf(a.stdout, "%s %s\n", count(len(ids), "record"), done)
		return err
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	slices.Sort(texts)
	return a.printJSON(map[string][]string{done: texts})
}
