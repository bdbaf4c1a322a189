package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// covered is what the operator's report says of a kind after a loss.
type covered struct {
	Kind     record.Kind
	Versions int
	Coverage struct {
		Had, Lost     int
		Final, Proven bool
		ToCome        []struct {
			Versions int
			Back     bool
		} `json:"to_come"`
	}
}

func (c *covered) toCome() (n int) {
	for _, t := range c.Coverage.ToCome {
		n += t.Versions
	}
	return n
}

// coverage reads the operator's report of the cloud's one account, by kind.
func (s *server) coverage(ctx context.Context) (map[record.Kind]covered, error) {
	var report struct{ Accounts []struct{ Kinds []covered } }
	if err := s.ask(ctx, &report, "report"); err != nil {
		return nil, err
	}
	kinds := map[record.Kind]covered{}
	for _, a := range report.Accounts {
		for _, k := range a.Kinds {
			kinds[k.Kind] = k
		}
	}
	return kinds, nil
}

// drillReport loses the cloud and reads the operator's report until it is final.
func drillReport(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	want, err := s.fill(ctx, hs[0], "held by all", 5)
	if err != nil {
		return err
	}
	cards := 2500
	if s.long {
		cards = 20_000
	}
	if err := s.importMore(ctx, hs[0], cards, 1<<10); err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	held, err := s.cloud.report(ctx)
	if err != nil {
		return err
	}
	before, err := s.cloud.rows(ctx)
	if err != nil {
		return err
	}
	if err := hs[1].off(); err != nil {
		return err
	}
	if err := s.lose(ctx); err != nil {
		return err
	}
	hs[0].hurry(ctx)
	steps, err := s.followReport(ctx, before)
	if err != nil {
		return err
	}
	s.say("while contacts came back, the report said that there were still to come: %v", steps)
	if err := hs[1].on(); err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	final, err := s.cloud.coverage(ctx)
	if err != nil {
		return err
	}
	counted, err := s.cloud.rows(ctx) // by a third party, from the file
	if err != nil {
		return err
	}
	now, err := s.cloud.report(ctx)
	if err != nil {
		return err
	}
	var lines []string
	for _, kind := range record.Kinds {
		k := final[kind]
		if !k.Coverage.Final || !k.Coverage.Proven || k.Coverage.Lost != 0 || k.toCome() != 0 {
			return fmt.Errorf("the report at the end says %+v", k)
		}
		if n := before.Versions[kind]; k.Versions != n || k.Coverage.Had != n || counted.Versions[kind] != n {
			return fmt.Errorf("%s: %d before the loss, the report says %+v, the file has %d", kind, n, k, counted.Versions[kind])
		}
		if now[kind] != held[kind] {
			return fmt.Errorf("%s: %+v before the loss, %+v after", kind, held[kind], now[kind])
		}
		lines = append(lines, fmt.Sprintf("%s %d", kind, k.Versions))
	}
	s.say("the report is final, and equal to before the loss and to what the file has: %s; lost 0", strings.Join(lines, ", "))
	return s.everyNote(ctx, want, hs...)
}

// followReport reads the report while one handset gives everything back, until it
// is final, and returns what it said was still to come of contacts. Whatever
// moment it is read at, what is held and what is to come are not less than what
// there was, and the first never falls.
func (s *scene) followReport(ctx context.Context, before rows) (steps []int, err error) {
	had, last := before.Versions[record.Contacts], 0
	err = until(ctx, "the report is final", 40*time.Second, func() (string, error) {
		kinds, err := s.cloud.coverage(ctx)
		if err != nil {
			return err.Error(), nil // the cloud has no file yet
		}
		k, ok := kinds[record.Contacts]
		if !ok || k.Coverage.Had < had { // nobody told yet
			return "nobody came yet", nil
		}
		if n := k.toCome(); len(steps) == 0 || steps[len(steps)-1] != n {
			steps = append(steps, n)
		}
		if k.Versions < last || k.Versions+k.toCome() < had || k.Coverage.Had != had || k.Coverage.Final && k.Coverage.Lost != 0 {
			return "", fmt.Errorf("of %d contacts the report says %+v, having said %d before", had, k, last)
		}
		last = k.Versions
		for _, kind := range record.Kinds {
			if c := kinds[kind].Coverage; !c.Final || !c.Proven {
				return string(kind) + " is not final", nil
			}
		}
		return "", nil
	})
	if err == nil && (len(steps) < 2 || steps[len(steps)-1] != 0) {
		err = errors.New("the report did not move")
	}
	if err != nil {
		err = fmt.Errorf("%w (still to come: %v)", err, steps)
	}
	return steps, err
}
