package localstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"sidekeep/localstore/record"
)

// VerifyReport is what Verify found. The store is sound if Damage is empty.
type VerifyReport struct {
	Records int
	Chunks  int
	Missing int      // chunks that are referred to and not here yet: not damage
	Damage  []string // what is wrong and where; never a person's values
	// Lost are records that a damaged database held, before Salvage, and that
	// are not here, or not with their last edit; Incomplete those of which pieces
	// are not here.
	Lost       []Lost
	Incomplete []Incomplete
}

// Incomplete is a record of which pieces of large values are not here.
type Incomplete struct {
	ID      record.ID
	Kind    record.Kind
	Missing int
}

// damageMax is how many lines of damage a report lists.
const damageMax = 1000

func (v *VerifyReport) damage(format string, args ...any) {
	if len(v.Damage) < damageMax {
		v.Damage = append(v.Damage, fmt.Sprintf(format, args...))
	}
}

// Verify checks everything: SQLite's own integrity, the schema, every version
// id, every chunk hash, every digest, and that lists and references agree with
// the records. progress (may be nil) is called with the part that is done, 0 to 1.
func (s *Store) Verify(ctx context.Context, progress func(float64)) (VerifyReport, error) {
	if progress == nil {
		progress = func(float64) {}
	}
	var report VerifyReport
	want, err := wantedObjects()
	if err == nil {
		err = s.read(ctx, func(c *session) error {
			v := verifier{ctx, s, c, &report}
			if err := v.file(want); err != nil {
				return err
			}
			progress(0.2)
			return v.records(func(part float64) { progress(0.2 + part*0.5) })
		})
	}
	if err == nil {
		err = s.verifyChunks(ctx, &report, func(part float64) { progress(0.7 + part*0.3) })
	}
	if err != nil {
		return report, fmt.Errorf("verify: %w", err)
	}
	progress(1)
	return report, nil
}

type verifier struct {
	ctx    context.Context
	s      *Store
	c      *session
	report *VerifyReport
}

// file checks what SQLite can check, and the schema.
func (v *verifier) file(want []object) error {
	err := v.c.each(func(scan func(...any) error) error {
		var line string
		if err := scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			v.report.damage("sqlite: %s", line)
		}
		return nil
	}, "PRAGMA integrity_check")
	if err != nil {
		return err
	}
	have, err := schemaObjects(v.c)
	if err != nil {
		return err
	}
	if !sameObjects(want, have) {
		v.report.damage("schema: another program changed it")
	}
	return nil
}

// records checks every record and what is derived from them, in one snapshot.
func (v *verifier) records(progress func(float64)) error {
	total, err := v.c.count("SELECT count(*) FROM record")
	if err != nil {
		return err
	}
	last := int64(-1)
	for {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		rows, err := v.c.rowsOf("WHERE r.n > ? ORDER BY r.n LIMIT ?", last, absorbMax)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			if err := v.record(r); err != nil {
				return err
			}
		}
		last = rows[len(rows)-1].n
		v.report.Records += len(rows)
		progress(float64(v.report.Records) / float64(max(total, 1)))
	}
	if err := v.digests(); err != nil {
		return err
	}
	if err := v.history(); err != nil {
		return err
	}
	if err := v.witnesses(); err != nil {
		return err
	}
	return v.lists()
}

// witnesses checks the statements of devices, and that none dominates another.
func (v *verifier) witnesses() error {
	rows, err := v.c.witnessRows()
	if err != nil {
		return err
	}
	for i := range rows {
		if err := v.s.decodeWitness(&rows[i]); err != nil {
			v.report.damage("%v", err)
			return nil
		}
	}
	for i := range rows {
		for j := range rows {
			if rows[i].id == rows[j].id && rows[i].v.Vector.Dominates(rows[j].v.Vector) {
				v.report.damage("a statement of what was seen is kept beside a newer one")
			}
		}
	}
	return nil
}

// history checks that each document that is kept can be read.
func (v *verifier) history() error {
	return v.c.each(func(scan func(...any) error) error {
		var kind, id, doc string
		var par sql.NullString
		var d document
		if err := scan(&kind, &id, &doc, &par, &d.raw); err != nil {
			return err
		}
		d.doc, d.par = doc, par.String
		d.sanitise()
		if _, err := d.lines(record.Kind(kind)); err != nil {
			v.report.damage("record %s: an earlier state of it: %v", id, err)
		}
		return nil
	}, "SELECT r.kind, r.id, h.doc, h.par, h.raw FROM history h JOIN record r ON r.n = h.record WHERE h.doc IS NOT NULL")
}

func (v *verifier) record(r *row) error {
	version, _, _, err := v.s.version(r)
	if err != nil {
		v.report.damage("%v", err)
		return nil
	}
	var held []record.ChunkID
	if r.held != nil {
		h, err := v.s.heldVersion(r)
		if err != nil {
			v.report.damage("%v", err)
			return nil
		}
		if r.held.over != h.Vector.Dominates(version.Vector) {
			v.report.damage("record %s: it is counted wrongly beside what is held of it", r.id)
		}
		held = h.Chunks()
	}
	fields, err := r.fields(r.kind)
	if err != nil {
		v.report.damage("record %s: %v", r.id, err)
		return nil
	}
	if !r.dirty && r.deleted != version.Dead() {
		v.report.damage("record %s: its deletion mark is not that of its version", r.id)
	}
	if !r.dirty && !sameFields(fields, shown(r.kind, version)) {
		v.report.damage("record %s: its document is not what its version shows", r.id)
	}
	if r.queued && r.vid == nil {
		v.report.damage("record %s: it is in the outbox without a version", r.id)
	}
	past, err := v.c.historyChunks(r.n)
	if err != nil {
		return err
	}
	chunks := slices.Concat(version.Chunks(), chunksOf(fields), held, past)
	for _, id := range chunks {
		n, err := v.c.count("SELECT count(*) FROM chunk_ref f JOIN chunk c ON c.n = f.chunk WHERE f.record = ? AND c.id = ?", r.n, id[:])
		if err != nil {
			return err
		}
		if n == 0 {
			v.report.damage("record %s: it has no reference to chunk %s", r.id, id)
		}
	}
	return nil
}

func (v *verifier) digests() error {
	kinds, err := v.c.kinds()
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		kept, err := v.c.digest(kind)
		if err != nil {
			return err
		}
		counted, err := v.c.countDigest(kind)
		if err != nil {
			return err
		}
		if !kept.Equal(counted) {
			v.report.damage("digest of %s: kept %d %s, its records give %d %s", kind, kept.Count, kept, counted.Count, counted)
		}
	}
	return nil
}

func (v *verifier) lists() error {
	for _, q := range []struct{ what, query string }{
		{"changed records that are not there", "SELECT count(*) FROM dirty WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = dirty.n)"},
		{"held deletions of records that are not there", "SELECT count(*) FROM held WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = held.n AND record.id = held.id AND record.kind = held.kind)"},
		{"outbox entries without a record", "SELECT count(*) FROM outbox WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = outbox.n)"},
		{"earlier states of records that are not there", "SELECT count(*) FROM history WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = history.record)"},
		{"references of records that are not there", "SELECT count(*) FROM chunk_ref WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.n = chunk_ref.record)"},
		{"references to chunks that are not known", "SELECT count(*) FROM chunk_ref WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.n = chunk_ref.chunk)"},
		{"chunks whose bytes and entry do not agree", "SELECT count(*) FROM chunk c LEFT JOIN chunk_data d ON d.n = c.n WHERE (c.size IS NULL) <> (d.n IS NULL) OR c.size <> length(d.data)"},
		{"rows left for erasing", "SELECT count(*) FROM erase"},
	} {
		n, err := v.c.count(q.query)
		if err != nil {
			return err
		}
		if n > 0 {
			v.report.damage("%d %s", n, q.what)
		}
	}
	var err error
	if v.report.Missing, err = v.c.count("SELECT count(*) FROM chunk WHERE size IS NULL AND EXISTS (SELECT 1 FROM chunk_ref WHERE chunk_ref.chunk = chunk.n)"); err != nil {
		return err
	}
	if v.report.Lost, err = v.c.lost(); err != nil || v.report.Missing == 0 {
		return err
	}
	return v.c.each(func(scan func(...any) error) error {
		var in Incomplete
		var id string
		if err := scan(&id, &in.Kind, &in.Missing); err != nil {
			return err
		}
		if in.ID, err = record.ParseID(id); err != nil {
			return fmt.Errorf("record: %w: %w", ErrDamaged, err)
		}
		v.report.Incomplete = append(v.report.Incomplete, in)
		return nil
	}, `SELECT r.id, r.kind, count(*) FROM chunk c JOIN chunk_ref f ON f.chunk = c.n JOIN record r ON r.n = f.record
 WHERE c.size IS NULL GROUP BY r.n ORDER BY r.kind, r.id`)
}

// chunksAtOnce is how many chunks one read transaction of Verify takes.
const chunksAtOnce = 32

func (s *Store) verifyChunks(ctx context.Context, report *VerifyReport, progress func(float64)) error {
	type piece struct {
		n    int64
		id   record.ChunkID
		data []byte
	}
	last, total := int64(-1), 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var pieces []piece
		err := s.read(ctx, func(c *session) (err error) {
			if total == 0 {
				if total, err = c.count("SELECT count(*) FROM chunk_data"); err != nil {
					return err
				}
			}
			return c.each(func(scan func(...any) error) error {
				var p piece
				var id []byte
				if err := scan(&p.n, &id, &p.data); err != nil {
					return err
				}
				copy(p.id[:], id)
				pieces = append(pieces, p)
				return nil
			}, "SELECT c.n, c.id, d.data FROM chunk_data d JOIN chunk c ON c.n = d.n WHERE d.n > ? ORDER BY d.n LIMIT ?", last, chunksAtOnce)
		})
		if err != nil {
			return err
		}
		for p := range slices.Values(pieces) {
			last = p.n
			report.Chunks++
			if s.hash.ChunkID(p.data) != p.id {
				report.damage("chunk %s: its bytes do not have this id", p.id)
			}
		}
		progress(float64(report.Chunks) / float64(max(total, 1)))
		if len(pieces) < chunksAtOnce {
			return nil
		}
	}
}
