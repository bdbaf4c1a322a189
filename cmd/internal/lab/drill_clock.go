package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// drillClock lets two handsets and the cloud live through the same edits with
// right clocks and with wrong ones, that of a process and of all that runs in it:
// what wins is the same.
func drillClock(ctx context.Context, s *scene) error {
	if err := s.clocksBend(ctx); err != nil {
		s.say("clocks of processes can not be set here: %v", err)
		s.say("TestTheClockDecidesNothing of cmd/internal/endtoend shows it with clocks inside the process")
		return nil
	}
	dead, end := time.Unix(20, 0), time.Unix(1<<31+20, 0)
	plays := []clockPlay{
		{"right clocks", func(int, int) time.Time { return time.Now() }},
		{"handset 1 in 1970, handset 2 in 2038, the cloud in 2099", func(party, _ int) time.Time {
			return []time.Time{dead, end, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}[party]
		}},
	}
	jumps, steps := 1, 1
	if s.long {
		jumps, steps = 6, 4
		plays = append(plays, clockPlay{"handset 1 in 2038, handset 2 and the cloud in 1970", func(party, _ int) time.Time { return []time.Time{end, dead, dead}[party] }})
	}
	for range jumps {
		plays = append(plays, clockPlay{"clocks that jump", func(int, int) time.Time { return time.Unix(s.rand.Int64N(4<<30), 0) }})
	}
	var first []string
	for i, p := range plays {
		got, err := s.playClocks(ctx, i, steps, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if i == 0 {
			first = got
		} else if !slices.Equal(got, first) {
			return fmt.Errorf("%s: ends with\n  %s\nright clocks with\n  %s", p.name, strings.Join(got, "\n  "), strings.Join(first, "\n  "))
		}
		s.say("%s: %d records end as they must, nothing is missing from the trash, verify is clean", p.name, len(got))
	}
	return nil
}

// clockPlay says what the clocks of handset 1, handset 2 and the cloud show at
// each step.
type clockPlay struct {
	name string
	at   func(party, step int) time.Time
}

// playClocks plays the edits in an account and a cloud of their own, and returns
// what came of them.
func (s *scene) playClocks(ctx context.Context, n, steps int, p clockPlay) ([]string, error) {
	var clocks [3]*wallClock
	step := 0
	tick := func() error {
		for i, c := range clocks {
			if err := c.set(p.at(i, step)); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range clocks {
		var err error
		if clocks[i], err = s.wallClock(fmt.Sprintf("%d-%d", n, i)); err != nil {
			return nil, err
		}
	}
	if err := tick(); err != nil {
		return nil, err
	}
	s.cloud = s.server(fmt.Sprintf("cloud-%d", n))
	s.cloud.env = []string{clocks[2].env()}
	if err := s.cloud.on(ctx); err != nil {
		return nil, err
	}
	one, two := s.handset(fmt.Sprintf("%d one", n)), s.handset(fmt.Sprintf("%d two", n))
	one.env, two.env = []string{clocks[0].env()}, []string{clocks[1].env()}
	words, err := one.create(ctx, s.cloud.url())
	if err != nil {
		return nil, err
	}
	ids := make([]string, 4)
	for i := range ids {
		if ids[i], err = one.add(ctx, record.Contacts, fmt.Sprintf("name=Person %d", i)); err != nil {
			return nil, err
		}
	}
	if err := one.on(); err != nil {
		return nil, err
	}
	if err := settled(ctx, one); err != nil {
		return nil, err
	}
	if err := errors.Join(two.join(ctx, s.cloud.url(), words), two.on()); err != nil {
		return nil, err
	}
	if err := settled(ctx, one, two); err != nil {
		return nil, err
	}
	for step = 1; step <= steps; step++ {
		if err := tick(); err != nil { // while all three run
			return nil, err
		}
		before, after := one, two
		if step%2 == 0 {
			before, after = two, one
		}
		if err := s.clockEdits(ctx, before, after, ids, step); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(two.remove(ctx, ids[3]), settled(ctx, one, two)); err != nil {
		return nil, err
	}
	return s.clockOutcome(ctx, ids, one, two)
}

// clockEdits writes one note before and after it was seen by the other, one by
// both without having seen the other's, and different fields of a third.
func (s *scene) clockEdits(ctx context.Context, before, after *handset, ids []string, step int) error {
	if err := before.set(ctx, ids[0], fmt.Sprintf("note=first of %d", step)); err != nil {
		return err
	}
	if err := arrived(ctx, after, ids[0], fmt.Sprintf("first of %d", step)); err != nil {
		return err
	}
	// By SQL, as an app writes.
	err := after.app(ctx, fmt.Sprintf("UPDATE contacts SET note = 'then of %d' WHERE id = '%s'", step, ids[0]))
	if err != nil {
		return err
	}
	if err := arrived(ctx, before, ids[0], fmt.Sprintf("then of %d", step)); err != nil {
		return err
	}
	// Neither sees the other's.
	if err := errors.Join(before.off(), after.off()); err != nil {
		return err
	}
	return errors.Join(
		before.set(ctx, ids[1], fmt.Sprintf("note=here %d", step)), after.set(ctx, ids[1], fmt.Sprintf("note=there %d", step)),
		before.set(ctx, ids[2], fmt.Sprintf("note=note %d", step)), after.set(ctx, ids[2], fmt.Sprintf("organisation=firm %d", step)),
		before.on(), after.on(), settled(ctx, before, after))
}

// arrived waits until a running handset shows a text in a record.
func arrived(ctx context.Context, h *handset, id, text string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(h.home, "data", "sidekeep.db"))+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	return until(ctx, h.name+" shows "+text, 30*time.Second, func() (string, error) {
		var doc string
		err := db.QueryRowContext(ctx, "SELECT doc FROM record WHERE id = ?", id).Scan(&doc)
		if err != nil || !strings.Contains(doc, text) {
			return fmt.Sprint("not yet ", err), nil
		}
		return "", nil
	})
}

// clockOutcome checks that both handsets agree, and describes each record: what
// every reader must see, and how many values stand beside each other.
func (s *scene) clockOutcome(ctx context.Context, ids []string, one, two *handset) ([]string, error) {
	var out []string
	for _, id := range ids {
		var shown [2]string
		for i, h := range []*handset{one, two} {
			var r struct {
				item
				Conflicts []struct{ Key string }
			}
			if err := h.ask(ctx, &r, "show", id); err != nil {
				return nil, err
			}
			note := fmt.Sprint(r.Fields["NOTE"].Value)
			if len(r.Conflicts) > 0 {
				// Which of two equals is shown is chance; that both stand is not.
				note = "one of two"
			}
			shown[i] = fmt.Sprintf("%s deleted=%v note=%s firm=%v conflicts=%d", r.Title, r.Deleted, note, r.Fields["ORG"].Value, len(r.Conflicts))
		}
		if shown[0] != shown[1] {
			return nil, fmt.Errorf("%q on one handset, %q on the other", shown[0], shown[1])
		}
		out = append(out, shown[0])
	}
	// Nothing in the trash expired by the clock.
	if _, err := one.do(ctx, "undelete", ids[3]); err != nil {
		return nil, err
	}
	if err := settled(ctx, one, two); err != nil {
		return nil, err
	}
	if i, err := two.show(ctx, ids[3]); err != nil || i.Deleted {
		return nil, fmt.Errorf("what was brought back from the trash is not there: %w", err)
	}
	return out, s.verifyAll(ctx, one, two)
}
