package localstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Moment is a point in the history of this device: all changes up to Order had
// been made, none after it.
type Moment struct {
	Order   int64
	At      time.Time
	Unclear int // changes right after it whose clock was wrong: they may have been made before
}

// HistoryError says that the history does not reach back to a moment.
type HistoryError struct {
	Begins time.Time // the earliest moment that can be named
}

func (e *HistoryError) Error() string {
	return "the history of this device begins " + e.Begins.Local().Format(time.DateTime)
}

// ErrNoChange says that no change has the number that was given.
var ErrNoChange = errors.New("the history has no change of this number")

// historyEpoch is before the first history of anyone: a clock that says less is
// wrong for certain.
var historyEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// MomentAt finds the moment that a clock time names. Changes are kept in their
// true order, each with what the clock said. Where a clock was wrong for a while
// (1970 after a loss of power, 2038), the longest series of times that do not
// run backwards, up to now, is believed; changes outside of it stand between
// their neighbours. Those next to the moment are taken as made after it and
// counted in Unclear.
func (s *Store) MomentAt(ctx context.Context, to time.Time) (m Moment, err error) {
	orders, times := []int64{0}, []int64{0}
	err = s.read(ctx, func(c *session) (err error) {
		if orders[0], times[0], err = c.historyStart(); err != nil {
			return err
		}
		return c.each(func(scan func(...any) error) error {
			var n, at int64
			err := scan(&n, &at)
			orders, times = append(orders, n), append(times, at)
			return err
		}, "SELECT n, at FROM history ORDER BY n")
	})
	if err != nil {
		return m, fmt.Errorf("find a moment in the history: %w", err)
	}
	chain := believed(times, historyEpoch.UnixMilli(), s.Now().UnixMilli())
	if len(chain) == 0 { // nothing that a clock said is to be believed
		return m, &HistoryError{Begins: s.Now()}
	}
	ms := to.UnixMilli()
	i, found := slices.BinarySearchFunc(chain, ms, func(at int, ms int64) int {
		if times[at] <= ms {
			return -1
		}
		return 1
	})
	_ = found // no element compares as equal: i is the first that is later
	if i == 0 {
		return m, &HistoryError{Begins: time.UnixMilli(times[chain[0]])}
	}
	next := len(times)
	if i < len(chain) {
		next = chain[i]
	}
	return Moment{Order: orders[chain[i-1]], At: to, Unclear: next - chain[i-1] - 1}, nil
}

// MomentBefore is the moment before the change of this order.
func (s *Store) MomentBefore(ctx context.Context, order int64) (m Moment, err error) {
	err = s.read(ctx, func(c *session) error {
		start, begins, err := c.historyStart()
		if err != nil {
			return err
		}
		if order <= start {
			return &HistoryError{Begins: time.UnixMilli(begins)}
		}
		var at int64
		found, err := c.one([]any{&at}, "SELECT at FROM history WHERE n >= ? ORDER BY n LIMIT 1", order)
		if err == nil && !found {
			return ErrNoChange
		}
		m = Moment{Order: order - 1, At: time.UnixMilli(at)}
		return err
	})
	if err != nil {
		return m, fmt.Errorf("find a moment in the history: %w", err)
	}
	return m, nil
}

// historyStart gives the place and time from which the history is kept.
func (c *session) historyStart() (n, at int64, err error) {
	if n, err = c.metaInt(metaHistoryN); err == nil {
		at, err = c.metaInt(metaHistoryAt)
	}
	return n, at, err
}

// believed gives the indexes of a longest series of times that do not decrease
// and lie between from and now (patience sorting: Fredman 1975, On computing the
// length of longest increasing subsequences).
func believed(times []int64, from, now int64) []int {
	var tails []int // tails[k]: index of the smallest time that ends a series of k+1
	before := make([]int, len(times))
	for i, t := range times {
		if t < from || t > now {
			continue
		}
		k, _ := slices.BinarySearchFunc(tails, t, func(tail int, t int64) int {
			if times[tail] <= t {
				return -1
			}
			return 1
		})
		before[i] = -1
		if k > 0 {
			before[i] = tails[k-1]
		}
		if k == len(tails) {
			tails = append(tails, i)
		} else {
			tails[k] = i
		}
	}
	if len(tails) == 0 {
		return nil
	}
	chain := make([]int, len(tails))
	for k, i := len(tails)-1, tails[len(tails)-1]; k >= 0; k, i = k-1, before[i] {
		chain[k] = i
	}
	return chain
}
