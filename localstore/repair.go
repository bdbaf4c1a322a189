package localstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"sidekeep/localstore/record"
)

// object is a row of sqlite_schema.
type object struct {
	kind, name, table, sql string
}

// schemaObjects reads the tables, indexes, views and triggers of a file. What
// SQLite makes by itself, and the tables inside the full text, are left out.
func schemaObjects(c *session) ([]object, error) {
	var list []object
	err := c.each(func(scan func(...any) error) error {
		var o object
		err := scan(&o.kind, &o.name, &o.table, &o.sql)
		list = append(list, o)
		return err
	}, `SELECT type, name, tbl_name, sql FROM sqlite_schema
 WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE 'fulltext\_%' ESCAPE '\'`)
	return list, err
}

// wantedObjects gives the objects of this program's format. They are constant,
// so they are computed once.
var wantedObjects = sync.OnceValues(func() ([]object, error) { return objectsOf(formatVersion) })

// schemaSum is the sum of the objects of this program's format. With it a file that
// nobody else changed is known without making its schema in memory, which takes
// nearly as long as all else of an opening.
const schemaSum = "6b8229102429d4659e86e6aedbe33cd6a107a3102c63ad8a23b7e8810b7e009f"

// sumOf is the SHA-256 of a list of objects, whatever their order.
func sumOf(list []object) string {
	list = slices.SortedFunc(slices.Values(list), func(a, b object) int {
		return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
	})
	h := sha256.New()
	for _, o := range list {
		for _, text := range []string{o.kind, o.name, o.table, o.sql} {
			h.Write(binary.AppendUvarint(nil, uint64(len(text))))
			io.WriteString(h, text)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// objectsOf gives the objects that the schema files of a format make, in an
// order in which they can be made.
func objectsOf(format int) ([]object, error) {
	schema, err := schemaSQL(0, format)
	if err != nil {
		return nil, err
	}
	db := openPool("file::memory:", 1, false)
	defer db.Close()
	c, err := newSession(background, db)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if _, err := c.conn.ExecContext(background, schema); err != nil {
		return nil, fmt.Errorf("schema files: %w", err)
	}
	return schemaObjects(c)
}

// checkSchema compares the schema with the one that belongs to this format,
// puts right what other programs changed, and reports it (SECURITY rule 11).
func (s *Store) checkSchema(ctx context.Context) error {
	for range 2 {
		var want []object
		sound := false
		if err := s.lock(ctx); err != nil {
			return err
		}
		have, err := schemaObjects(s.writer)
		if err == nil {
			if sound = sumOf(have) == schemaSum; !sound {
				want, err = wantedObjects()
				sound = err == nil && sameObjects(want, have)
			}
		}
		if sound {
			var v int
			v, err = s.writer.count("PRAGMA schema_version")
			s.schemaAt = int64(v)
		}
		s.unlock()
		if err != nil {
			return fmt.Errorf("check schema: %w", explain(err))
		}
		if sound {
			return nil
		}
		if err := s.write(ctx, false, func(t *tx) error { return t.repair(want) }); err != nil {
			return fmt.Errorf("repair schema: %w", err)
		}
	}
	return fmt.Errorf("repair schema: it does not stay as it should be: %w", ErrDamaged)
}

// sameObjects reports whether nothing that concerns this program differs.
func sameObjects(want, have []object) bool {
	for _, o := range want {
		if !slices.Contains(have, o) {
			return o.kind == "table" && tolerated(o, have) && sameObjects(without(want, o), have)
		}
	}
	return len(foreign(want, have)) == 0
}

func without(list []object, o object) []object {
	return slices.DeleteFunc(slices.Clone(list), func(x object) bool { return x == o })
}

// tolerated: a table of ours that a program altered, by adding a column, say.
// It can not be put right without rewriting it; what matters is that ours work.
func tolerated(o object, have []object) bool {
	return slices.ContainsFunc(have, func(h object) bool { return h.kind == o.kind && h.name == o.name })
}

// foreign gives the triggers and indexes that others put on our tables and views.
func foreign(want, have []object) []object {
	ours := map[string]bool{}
	for _, o := range want {
		if o.kind == "table" || o.kind == "view" {
			ours[strings.ToLower(o.name)] = true
		}
	}
	var list []object
	for _, o := range have {
		if (o.kind == "trigger" || o.kind == "index") && ours[strings.ToLower(o.table)] &&
			!slices.ContainsFunc(want, func(w object) bool { return w.kind == o.kind && w.name == o.name }) {
			list = append(list, o)
		}
	}
	return list
}

// repair makes the schema as wanted: foreign triggers and indexes go, missing
// and changed objects are made again.
func (t *tx) repair(want []object) error {
	have, err := schemaObjects(t.session)
	if err != nil {
		return err
	}
	var report []string
	for _, o := range foreign(want, have) {
		if err := t.drop(o); err != nil {
			return err
		}
		report = append(report, fmt.Sprintf("removed the foreign %s %s on %s", o.kind, o.name, o.table))
	}
	var tables []string // made again
	guards := false     // a trigger of table record was not there
	for _, o := range want {
		if slices.Contains(have, o) || o.kind == "table" && tolerated(o, have) {
			continue
		}
		if err := t.clear(o, have); err != nil {
			return err
		}
		if _, err := t.conn.ExecContext(background, o.sql); err != nil {
			return fmt.Errorf("make %s %s again: %w", o.kind, o.name, err)
		}
		if o.kind == "table" {
			tables = append(tables, o.name)
		}
		guards = guards || o.kind == "trigger" && o.table == "record"
		report = append(report, fmt.Sprintf("made the %s %s again", o.kind, o.name))
	}
	if err := t.refill(tables, guards); err != nil {
		return err
	}
	for _, line := range report {
		if err := t.problem("schema", "another program changed the database's schema: "+line, nil); err != nil {
			return err
		}
	}
	return nil
}

// clear makes room for an object. A program's table that took its name is
// renamed, since it may hold data; anything else goes.
func (t *tx) clear(o object, have []object) error {
	for _, h := range have {
		if !strings.EqualFold(h.name, o.name) {
			continue
		}
		if h.kind != "table" {
			if err := t.drop(h); err != nil {
				return err
			}
			continue
		}
		name := fmt.Sprintf("foreign_%s_%d", o.name, t.s.Now().Unix())
		if _, err := t.conn.ExecContext(background, fmt.Sprintf(`ALTER TABLE "%s" RENAME TO "%s"`, h.name, name)); err != nil {
			return fmt.Errorf("rename foreign table %s: %w", h.name, err)
		}
	}
	return nil
}

func (t *tx) drop(o object) error {
	_, err := t.conn.ExecContext(background, fmt.Sprintf(`DROP %s IF EXISTS "%s"`, strings.ToUpper(o.kind), strings.ReplaceAll(o.name, `"`, `""`)))
	if err != nil {
		return fmt.Errorf("drop %s %s: %w", o.kind, o.name, err)
	}
	return nil
}

// refill gives tables that were made again what can be known of their rows.
// Lost rows are damage, never deletions: the digests no longer match the
// cloud's, and reconcile brings the records back.
func (t *tx) refill(tables []string, guards bool) error {
	if slices.Contains(tables, "meta") {
		if err := errors.Join(t.setFormat(), t.setMeta(metaRan, 0)); err != nil {
			return err
		}
		// Places in the outbox go on after the highest one.
		var last int64
		if _, err := t.one([]any{&last}, "SELECT max(coalesce((SELECT max(ord) FROM outbox), 0), coalesce((SELECT max(ord) FROM held), 0))"); err != nil {
			return err
		}
		if err := t.setMeta(metaOrder, last); err != nil {
			return err
		}
	}
	if len(tables) == 0 && !guards {
		return nil
	}
	if err := t.restartHistory(has(tables, "history"), guards || has(tables, "record")); err != nil {
		return err
	}
	if err := t.problem("damage", "records may have been changed unseen; verify tells", nil); err != nil {
		return err
	}
	for _, q := range []string{
		"DELETE FROM dirty WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = dirty.n)",
		"DELETE FROM outbox WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = outbox.n AND vid IS NOT NULL)",
		"DELETE FROM held WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = held.n)",
		"DELETE FROM history WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = history.record)",
		"DELETE FROM stale WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = stale.n)",
		"DELETE FROM phone WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = phone.record)",
		"DELETE FROM chunk_ref WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = chunk_ref.record)",
		"INSERT INTO dirty (n, kind) SELECT n, kind FROM record WHERE vid IS NULL AND NOT EXISTS (SELECT 1 FROM dirty WHERE dirty.n = record.n)",
	} {
		if err := t.exec(q); err != nil {
			return err
		}
	}
	if has(tables, "stale", "phone", "fulltext") {
		if err := t.exec("INSERT INTO stale (n, columns) SELECT n, 1 FROM record WHERE true ON CONFLICT (n) DO UPDATE SET columns = 1"); err != nil {
			return err
		}
	}
	if has(tables, "chunk", "chunk_data") {
		if err := t.exec("UPDATE chunk SET size = NULL WHERE NOT EXISTS (SELECT 1 FROM chunk_data WHERE chunk_data.n = chunk.n)"); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM chunk_data WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.n = chunk_data.n)"); err != nil {
			return err
		}
	}
	return t.refillFromVersions(tables)
}

func has(list []string, any ...string) bool {
	return slices.ContainsFunc(any, func(s string) bool { return slices.Contains(list, s) })
}

// refillFromVersions reads every record: damaged ones become new versions, and
// references, received vectors, outbox and digests are derived again.
func (t *tx) refillFromVersions(tables []string) error {
	rows, err := t.rowsOf("ORDER BY r.n")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if h, err := t.heldOf(r); err != nil {
			return err
		} else if h != nil {
			if has(tables, "peer", "meta") {
				t.receive(h.Vector)
			}
			if has(tables, "chunk", "chunk_ref") {
				if err := t.addRefs(r.n, h.Chunks()); err != nil {
					return err
				}
			}
		}
		if r.vid == nil {
			continue
		}
		v, err := t.current(r)
		if errors.Is(err, ErrDamaged) { // changed while no trigger saw it
			if err := t.demote(r); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if has(tables, "peer", "meta") {
			t.receive(v.Vector)
		}
		if has(tables, "chunk", "chunk_ref") {
			fields, err := r.fields(r.kind)
			if err != nil {
				return err
			}
			past, err := t.historyChunks(r.n)
			if err != nil {
				return err
			}
			if err := t.addRefs(r.n, slices.Concat(v.Chunks(), chunksOf(fields), past)); err != nil {
				return err
			}
		}
		if has(tables, "outbox") && !r.queued {
			// Which were acknowledged is forgotten: a repeat costs little, and
			// their dots stay in a fork.
			var own record.ReplicaID
			if _, err := t.metaBytes(metaReplica, own[:]); err != nil {
				return err
			}
			if err := t.queue(r, v.Vector[own]); err != nil {
				return err
			}
		}
	}
	kinds, err := t.kinds()
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		d, err := t.digestOf(kind)
		if err != nil {
			return err
		}
		if *d, err = t.countDigest(kind); err != nil {
			return err
		}
	}
	return nil
}
