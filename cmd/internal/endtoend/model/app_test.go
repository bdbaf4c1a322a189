package model

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

func fieldOf(key, value string) record.Field {
	return record.Field{Key: key, Line: []byte(key + ":" + value)}
}

// valueFor is a value that no other write has.
func (w *world) valueFor(key string) string {
	w.serial++
	switch key {
	case "DTSTART", "DTEND":
		return time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC).AddDate(0, 0, w.serial).Format("20060102T150405Z")
	case "RRULE":
		return fmt.Sprintf("FREQ=DAILY;COUNT=%d", w.serial)
	}
	return fmt.Sprintf("v%d", w.serial)
}

// tries does what an app does. When the disk is full it may be refused, and then
// nothing has changed.
func (h *handset) tries(id record.ID, p *pending, do func() error) error {
	before, err := h.want(id)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		if !h.failing {
			return err
		}
		h.w.counts["saw a refused edit"]++
		after, err := h.want(id)
		if err != nil {
			return err
		}
		if (before == nil) != (after == nil) || before != nil && !before.same(after) {
			return fmt.Errorf("%s: an edit of %s was refused, and changed it", h.name, name(id))
		}
		return h.look()
	}
	return h.wanted(id, p)
}

func (p *pending) same(o *pending) bool {
	return p.deleted == o.deleted && slices.EqualFunc(p.fields, o.fields, func(a, b record.Field) bool {
		return a.Key == b.Key && content(a.Line, a.Blob) == content(b.Line, b.Blob)
	})
}

func (h *handset) put(n, mask int) error {
	kind, id := recordOf(n)
	if kind == record.Pictures {
		return h.shoot(n, mask)
	}
	var fields []record.Field
	for i, key := range kindKeys[kind] {
		if i == 0 || mask&(1<<i) != 0 {
			fields = append(fields, fieldOf(key, h.w.valueFor(key)))
		}
	}
	p, err := h.want(id)
	if err != nil {
		return err
	}
	if p == nil {
		p = &pending{keys: map[string]bool{}}
	}
	p.fields, p.deleted = fields, false
	return h.tries(id, p, func() error { return h.store.Put(h.w.ctx, kind, id, fields) })
}

// shoot imports a picture, of one piece or two, unless the handset has it.
func (h *handset) shoot(n, m int) error {
	kind, id := recordOf(n)
	if p, err := h.want(id); err != nil || p != nil {
		return err
	}
	bytes := make([]byte, 100+m%3/2*localstore.ChunkBytes)
	h.w.serial++
	copy(bytes, fmt.Sprint("picture ", h.w.serial))
	o := pim.Object{
		Kind: kind, UID: "sidekeep-" + id.String(),
		Fields: []record.Field{fieldOf("SUMMARY", h.w.valueFor("SUMMARY")), {Key: "ATTACH", Line: []byte("ATTACH;FMTTYPE=image/jpeg:")}},
		Blobs:  map[string]pim.BlobSource{"ATTACH": pim.BytesSource(bytes)},
	}
	p := &pending{keys: map[string]bool{}}
	return h.tries(id, p, func() error {
		if _, err := h.store.Import(h.w.ctx, []pim.Object{o}); err != nil {
			return err
		}
		rec, err := h.store.Get(h.w.ctx, id)
		p.fields = rec.Fields
		return err
	})
}

// edit changes a living record, if the handset has it.
func (h *handset) edit(n int, change func(*pending), keys ...string) error {
	_, id := recordOf(n)
	p, err := h.want(id)
	if err != nil || p == nil || p.deleted {
		return err
	}
	change(p)
	if h.rows.records[id].conflicts > 0 {
		for _, k := range keys {
			p.keys[k] = true
		}
	}
	return h.tries(id, p, func() error {
		return h.store.Edit(h.w.ctx, id, func(record.Kind, []record.Field) ([]record.Field, error) { return p.fields, nil }, keys...)
	})
}

func (h *handset) set(n, m int) error {
	kind, _ := recordOf(n)
	return h.edit(n, func(p *pending) {
		for i, key := range kindKeys[kind] {
			if i != m%4 && (m < 40 || i != m/4%4) {
				continue
			}
			f := fieldOf(key, h.w.valueFor(key))
			if at := slices.IndexFunc(p.fields, func(o record.Field) bool { return o.Key == key }); at >= 0 {
				p.fields[at] = f
			} else {
				p.fields = append(p.fields, f)
			}
		}
	})
}

func (h *handset) unset(n, m int) error {
	kind, _ := recordOf(n)
	key := kindKeys[kind][1+m%3]
	return h.edit(n, func(p *pending) {
		p.fields = slices.DeleteFunc(p.fields, func(f record.Field) bool { return f.Key == key })
	})
}

func (h *handset) resolve(n, m int) error {
	kind, _ := recordOf(n)
	return h.edit(n, func(*pending) {}, kindKeys[kind][m%4])
}

func (h *handset) remove(n int) error {
	_, id := recordOf(n)
	p, err := h.want(id)
	if err != nil || p == nil || p.deleted {
		return err
	}
	p.deleted = true
	return h.tries(id, p, func() error { return h.store.Delete(h.w.ctx, id) })
}

func (h *handset) undelete(n int) error {
	_, id := recordOf(n)
	p, err := h.want(id)
	if err != nil || p == nil || !p.deleted {
		return err
	}
	p.deleted = false
	purged := false
	err = h.tries(id, p, func() error {
		err := h.store.Undelete(h.w.ctx, id)
		if purged = errors.Is(err, localstore.ErrPurged); purged {
			p.deleted = true
			return nil
		}
		return err
	})
	if purged && err == nil {
		delete(h.pending, id)
		if len(p.fields) > 0 {
			return fmt.Errorf("%s is called purged and has fields", name(id))
		}
	}
	return err
}

func (h *handset) deleteAll(n int) error {
	for i := range recordsMax {
		if kind, _ := recordOf(i); n%4 == 0 || kind == record.Contacts {
			if err := h.remove(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// emptyAll takes most of the values from all contacts.
func (h *handset) emptyAll(n int) error {
	for i := range recordsMax {
		if kind, _ := recordOf(i); kind != record.Contacts || n%3 == 0 && i > 1 {
			continue
		}
		if err := h.edit(i, func(p *pending) { p.fields = p.fields[:min(1, len(p.fields))] }); err != nil {
			return err
		}
	}
	return nil
}

// viewColumns are those of the views for apps, by kind and field key.
var viewColumns = map[record.Kind]map[string]string{
	record.Contacts: {"FN": "name", "NOTE": "note", "ORG": "organisation", "TITLE": "job_title"},
	record.Notes:    {"SUMMARY": "title", "DESCRIPTION": "body"},
}

// sql edits or deletes a record as another program does: through a view, on a
// connection of its own, whatever goes on.
func (h *handset) sql(n, m int) error {
	kind, id := recordOf(n)
	columns := viewColumns[kind]
	p, err := h.want(id)
	if err != nil || columns == nil || p == nil || p.deleted {
		return err
	}
	key := slices.Sorted(maps.Keys(columns))[m%len(columns)]
	at := slices.IndexFunc(p.fields, func(f record.Field) bool { return f.Key == key })
	query := fmt.Sprintf("UPDATE %s SET %s = ? WHERE id = ?", kind, columns[key])
	args := []any{nil, id.String()}
	switch {
	case m%7 == 0:
		p.deleted = true
		query, args = fmt.Sprintf("DELETE FROM %s WHERE id = ?", kind), args[1:]
	case m%5 == 0 && key != "FN" && key != "SUMMARY":
		p.fields = slices.DeleteFunc(p.fields, func(f record.Field) bool { return f.Key == key })
	default:
		value := h.w.valueFor(key)
		args[0] = value
		if at >= 0 {
			p.fields[at] = fieldOf(key, value)
		} else {
			p.fields = append(p.fields, fieldOf(key, value))
		}
	}
	return h.tries(id, p, func() error { return h.app(query, args...) })
}

// app runs a statement as another program on the same database.
func (h *handset) app(query string, args ...any) error {
	db, err := sql.Open("sqlite", "file:"+h.path()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	_, err = db.Exec(query, args...)
	return errors.Join(err, db.Close())
}

// moment is a point in the history of a handset and what its records were then.
type moment struct {
	order int64
	docs  map[record.ID]*pending
}

// remember keeps the moment, for a rollback.
func (h *handset) remember() error {
	m := moment{docs: map[record.ID]*pending{}}
	err := h.each("SELECT coalesce(max(n), 0) FROM history", func(scan func(...any) error) error { return scan(&m.order) })
	for id := range h.rows.records {
		if err == nil {
			m.docs[id], err = h.want(id)
		}
	}
	h.moments = append(h.moments, m)
	return err
}

// rollback makes the records what they were at a moment that was kept.
func (h *handset) rollback(n, m int) error {
	if len(h.moments) == 0 {
		return nil
	}
	then := h.moments[n%len(h.moments)]
	kind, _ := recordOf(m)
	if m%3 == 0 {
		kind = ""
	}
	unknown := map[record.ID]bool{}
	var changed []record.ID
	o := localstore.RollbackOptions{To: localstore.Moment{Order: then.order}, Kind: kind, Release: m%2 == 0}
	_, err := h.store.Rollback(h.w.ctx, o, func(c localstore.RollbackChange) error {
		if c.What == localstore.RollbackUnknown {
			unknown[c.ID] = true
		} else {
			changed = append(changed, c.ID)
		}
		return nil
	})
	var early *localstore.HistoryError
	if errors.As(err, &early) || h.failing && err != nil {
		return h.look()
	}
	if err != nil {
		return err
	}
	h.w.counts["saw records rolled back"] += len(changed)
	for _, id := range changed {
		now, err := h.store.Get(h.w.ctx, id)
		if err != nil {
			return err
		}
		p := &pending{fields: now.Fields, deleted: now.Deleted, keys: map[string]bool{}, accepted: o.Release}
		was := then.docs[id]
		if was == nil && !p.deleted || was != nil && was.deleted != p.deleted || was != nil && !was.deleted && !was.same(p) {
			return fmt.Errorf("%s: rolled back, %s is not what it was", h.name, name(id))
		}
		h.pending[id], h.edited = p, true
	}
	return h.look()
}

// accept lets held losses go, and those in that came.
func (h *handset) accept() error {
	for id, p := range h.pending {
		if h.rows.records[id].hold == 1 {
			p.accepted = true
		}
	}
	if _, err := h.store.AcceptHeld(h.w.ctx, ""); err != nil {
		return h.refused(err)
	}
	h.accepting, h.edited = true, true
	defer func() { h.accepting = false }()
	return h.settled(news{})
}

// refused takes an error of the store, which is right only when its disk is full.
func (h *handset) refused(err error) error {
	if !h.failing {
		return err
	}
	h.w.counts["saw a refused edit"]++
	return h.look()
}

// reject undoes what is held.
func (h *handset) reject() error {
	before := h.rows.records
	h.edited = true
	if _, err := h.store.RejectHeld(h.w.ctx, ""); err != nil {
		return h.refused(err)
	}
	if err := h.look(); err != nil {
		return err
	}
	for id, r := range before {
		p := h.pending[id]
		if r.hold != 1 || p == nil {
			continue
		}
		if p.deleted {
			p.deleted = false
		} else if r.vid != nil {
			p.fields = display(r.kind, h.w.ledger.versions[*r.vid].version)
		}
		if !h.rows.records[id].dirty {
			delete(h.pending, id)
		}
	}
	return nil
}
