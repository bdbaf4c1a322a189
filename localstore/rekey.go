package localstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"sidekeep/localstore/record"
)

// Rekeyed counts what Rekey brought over.
type Rekeyed struct {
	Records int `json:"records"`
	Edited  int `json:"edited"` // of these, with changes that were not synced
	Chunks  int `json:"chunks"`
	Missing int `json:"missing"` // pieces that were not here: their records keep naming them
	Left    int `json:"left"`    // records that were left to come from the cloud
}

var (
	// ErrUndecided is returned by Rekey while a mass deletion waits for a person,
	// or a damaged record for the cloud's word.
	ErrUndecided = errors.New("something here waits for a decision")
	// ErrIncomplete is returned by Rekey when pieces of large values are not here.
	ErrIncomplete = errors.New("pieces of pictures are not here")
)

// RekeyOptions say what Rekey does.
type RekeyOptions struct {
	Store Options // of the new database: its Hasher has the new keys
	// Missing lets records go over of which pieces are not here. They keep the old
	// ids of those pieces.
	Missing bool
	// Leave lets such records out, if the cloud had them as they are here: another
	// device brings them under the new keys.
	Leave bool
	// Commit makes the new database the one that counts. Nobody writes to this one
	// while it runs, and nobody can afterwards.
	Commit func() error
}

// Rekey writes everything that is here into a new database in folder dir, under
// other keys: the same records with the same ids, dots and vectors, so that two
// devices which do it have the same versions. Ids of versions and pieces are
// those of the new keys. The new database has no replica id, has proven nothing
// to a cloud, and no history. It is proven whole before Commit is called; when
// that fails, or anything before it, this database is as it was. Nothing may be
// synced meanwhile.
func (s *Store) Rekey(ctx context.Context, dir string, o RekeyOptions) (Rekeyed, error) {
	var report Rekeyed
	err := s.write(ctx, false, func(t *tx) error {
		r := &rekeyer{ctx: ctx, old: t, o: o, chunks: map[record.ChunkID]record.ChunkID{}, report: &report}
		if err := r.fill(dir); err != nil {
			return err
		}
		// Programs that have this file open must not go on writing into it.
		for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			if err := t.exec("CREATE TRIGGER replaced_" + event + " BEFORE " + event + ` ON record
 BEGIN SELECT RAISE(ABORT, 'this database was replaced: close it and open it again'); END`); err != nil {
				return err
			}
		}
		return o.Commit()
	})
	if err != nil {
		return report, fmt.Errorf("rekey: %w", err)
	}
	return report, nil
}

// rekeyer brings the rows of one database into another.
type rekeyer struct {
	ctx    context.Context
	old    *tx
	new    *Store
	o      RekeyOptions
	chunks map[record.ChunkID]record.ChunkID // of all pieces that are here: old id to new
	report *Rekeyed
}

// rekeyBatch is how many rows are read, and committed, at once.
const rekeyBatch = 200

func (r *rekeyer) fill(dir string) (err error) {
	if err := r.decided(); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if r.new, err = Open(r.ctx, dir, r.o.Store); err != nil {
		return err
	}
	defer func() {
		if e := r.new.Close(); err == nil {
			err = e
		}
	}()
	for _, step := range []func() error{r.nameChunks, r.records, r.moveChunks, r.finish, r.prove} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// decided returns ErrUndecided if a person has something to decide first.
func (r *rekeyer) decided() error {
	held, err := r.old.count("SELECT (SELECT count(*) FROM held) + (SELECT count(*) FROM dirty WHERE hold = 1)")
	if err != nil {
		return err
	}
	lost, err := r.old.lost()
	if err != nil {
		return err
	}
	for i := range lost {
		if lost[i].Copy != nil && !lost[i].Back {
			held++
		}
	}
	if held > 0 {
		return ErrUndecided
	}
	return nil
}

// eachChunk visits all pieces that are here.
func (r *rekeyer) eachChunk(visit func(id record.ChunkID, data []byte) error) error {
	return r.old.each(func(scan func(...any) error) error {
		var b, data []byte
		if err := scan(&b, &data); err != nil {
			return err
		}
		var id record.ChunkID
		copy(id[:], b)
		return errors.Join(visit(id, data), r.ctx.Err())
	}, "SELECT chunk.id, chunk_data.data FROM chunk JOIN chunk_data ON chunk_data.n = chunk.n ORDER BY chunk.n")
}

func (r *rekeyer) nameChunks() error {
	return r.eachChunk(func(id record.ChunkID, data []byte) error {
		if r.old.s.hash.ChunkID(data) != id {
			return fmt.Errorf("a piece of a large value: %w", ErrDamaged)
		}
		r.chunks[id] = r.new.hash.ChunkID(data)
		return nil
	})
}

// blob gives b under the new keys, and how many of its pieces are not here.
func (r *rekeyer) blob(b *record.Blob) (*record.Blob, int) {
	if b == nil {
		return nil, 0
	}
	missing := 0
	out := &record.Blob{Size: b.Size, Chunks: make([]record.ChunkID, len(b.Chunks))}
	for i, id := range b.Chunks {
		fresh, here := r.chunks[id]
		if !here {
			fresh = id
			missing++
		}
		out.Chunks[i] = fresh
	}
	return out, missing
}

func (r *rekeyer) fields(fields []record.Field) ([]record.Field, int) {
	missing := 0
	out := append([]record.Field(nil), fields...)
	for i := range out {
		var n int
		out[i].Blob, n = r.blob(out[i].Blob)
		missing += n
	}
	return out, missing
}

func (r *rekeyer) version(v *record.Version) (*record.Version, int) {
	missing := 0
	out := v.Clone()
	for _, entries := range out.Fields {
		for i := range entries {
			var n int
			entries[i].Blob, n = r.blob(entries[i].Blob)
			missing += n
		}
	}
	return out, missing
}

func (r *rekeyer) records() error {
	for after := int64(0); ; {
		rows, err := r.old.rowsOf("WHERE r.n > ? ORDER BY r.n LIMIT ?", after, rekeyBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		err = r.new.write(r.ctx, true, func(t *tx) error {
			for _, row := range rows {
				if err := r.record(t, row); err != nil {
					return err
				}
			}
			return r.ctx.Err()
		})
		if err != nil {
			return err
		}
		after = rows[len(rows)-1].n
	}
}

func (r *rekeyer) record(t *tx, from *row) error {
	v, _, _, err := r.old.s.version(from)
	if err != nil {
		return err
	}
	fields, err := from.document.fields(from.kind)
	if err != nil {
		return &damagedError{row: from, err: err}
	}
	fields, lacking := r.fields(fields)
	version, missing := r.version(v)
	missing = max(missing, lacking)
	switch {
	case missing > 0 && r.o.Leave && !from.dirty && !from.queued:
		r.report.Left++
		return nil
	case missing > 0 && !r.o.Missing && !r.o.Leave:
		return ErrIncomplete
	}
	r.report.Missing += missing
	r.report.Records++
	to := &row{id: from.id, kind: from.kind}
	if from.vid != nil {
		encoded, err := record.Encode(version)
		if err != nil {
			return err
		}
		t.receive(version.Vector)
		if err := t.versioned(to, version, r.new.hash.VersionID(to.kind, to.id, encoded)); err != nil {
			return err
		}
	}
	if !from.dirty {
		return nil
	}
	r.report.Edited++
	if err := t.edited(to, fields, from.deleted); err != nil {
		return err
	}
	var keys any
	if from.keys != nil {
		b, err := json.Marshal(from.keys)
		if err != nil {
			return err
		}
		keys = string(b)
	}
	return t.exec("UPDATE dirty SET keys = ?, hold = ? WHERE n = ?", keys, from.hold, to.n)
}

// moveChunks brings over the pieces that records refer to.
func (r *rekeyer) moveChunks() error {
	return r.eachChunk(func(id record.ChunkID, data []byte) error {
		return r.new.write(r.ctx, true, func(t *tx) error {
			var n int64
			fresh := r.chunks[id]
			found, err := t.one([]any{&n}, "SELECT n FROM chunk WHERE id = ? AND size IS NULL", fresh[:])
			if err != nil || !found {
				return err
			}
			r.report.Chunks++
			return t.putChunk(n, data, false)
		})
	})
}

// finish brings over what is not about single records. The epoch is one that no
// cloud has: this device may give the data to a cloud that does not know it, and
// which never had them.
func (r *rekeyer) finish() error {
	ran, err := r.old.metaInt(metaRan)
	if err != nil {
		return err
	}
	return r.new.write(r.ctx, false, func(t *tx) error {
		var epoch Epoch
		if err := t.s.random(epoch[:]); err != nil {
			return err
		}
		err := r.old.each(func(scan func(...any) error) error {
			var id string
			var hash []byte
			if err := scan(&id, &hash); err != nil {
				return err
			}
			return t.exec("INSERT INTO imported (id, hash) VALUES (?, ?)", id, hash)
		}, "SELECT id, hash FROM imported")
		lost, lerr := r.old.lost()
		err = errors.Join(err, lerr)
		for i := range lost {
			lost[i].Copy = nil // of one that is here; see decided
			err = errors.Join(err, t.setLost(&lost[i]))
		}
		return errors.Join(err, t.setMeta(metaEpoch, epoch[:]), t.setMeta(metaRan, ran),
			t.exec("INSERT INTO meta (key, value) SELECT DISTINCT ? || kind, 1 FROM record", metaUnasked))
	})
}

// prove checks all of the new database, and that it holds as many records.
func (r *rekeyer) prove() error {
	report, err := r.new.Verify(r.ctx, nil)
	if err != nil {
		return err
	}
	if len(report.Damage) > 0 {
		return fmt.Errorf("the new database is not right: %s", report.Damage[0])
	}
	const counts = "SELECT count(*) FROM record"
	old, err := r.old.count(counts)
	if err != nil {
		return err
	}
	return r.new.read(r.ctx, func(c *session) error {
		fresh, err := c.count(counts)
		if err == nil && fresh+r.report.Left != old {
			err = fmt.Errorf("the new database has %d records and %d were left out, of %d", fresh, r.report.Left, old)
		}
		return err
	})
}
