package localstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"sidekeep/localstore/record"
)

// addRefs notes that a row refers to chunks, beside those it refers to already.
func (t *tx) addRefs(n int64, ids []record.ChunkID) error {
	for i := range ids {
		chunk, err := t.chunkRow(ids[i])
		if err != nil {
			return err
		}
		err = t.exec("INSERT INTO chunk_ref (record, chunk) VALUES (?, ?) ON CONFLICT DO NOTHING", n, chunk)
		if err != nil {
			return fmt.Errorf("refer to chunk: %w", err)
		}
	}
	return nil
}

// setRefs makes a row refer to exactly these chunks, and those of its history.
func (t *tx) setRefs(n int64, ids []record.ChunkID) error {
	had, err := t.count("SELECT count(*) FROM chunk_ref WHERE record = ?", n)
	if err != nil {
		return err
	}
	if had > 0 {
		past, err := t.historyChunks(n)
		if err != nil {
			return err
		}
		ids = slices.Concat(ids, past)
		if err := t.exec("DELETE FROM chunk_ref WHERE record = ?", n); err != nil {
			return err
		}
	}
	return t.addRefs(n, ids)
}

// chunkRow returns the row number of a chunk, which is made if it is unknown.
func (t *tx) chunkRow(id record.ChunkID) (int64, error) {
	var n int64
	found, err := t.one([]any{&n}, "SELECT n FROM chunk WHERE id = ?", id[:])
	if err != nil || found {
		return n, err
	}
	return t.insert("INSERT INTO chunk (id) VALUES (?)", id[:])
}

// putChunk stores the bytes of a chunk unless they are here, and notes that the
// cloud has it if sent. They were verified.
func (t *tx) putChunk(n int64, data []byte, sent bool) error {
	here, err := t.count("SELECT count(*) FROM chunk_data WHERE n = ?", n)
	if err != nil || here > 0 && !sent {
		return err
	}
	if here == 0 {
		if err := t.exec("INSERT INTO chunk_data (n, data) VALUES (?, ?)", n, data); err != nil {
			return err
		}
	}
	return t.exec("UPDATE chunk SET size = ?, sent = iif(?, 1, sent) WHERE n = ?", len(data), sent, n)
}

// MissingChunks returns chunks that records refer to and that are not here, at most max.
func (s *Store) MissingChunks(ctx context.Context, max int) (ids []record.ChunkID, err error) {
	err = s.read(ctx, func(c *session) error {
		ids, err = c.chunkIDs("SELECT id FROM chunk WHERE size IS NULL AND EXISTS (SELECT 1 FROM chunk_ref WHERE chunk = chunk.n) ORDER BY n LIMIT ?", max)
		return err
	})
	return ids, err
}

// UnsentChunks returns chunks of minted records that are here and that the
// cloud has not acknowledged, or that it is asked about again, in order of their
// ids, beginning after the given one (zero: the start), at most max.
func (s *Store) UnsentChunks(ctx context.Context, after record.ChunkID, max int) (ids []record.ChunkID, err error) {
	err = s.read(ctx, func(c *session) error {
		ids, err = c.chunkIDs(`SELECT id FROM chunk INDEXED BY chunk_unsent WHERE sent <> 1 AND size IS NOT NULL AND id > ?
 AND EXISTS (SELECT 1 FROM chunk_ref JOIN record ON record.n = chunk_ref.record WHERE chunk_ref.chunk = chunk.n AND record.vid IS NOT NULL) ORDER BY id LIMIT ?`, after[:], max)
		return err
	})
	return ids, err
}

func (c *session) chunkIDs(query string, args ...any) ([]record.ChunkID, error) {
	var ids []record.ChunkID
	err := c.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		var id record.ChunkID
		copy(id[:], b)
		ids = append(ids, id)
		return nil
	}, query, args...)
	return ids, err
}

// PutChunks stores chunks, whose ids were found from their bytes, in one
// transaction. Chunks that nothing refers to are ignored; one that is empty or too
// large gives ErrChunk and nothing is stored.
func (s *Store) PutChunks(ctx context.Context, chunks []Chunk) error {
	err := s.write(ctx, false, func(t *tx) error {
		for i := range chunks {
			if n := len(chunks[i].Data); n == 0 || n > ChunkBytes {
				return fmt.Errorf("chunk %s: %w", chunks[i].ID, ErrChunk)
			}
			var n int64
			found, err := t.one([]any{&n}, "SELECT n FROM chunk WHERE id = ?", chunks[i].ID[:])
			if err == nil && found {
				err = t.putChunk(n, chunks[i].Data, true) // it came from there
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put chunks: %w", err)
	}
	return nil
}

// Chunk returns the verified bytes of a chunk, or ErrChunk.
func (s *Store) Chunk(ctx context.Context, id record.ChunkID) (data []byte, err error) {
	err = s.EachChunk(ctx, []record.ChunkID{id}, func(_ record.ChunkID, b []byte) error {
		if b == nil {
			return fmt.Errorf("read chunk %s: %w", id, ErrChunk)
		}
		data = bytes.Clone(b)
		return nil
	})
	return data, err
}

// EachChunk calls visit with the verified bytes of each of these chunks, in their
// order; with nil for one that is not here or damaged. The bytes are good until
// visit returns.
func (s *Store) EachChunk(ctx context.Context, ids []record.ChunkID, visit func(id record.ChunkID, data []byte) error) error {
	return s.read(ctx, func(c *session) error {
		for _, id := range ids {
			found := false
			err := c.each(func(scan func(...any) error) error {
				var data sql.RawBytes
				if err := scan(&data); err != nil {
					return err
				}
				if s.hash.ChunkID(data) != id {
					return nil
				}
				found = true
				return visit(id, data)
			}, "SELECT d.data FROM chunk c JOIN chunk_data d ON d.n = c.n WHERE c.id = ?", id[:])
			if err == nil && !found {
				err = visit(id, nil)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// ChunksAcked notes that the cloud has these chunks. Not synced to flash.
func (s *Store) ChunksAcked(ctx context.Context, ids []record.ChunkID) error {
	err := s.write(ctx, true, func(t *tx) error {
		for i := range ids {
			if err := t.exec("UPDATE chunk SET sent = 1 WHERE id = ?", ids[i][:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note acknowledged chunks: %w", err)
	}
	return nil
}

// ChunksLost notes that the cloud does not hold these chunks, so that those that
// are here are offered again. It returns which of these the cloud had
// acknowledged and a current version refers to: what only the history needs it
// may drop. Not synced to flash: the cloud says so again.
func (s *Store) ChunksLost(ctx context.Context, ids []record.ChunkID) (had []record.ChunkID, err error) {
	err = s.write(ctx, true, func(t *tx) error {
		had = nil
		current := map[int64][]record.ChunkID{} // by row
		for _, id := range ids {
			n, err := t.execCount("UPDATE chunk SET sent = 0 WHERE id = ? AND sent <> 0", id[:])
			needed := false
			if err == nil && n > 0 {
				needed, err = t.inVersion(id, current)
			}
			if err != nil {
				return err
			}
			if needed {
				had = append(had, id)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("note lost chunks: %w", err)
	}
	return had, nil
}

// inVersion reports whether a chunk belongs to the version of some record.
// current keeps what was read for it.
func (t *tx) inVersion(id record.ChunkID, current map[int64][]record.ChunkID) (bool, error) {
	rows, err := t.rowsOf("WHERE r.n IN (SELECT f.record FROM chunk_ref f JOIN chunk c ON c.n = f.chunk WHERE c.id = ?)", id[:])
	if err != nil {
		return false, err
	}
	for _, r := range rows {
		chunks, known := current[r.n]
		if !known && r.vid != nil {
			v, _, _, err := t.s.version(r)
			if err != nil && !errors.Is(err, ErrDamaged) {
				return false, err
			}
			if err == nil {
				chunks = v.Chunks()
			}
			current[r.n] = chunks
		}
		if slices.Contains(chunks, id) {
			return true, nil
		}
	}
	return false, nil
}

// dropChunks removes, at most max, chunks that nothing refers to.
func (t *tx) dropChunks(max int) error {
	return errors.Join(
		t.exec("DELETE FROM chunk_data WHERE n IN (SELECT n FROM chunk WHERE NOT EXISTS (SELECT 1 FROM chunk_ref WHERE chunk = chunk.n) ORDER BY n LIMIT ?)", max),
		t.exec("DELETE FROM chunk WHERE NOT EXISTS (SELECT 1 FROM chunk_ref WHERE chunk = chunk.n) AND NOT EXISTS (SELECT 1 FROM chunk_data WHERE chunk_data.n = chunk.n)"))
}
