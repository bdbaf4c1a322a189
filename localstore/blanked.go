package localstore

import (
	"bytes"
	"errors"
	"slices"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// A record is blanked when, against what it was before an edit or against the
// fullest document that it had within the brake's window, at least half of its
// values are gone or empty, or, of at least three, more than half are gone or
// replaced. The window is what finds a program that goes column by column, with
// a sync after each: the history has the documents, so a restart changes nothing.

// pastStates is how many documents of a record within the window are looked at:
// the first, and the last of the others.
const pastStates = 32

// tally counts what becomes of a record's values.
type tally struct{ total, gone, other int } // other: gone or replaced

func (c tally) most() bool {
	return c.gone > 0 && 2*c.gone >= c.total || c.total >= 3 && 2*c.other > c.total
}

// tallyOf counts what becomes of values. now tells of one whether it is still
// there, and whether nothing is in its place.
func tallyOf(values []line, now func(*line) (same, empty bool)) (c tally) {
	for i := range values {
		c.total++
		same, empty := now(&values[i])
		if empty && !same {
			c.gone++
		}
		if !same {
			c.other++
		}
	}
	return c
}

// valuesOf drops the lines in which a person would miss nothing.
func valuesOf(lines []line) []line {
	return slices.DeleteFunc(lines, func(l line) bool {
		return pim.NeverConflicts(l.Key) || structural(l.Key) || empty(&l)
	})
}

// structural keys hold nothing a person wrote.
func structural(key string) bool {
	switch key {
	case "BEGIN", "END", "VERSION", "UID", "CLASS", "TRANSP", "STATUS":
		return true
	}
	return false
}

func empty(l *line) bool {
	if l.Blob != nil && l.Blob.Size > 0 {
		return false
	}
	switch v := l.value.(type) {
	case string:
		return v == ""
	case []any:
		for _, e := range v {
			if !empty(&line{value: e}) {
				return false
			}
		}
	}
	return true
}

func emptyField(kind record.Kind, key string, text []byte, blob *record.Blob) bool {
	l := line{Field: record.Field{Key: key, Line: text, Blob: blob}}
	l.value, _ = pim.Decode(kind, key, text)
	return empty(&l)
}

// inLines looks values up in a document.
func inLines(lines []line) func(*line) (same, empty bool) {
	now := make(map[string]*line, len(lines))
	for i := range lines {
		now[lines[i].Key] = &lines[i]
	}
	return func(l *line) (bool, bool) {
		a := now[l.Key]
		return a != nil && bytes.Equal(a.Line, l.Line) && a.Blob.Equal(l.Blob), a == nil || empty(a)
	}
}

// inVersion looks values up in a version: what stays as a sibling is there.
func inVersion(kind record.Kind, v *record.Version) func(*line) (same, empty bool) {
	return func(l *line) (same, empty bool) {
		empty = true
		for _, e := range v.Fields[l.Key] {
			same = same || bytes.Equal(e.Line, l.Line) && e.Blob.Equal(l.Blob)
			empty = empty && emptyField(kind, l.Key, e.Line, e.Blob)
		}
		return same, empty
	}
}

// blanked reports whether the edit of a dirty row takes most of its record away.
func (t *tx) blanked(r *row) (bool, error) {
	before, err := r.before.lines(r.kind)
	if err != nil {
		return false, nil // damage, which minting finds
	}
	after, err := r.document.lines(r.kind)
	if err != nil {
		return false, nil
	}
	was, is := inLines(before), inLines(after)
	switch c := tallyOf(valuesOf(slices.Clone(before)), is); {
	case c.most():
		return true, nil
	case c.other == 0:
		return false, nil
	}
	past, err := t.fullest(r)
	return err == nil && tallyOf(past, is).most() && !tallyOf(past, was).most(), err
}

// lossOf says what a person would lose if a record went from one version to the
// next. A value that stays as a sibling is not lost, and values that an undelete
// or a reject brings back replace nothing: it is known by the mark of life it
// writes. While something is held that empties the record, any value counts.
func (t *tx) lossOf(r *row, before, after *record.Version) (int, error) {
	if before == after || before.Dead() {
		return lossNone, nil
	}
	if after.Dead() {
		return lossDeleted, nil
	}
	fields := shown(r.kind, before)
	lines := make([]line, len(fields))
	for i, f := range fields {
		lines[i].Field = f
		lines[i].value, _ = pim.Decode(r.kind, f.Key, f.Line)
	}
	is := inVersion(r.kind, after)
	brought := slices.ContainsFunc(after.Fields[record.KeyAlive], func(e record.Entry) bool { return !before.Vector.Covers(e.Dot) })
	count := func(values []line) tally {
		c := tallyOf(values, is)
		if brought {
			c.other = c.gone
		}
		return c
	}
	switch c := count(valuesOf(lines)); {
	case c.most() || c.other > 0 && r.held != nil && r.held.loss == lossEmptied:
		return lossEmptied, nil
	case c.other == 0:
		return lossNone, nil
	}
	past, err := t.fullest(r)
	if err == nil && count(past).most() && !tallyOf(past, inVersion(r.kind, before)).most() {
		return lossEmptied, nil
	}
	return lossNone, err
}

// fullest gives the values of the document of a living row that had most of them
// within the window, the first of several; none if the history has no document.
func (t *tx) fullest(r *row) (most []line, err error) {
	past, err := t.pastDocuments(r.n)
	if err != nil {
		return nil, err
	}
	for _, n := range past {
		rows, err := t.changes("WHERE n = ? AND record = ?", n, r.n)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			continue
		}
		lines, err := rows[0].lines(r.kind)
		if err != nil { // damage, which verify finds
			continue
		}
		if values := valuesOf(lines); len(values) > len(most) {
			most = values
		}
	}
	return most, nil
}

// recent says where the history has documents of living records within the window,
// by row and oldest first. It is kept from one transaction to the next, for the
// day on which an account came has a long history, and read anew once a day of
// running time. A transaction that is rolled back takes it with it. Numbers of
// changes are given again after the last of them were removed: the change that it
// ends with must still be there.
type recent struct {
	of    map[int64][]pastPlace
	to    change // looked at up to here
	began int64  // running time when it was read
}

type pastPlace struct{ n, at, ran int64 }

type change struct {
	pastPlace
	record int64
}

// changeAt gives the first change of the history that where selects, or none.
func (t *tx) changeAt(where string, args ...any) (c change, err error) {
	_, err = t.one([]any{&c.n, &c.record, &c.at, &c.ran}, "SELECT n, record, at, ran FROM history "+where, args...)
	return c, err
}

// errPastWindow ends the scan of the history.
var errPastWindow = errors.New("before the window")

// pastDocuments gives the places in the history of a row's documents within the
// window, oldest first. Running time tells where the window can not begin before,
// whatever the clock said in between.
func (t *tx) pastDocuments(row int64) (places []int64, err error) {
	ran, err := t.metaInt(metaRan)
	if err != nil {
		return nil, err
	}
	if err := t.readPast(ran); err != nil {
		return nil, err
	}
	now, all := t.s.Now().UnixMilli(), t.s.recent.of[row]
	for i := len(all) - 1; i >= 0 && ran-all[i].ran < brakeWindowS; i-- {
		if at := all[i].at; max(now-at, at-now) < brakeWindowS*1000 {
			places = append(places, all[i].n)
		}
	}
	slices.Reverse(places)
	if len(places) > pastStates {
		places = slices.Delete(places, 1, len(places)-pastStates+1)
	}
	return places, nil
}

// readPast adds what was added to the history since it was last called. The first
// time it reads the window, newest first, and not what is before.
func (t *tx) readPast(ran int64) error {
	p := &t.s.recent
	at, err := t.changeAt("WHERE n = ?", p.to.n)
	if err != nil {
		return err
	}
	if p.of == nil || ran < p.began || ran-p.began >= brakeWindowS || at != p.to {
		*p = recent{of: map[int64][]pastPlace{}, began: ran}
	}
	// The last change may yet get a document, of a statement that goes on.
	to, err := t.changeAt("WHERE n < (SELECT max(n) FROM history) ORDER BY n DESC LIMIT 1")
	if err != nil {
		return err
	}
	if to.n < p.to.n {
		to = p.to
	}
	fresh := map[int64][]pastPlace{} // newest first
	err = t.each(func(scan func(...any) error) error {
		var of int64
		var at pastPlace
		if err := scan(&at.n, &of, &at.at, &at.ran); err != nil {
			return err
		}
		if ran-at.ran >= brakeWindowS {
			return errPastWindow
		}
		if at.n > to.n {
			to = change{at, of}
		}
		fresh[of] = append(fresh[of], at)
		return nil
	}, "SELECT n, record, at, ran FROM history WHERE n > ? AND was = 0 AND doc IS NOT NULL ORDER BY n DESC", p.to.n)
	if err != nil && !errors.Is(err, errPastWindow) {
		return err
	}
	for of, list := range fresh {
		slices.Reverse(list)
		p.of[of] = append(p.of[of], list...)
	}
	p.to = to
	return nil
}
