package localstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// Get returns a record, living or deleted, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id record.ID) (rec Record, err error) {
	err = s.read(ctx, func(c *session) error {
		r, err := c.rowByID(id)
		if err != nil {
			return err
		}
		if r == nil {
			return ErrNotFound
		}
		rec, err = s.record(r)
		return err
	})
	if err != nil {
		return Record{}, fmt.Errorf("get record %s: %w", id, err)
	}
	return rec, nil
}

// record makes a Record of a row.
func (s *Store) record(r *row) (Record, error) {
	lines, err := r.document.lines(r.kind)
	if err != nil {
		return Record{}, fmt.Errorf("record %s: %w", r.id, err)
	}
	rec := Record{
		ID: r.id, Kind: r.kind, Deleted: r.deleted,
		Synced: r.vid != nil && !r.dirty && !r.queued && r.held == nil,
		Held:   r.waits(),
		Fields: make([]record.Field, len(lines)),
		Values: make(map[string]any, len(lines)),
	}
	for i := range lines {
		rec.Fields[i] = lines[i].Field
		rec.Values[lines[i].Key] = lines[i].value
	}
	rec.Title = pim.TitleOf(r.kind, rec.Fields)
	if r.vid == nil || r.conflicts == 0 {
		return rec, nil
	}
	v, _, _, err := s.version(r)
	if errors.Is(err, ErrDamaged) {
		return rec, nil // the document is there; verify reports the rest
	} else if err != nil {
		return Record{}, err
	}
	rec.Conflicts = s.conflicts(r, v, rec.Fields)
	return rec, nil
}

// conflicts gives the conflicts of a row's version, but for keys that were
// written since.
func (s *Store) conflicts(r *row, v *record.Version, fields []record.Field) []Conflict {
	base := shown(r.kind, v)
	var list []Conflict
	for _, k := range conflictKeys(r.kind, v, base) {
		if r.dirty && (!sameFields(keyOf(base, k), keyOf(fields, k)) || contains(r.keys, k)) {
			continue
		}
		list = append(list, Conflict{k, siblings(r.kind, v, k, base)})
	}
	return list
}

func keyOf(fields []record.Field, key string) []record.Field {
	for i := range fields {
		if fields[i].Key == key {
			return fields[i : i+1]
		}
	}
	return nil
}

func contains(keys []string, key string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// Find returns the ids that begin with the given hex digits, at most limit.
func (s *Store) Find(ctx context.Context, prefix string, limit int) (ids []record.ID, err error) {
	prefix = strings.ToLower(prefix)
	if strings.Trim(prefix, "0123456789abcdef") != "" {
		return nil, nil
	}
	err = s.read(ctx, func(c *session) error {
		return c.each(func(scan func(...any) error) error {
			var text string
			if err := scan(&text); err != nil {
				return err
			}
			id, err := record.ParseID(text)
			ids = append(ids, id)
			return err
		}, "SELECT id FROM record WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id LIMIT ?2", prefix, limit)
	})
	return ids, err
}

// ListOptions choose what List gives. The zero value gives all living records.
type ListOptions struct {
	Deleted bool // the trash instead of the living; purged records are left out
	Limit   int  // 0: all
}

// pageRecords is how many records one read transaction of an iterator takes.
const pageRecords = 256

// List gives the records of a kind in the order of their sort keys. It reads in
// short transactions, so that a slow caller blocks nobody; an error ends it.
// What other programs wrote just now is put in its place first.
func (s *Store) List(ctx context.Context, kind record.Kind, o ListOptions) iter.Seq2[Record, error] {
	if err := s.absorb(ctx); err != nil {
		return func(yield func(Record, error) bool) { yield(Record{}, fmt.Errorf("list records: %w", err)) }
	}
	sort, id := "", ""
	return s.pages(ctx, o.Limit, func(c *session, size int) ([]*row, error) {
		rows, err := c.rowsOf(listQuery, string(kind), o.Deleted, sort, id, size)
		if err != nil || len(rows) == 0 {
			return rows, err
		}
		_, err = c.one([]any{&sort, &id}, "SELECT coalesce(sort, ''), id FROM record WHERE n = ?", rows[len(rows)-1].n)
		return rows, err
	})
}

// listQuery pages through index record_list. Records with one sort key stand in
// the order of their ids, so that all devices list and export alike. Purged
// records have no fields.
const listQuery = `WHERE r.kind = ?1 AND r.deleted = ?2 AND (r.sort, r.id) > (?3, ?4) AND (r.deleted = 0 OR r.doc <> '{}')
 ORDER BY r.sort, r.id LIMIT ?5`

// Conflicts gives the living records that have keys in conflict.
func (s *Store) Conflicts(ctx context.Context) iter.Seq2[Record, error] {
	return s.byNumber(ctx, "WHERE r.conflicts > 0 AND r.deleted = 0 AND r.n > ?1 ORDER BY r.n LIMIT ?2", func(rec *Record) bool { return len(rec.Conflicts) > 0 })
}

// Held gives the records of mass deletions, outgoing and incoming, that wait
// for a person. A record whose deletion came is given as it is here: living.
func (s *Store) Held(ctx context.Context) iter.Seq2[Record, error] {
	return s.byNumber(ctx, "WHERE (d.hold = 1 OR h.state = 1) AND r.n > ?1 ORDER BY r.n LIMIT ?2", nil)
}

func (s *Store) byNumber(ctx context.Context, where string, keep func(*Record) bool) iter.Seq2[Record, error] {
	n := int64(-1)
	list := s.pages(ctx, 0, func(c *session, size int) ([]*row, error) {
		rows, err := c.rowsOf(where, n, size)
		if len(rows) > 0 {
			n = rows[len(rows)-1].n
		}
		return rows, err
	})
	if keep == nil {
		return list
	}
	return func(yield func(Record, error) bool) {
		for rec, err := range list {
			if err == nil && !keep(&rec) {
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// pages gives the records of pages of at most size rows that next reads, until
// one is not full. A record that can not be read ends it.
func (s *Store) pages(ctx context.Context, limit int, next func(c *session, size int) ([]*row, error)) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		given, size := 0, pageRecords
		if limit > 0 {
			size = min(size, limit)
		}
		for {
			var page []Record
			more := false
			err := s.read(ctx, func(c *session) error {
				rows, err := next(c, size)
				if err != nil {
					return err
				}
				more = len(rows) == size
				for _, r := range rows {
					rec, err := s.record(r)
					if err != nil {
						return err
					}
					page = append(page, rec)
				}
				return nil
			})
			if err != nil {
				yield(Record{}, fmt.Errorf("list records: %w", err))
				return
			}
			for i := range page {
				if limit > 0 && given == limit {
					return
				}
				given++
				if !yield(page[i], nil) {
					return
				}
			}
			if !more || limit > 0 && given == limit {
				return
			}
		}
	}
}
