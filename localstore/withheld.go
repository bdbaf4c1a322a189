package localstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"sidekeep/localstore/record"
)

// Withheld says that a device stated to have seen writes that the cloud does
// not give here, although this device and the cloud hold the same: the cloud
// shows devices different states, or it lost something.
type Withheld struct {
	Replica  record.ReplicaID `json:"-"` // whose statement it is
	Device   string           `json:"device"`
	Name     string           `json:"name"`
	At       time.Time        `json:"at"`       // of the statement
	Since    time.Time        `json:"since"`    // when it was first found
	Replicas int              `json:"replicas"` // whose writes are missing
	Authors  []string         `json:"authors"`  // the devices of these replicas, as far as known here
}

// withheldJSON is one in meta.
type withheldJSON struct {
	Replica  string   `json:"replica"`
	Device   string   `json:"device"`
	Name     string   `json:"name"`
	At       int64    `json:"at"`
	Since    int64    `json:"since"`
	Replicas int      `json:"replicas"`
	Authors  []string `json:"authors,omitempty"`
}

// CompareWitnesses looks whether any statement that is here claims a write that
// is not, and reports how many do. final says that every kind equals the cloud's
// as of a moment after the last statement came: then what is missing is withheld,
// and that is kept for Status. When nothing is missing that is kept at once.
func (s *Store) CompareWitnesses(ctx context.Context, final bool) (lacking int, err error) {
	var found []Withheld
	changed, counted := false, false
	err = s.read(ctx, func(c *session) error {
		seen, known, err := c.readSeen()
		if err != nil || !known {
			return err
		}
		counted = true
		found, changed, err = s.compare(c, seen)
		return err
	})
	if err == nil && (!counted || changed && (final || len(found) == 0)) {
		err = s.write(ctx, false, func(t *tx) error {
			seen, err := t.seenVector()
			if err != nil {
				return err
			}
			if found, changed, err = s.compare(t.session, seen); err != nil || !changed || !final && len(found) > 0 {
				return err
			}
			return t.setWithheld(found)
		})
	}
	if err != nil {
		return 0, fmt.Errorf("compare the statements of what was seen: %w", err)
	}
	return len(found), nil
}

// compare gives the statements that claim more than seen, and whether that
// differs from what is kept.
func (s *Store) compare(c *session, seen record.Vector) (found []Withheld, changed bool, err error) {
	all, err := s.witnesses(c)
	if err != nil {
		return nil, false, err
	}
	kept, err := c.withheld()
	if err != nil {
		return nil, false, err
	}
	excused, err := c.excused()
	if err != nil {
		return nil, false, err
	}
	was := map[record.ReplicaID]Withheld{}
	for _, w := range kept {
		was[w.Replica] = w
	}
	seen = seen.Join(excused)
	names := map[record.ReplicaID]string{}
	for _, w := range all {
		names[w.Replica] = cmp.Or(w.Name, w.Device)
	}
	for _, w := range all {
		n := 0
		var authors []string
		for r, counter := range w.Seen {
			if seen[r] < counter {
				n++
				if name := names[r]; name != "" {
					authors = append(authors, name)
				}
			}
		}
		if n == 0 {
			continue
		}
		h := Withheld{Replica: w.Replica, Device: w.Device, Name: w.Name, At: w.At, Since: s.Now().Truncate(time.Second), Replicas: n}
		slices.Sort(authors)
		h.Authors = slices.Compact(authors)
		if old, ok := was[w.Replica]; ok {
			h.Since = old.Since
		}
		changed = changed || !reflect.DeepEqual(h, was[w.Replica])
		found = append(found, h)
	}
	return found, changed || len(found) != len(kept), nil
}

func (t *tx) setWithheld(found []Withheld) error {
	if len(found) == 0 {
		return t.setMeta(metaWithheld, nil)
	}
	list := make([]withheldJSON, len(found))
	for i, h := range found {
		list[i] = withheldJSON{h.Replica.String(), h.Device, h.Name, h.At.Unix(), h.Since.Unix(), h.Replicas, h.Authors}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return t.setMeta(metaWithheld, string(b))
}

func (c *session) withheld() ([]Withheld, error) {
	text, err := c.metaText(metaWithheld)
	if err != nil || text == "" {
		return nil, err
	}
	var list []withheldJSON
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("meta %s: %w", metaWithheld, ErrDamaged)
	}
	all := make([]Withheld, len(list))
	for i, j := range list {
		all[i] = Withheld{Device: j.Device, Name: j.Name, At: time.Unix(j.At, 0), Since: time.Unix(j.Since, 0), Replicas: j.Replicas, Authors: j.Authors}
		if !parseHex(all[i].Replica[:], j.Replica) {
			return nil, fmt.Errorf("meta %s: %w", metaWithheld, ErrDamaged)
		}
	}
	return all, nil
}

// excused are the claims that a person called lost.
func (c *session) excused() (record.Vector, error) {
	var b []byte
	found, err := c.one([]any{&b}, "SELECT value FROM meta WHERE key = ?", metaExcused)
	if err != nil || !found {
		return nil, err
	}
	p := parser{b: b}
	v := p.vector()
	if p.bad || len(p.b) > 0 {
		return nil, fmt.Errorf("meta %s: %w", metaExcused, ErrDamaged)
	}
	return v, nil
}

// ExcuseWithheld notes that a person calls what is withheld lost: no device
// will bring it. It returns how many statements claimed it.
func (s *Store) ExcuseWithheld(ctx context.Context) (n int, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		seen, err := t.seenVector()
		if err != nil {
			return err
		}
		found, _, err := s.compare(t.session, seen)
		if n = len(found); err != nil || n == 0 {
			return err
		}
		excused, err := t.excused()
		if err != nil {
			return err
		}
		all, err := s.witnesses(t.session)
		if err != nil {
			return err
		}
		for _, w := range all {
			excused = excused.Join(w.Seen)
		}
		if err := t.setMeta(metaExcused, appendVector(nil, excused)); err != nil {
			return err
		}
		return t.setWithheld(nil)
	})
	if err != nil {
		return 0, fmt.Errorf("call lost what is withheld: %w", err)
	}
	return n, nil
}
