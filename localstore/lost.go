package localstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sidekeep/localstore/record"
)

// Lost is a record that is known to have been in a damaged database, and is not
// in this one, or only without the last edit that was made of it here.
type Lost struct {
	ID   record.ID   `json:"-"`
	Kind record.Kind `json:"kind"` // "" if not known
	// Back says that the record is here again, from the cloud, and that its last
	// edit here, which was not synced, is lost.
	Back bool `json:"-"`
	// Asked is when (Unix seconds) the cloud proved that it does not have it
	// either; 0: not yet.
	Asked int64 `json:"asked,omitempty"`
	// Copy is what could be read of it, though it is not what was written. It is
	// brought back if the cloud does not have the record, or has it as it was
	// before an edit that was not synced.
	Copy *LostCopy `json:"copy,omitempty"`
	// Version is the id of the version that was here, in hex digits; "" if not known.
	Version string `json:"version,omitempty"`
	Edited  bool   `json:"edited,omitempty"` // it had an edit that was not minted
	Queued  bool   `json:"queued,omitempty"` // the cloud had not acknowledged the version
	// Unread says that pages of its database could not be read, which may have
	// held the names of others.
	Unread bool `json:"unread,omitempty"`
}

// AtLeast reports whether there may be more lost records than a list names.
func AtLeast(list []Lost) bool {
	return slices.ContainsFunc(list, func(l Lost) bool { return l.Unread })
}

// LostCopy is a document that does not match its version.
type LostCopy struct {
	Deleted bool   `json:"deleted"`
	Doc     string `json:"doc"`
	Par     string `json:"par,omitempty"`
	Raw     []byte `json:"raw,omitempty"`
	// Before is the document before the edit, if there was one and it can be
	// read: the edit is the difference between both, whatever is damaged in them.
	Before *LostCopy `json:"before,omitempty"`
}

// metaLost begins the key of a lost record in table meta; its id follows.
const metaLost = "lost/"

// lost reads the list. Records that are here again are on it, with Back set, as
// long as an edit of them is lost and they were not edited anew.
func (c *session) lost() ([]Lost, error) {
	var list []Lost
	err := c.each(func(scan func(...any) error) error {
		var key, text string
		var here, dirty bool
		var vid []byte
		if err := scan(&key, &text, &here, &vid, &dirty); err != nil {
			return err
		}
		var l Lost
		var err error
		if l.ID, err = record.ParseID(strings.TrimPrefix(key, metaLost)); err == nil {
			err = json.Unmarshal([]byte(text), &l)
		}
		if err != nil {
			return fmt.Errorf("meta %s: %w", key, ErrDamaged)
		}
		l.Back = here
		if !here || !dirty && (l.Edited || l.Queued && hex.EncodeToString(vid) != l.Version) {
			list = append(list, l)
		}
		return nil
	}, `SELECT m.key, m.value, r.n IS NOT NULL, r.vid, d.n IS NOT NULL FROM meta m LEFT JOIN record r ON r.id = substr(m.key, 6) LEFT JOIN dirty d ON d.n = r.n
 WHERE m.key > 'lost/' AND m.key < 'lost0' ORDER BY m.key`)
	return list, err
}

func (t *tx) setLost(l *Lost) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	t.losses = someLost
	return t.setMeta(metaLost+l.ID.String(), string(b))
}

// What a transaction knows of the lost records in table meta.
const (
	lossesUnread = iota
	noneLost
	someLost
)

// notLost takes a record off the list of lost ones, which nearly always is empty.
func (t *tx) notLost(id record.ID) error {
	if t.losses == lossesUnread {
		n, err := t.count("SELECT EXISTS (SELECT 1 FROM meta WHERE key > 'lost/' AND key < 'lost0')")
		if err != nil {
			return err
		}
		t.losses = noneLost + n
	}
	if t.losses == noneLost {
		return nil
	}
	return t.setMeta(metaLost+id.String(), nil)
}

// settleLost is called when the cloud has proven to hold exactly what this
// device holds of a kind. What was lost and is still not here is nowhere:
// damaged copies are brought back, the rest stays on the list, and so does what
// came back without its last edit.
func (t *tx) settleLost(kind record.Kind) error {
	list, err := t.lost()
	if err != nil {
		return err
	}
	if list, err = t.dropMisread(list); err != nil {
		return err
	}
	for i := range list {
		l := &list[i]
		if l.Kind != kind && l.Kind != "" || l.Asked != 0 {
			continue
		}
		brought, err := t.bringCopy(l)
		if err == nil && !brought {
			l.Asked, l.Copy = t.s.Now().Unix(), nil
			err = t.setLost(l)
		}
		if err != nil {
			return err
		}
	}
	// The rest is here, whole.
	settled, err := t.lost()
	if err != nil {
		return err
	}
	named := make(map[string]bool, len(settled))
	for i := range settled {
		named[settled[i].ID.String()] = true
	}
	return t.dropLost(func(id string) bool { return !named[id] })
}

// dropMisread takes off the list each id that is a damaged copy of one that is here.
func (t *tx) dropMisread(list []Lost) ([]Lost, error) {
	if len(list) == 0 {
		return nil, nil
	}
	here, err := t.ids()
	if err != nil {
		return nil, err
	}
	var kept []Lost
	for i := range list {
		l := &list[i]
		if l.Back || !slices.ContainsFunc(here, func(id record.ID) bool { return nearID(id, l.ID) }) {
			kept = append(kept, *l)
		} else if err := t.setMeta(metaLost+l.ID.String(), nil); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// bringCopy makes what could be read of a lost record a record again; of one
// that is here as it was before its last edit, it makes that edit again. It reports
// whether it did.
func (t *tx) bringCopy(l *Lost) (bool, error) {
	if l.Copy == nil {
		return false, nil
	}
	r := &row{id: l.ID, kind: l.Kind}
	what := "a record was damaged on this device and the cloud does not have it; what could be read of it was brought back: look through it"
	if l.Back {
		var err error
		if r, err = t.rowByID(l.ID); err != nil || r == nil {
			return false, err
		}
		if !l.Edited || r.vid == nil || hex.EncodeToString(r.vid[:]) != l.Version {
			return false, nil
		}
		what = "a record was damaged on this device; what could be read of an edit that was not synced was brought back: look through it"
	}
	fields, err := l.Copy.fields(r.kind)
	if err != nil {
		return true, err
	}
	deleted := l.Copy.Deleted
	if b := l.Copy.Before; l.Back && b != nil {
		before, err := b.fields(r.kind)
		if err != nil {
			return true, err
		}
		base, err := r.fields(r.kind)
		if err != nil {
			return true, err
		}
		fields = editAgain(base, before, fields)
		if deleted == b.Deleted {
			deleted = r.deleted
		}
	}
	return true, errors.Join(t.edited(r, fields, deleted), t.problem("damage", what, &l.ID))
}

func (c *LostCopy) fields(kind record.Kind) ([]record.Field, error) {
	d := document{c.Doc, c.Par, c.Raw}
	return d.fields(kind)
}

// editAgain gives the fields of base after the edit that led from before to after.
func editAgain(base, before, after []record.Field) []record.Field {
	was, is := fieldsByKey(before), fieldsByKey(after)
	var fields []record.Field
	for _, f := range base {
		old, now := was.get(f.Key), is.get(f.Key)
		switch {
		case now == nil && old == nil || now != nil && old != nil && sameField(now, old):
			fields = append(fields, f)
		case now != nil:
			fields = append(fields, *now)
		}
	}
	had := fieldsByKey(base)
	for i := range after {
		f := &after[i]
		if old := was.get(f.Key); had.get(f.Key) == nil && (old == nil || !sameField(f, old)) {
			fields = append(fields, *f)
		}
	}
	return fields
}

func sameField(a, b *record.Field) bool {
	return bytes.Equal(a.Line, b.Line) && a.Blob.Equal(b.Blob)
}

// dropLost takes records off the list.
func (t *tx) dropLost(which func(id string) bool) error {
	var keys []string
	err := t.each(func(scan func(...any) error) error {
		var key string
		err := scan(&key)
		if which(strings.TrimPrefix(key, metaLost)) {
			keys = append(keys, key)
		}
		return err
	}, "SELECT key FROM meta WHERE key > 'lost/' AND key < 'lost0'")
	for _, key := range keys {
		err = errors.Join(err, t.setMeta(key, nil))
	}
	return err
}

// SeenLost takes off the list of what is lost everything of which it is certain:
// a person has seen it. It returns how many records that were.
func (s *Store) SeenLost(ctx context.Context) (n int, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		list, err := t.lost()
		if err != nil {
			return err
		}
		n = 0
		for i := range list {
			if list[i].Asked != 0 {
				n++
				err = errors.Join(err, t.setMeta(metaLost+list[i].ID.String(), nil))
			}
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("note what was seen of what is lost: %w", err)
	}
	return n, nil
}
