package localstore

import (
	"maps"

	"sidekeep/localstore/record"
)

// What was seen: the join of the vectors of all versions in tables record and
// held. It is kept in meta beside the write counter, so that an edit touches no
// page more, and counted again from the rows after a version was taken out.

// saw joins the vector of a version that is stored in this transaction.
func (t *tx) saw(v record.Vector) {
	if t.stored == nil {
		t.stored = record.Vector{}
	}
	for r, c := range v {
		t.stored[r] = max(t.stored[r], c)
	}
}

// unsee has what was seen counted again when it is needed next: a version was
// taken out whose dots may be nowhere else.
func (t *tx) unsee() { t.uncounted = true }

func (t *tx) saveSeen() error {
	if t.uncounted {
		return t.setMeta(metaSeen, nil)
	}
	if t.stored == nil {
		return nil
	}
	seen, known, err := t.readSeen()
	if err != nil || !known || seen.Includes(t.stored) {
		return err
	}
	return t.setMeta(metaSeen, appendVector(nil, seen.Join(t.stored)))
}

// readSeen returns what was kept, if it was.
func (c *session) readSeen() (record.Vector, bool, error) {
	var b []byte
	found, err := c.one([]any{&b}, "SELECT value FROM meta WHERE key = ?", metaSeen)
	if err != nil || !found {
		return nil, false, err
	}
	p := parser{b: b}
	v := p.vector()
	if p.bad || len(p.b) > 0 {
		return nil, false, nil
	}
	return v, true, nil
}

// seenVector returns what was seen, and keeps it if it had to be counted.
func (t *tx) seenVector() (record.Vector, error) {
	if seen, known, err := t.readSeen(); err != nil || known && !t.uncounted {
		return seen.Join(t.stored), err
	}
	seen := record.Vector{}
	join := func(v record.Vector) {
		for r, c := range v {
			seen[r] = max(seen[r], c)
		}
	}
	err := t.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		p := parser{b: b}
		if f := p.take(1); !p.bad && f[0] == stateFormat {
			if v := p.vector(); !p.bad {
				join(v)
			}
		}
		return nil
	}, "SELECT state FROM record WHERE vid IS NOT NULL")
	if err != nil {
		return nil, err
	}
	err = t.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		if v, err := record.Decode(b); err == nil {
			join(v.Vector)
		}
		return nil
	}, "SELECT version FROM held")
	if err != nil {
		return nil, err
	}
	t.uncounted, t.stored = false, nil
	return maps.Clone(seen), t.setMeta(metaSeen, appendVector(nil, seen))
}
