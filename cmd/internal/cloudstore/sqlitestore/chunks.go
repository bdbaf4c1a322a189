package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// chunks is a cloudstore.Chunks in the same file.
type chunks struct{ s *Store }

// Missing implements cloudstore.Chunks.
func (c chunks) Missing(ctx context.Context, account seal.Account, ids []record.ChunkID) ([]record.ChunkID, error) {
	if err := c.s.chunkRoom(ctx, account); err != nil {
		return nil, fmt.Errorf("look for chunks: %w", err)
	}
	missing := []record.ChunkID{}
	err := c.s.read(ctx, func(q snapshot) error {
		for _, id := range ids {
			var one int
			err := q.row("SELECT 1 FROM chunk WHERE account = ? AND chunk = ?", account[:], id[:]).Scan(&one)
			if errors.Is(err, sql.ErrNoRows) {
				missing = append(missing, id)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for chunks: %w", err)
	}
	return missing, nil
}

// Put implements cloudstore.Chunks.
func (c chunks) Put(ctx context.Context, account seal.Account, list []syncproto.CloudChunk) error {
	bytes := 0
	for i := range list {
		bytes += len(list[i].Header) + len(list[i].Body)
	}
	if err := c.s.chunkRoom(ctx, account); err != nil {
		return fmt.Errorf("store chunks: %w", err)
	}
	err := c.s.do(ctx, bytes, func(t *txn) error {
		// Like a repeated push, a repeated chunk must write before it is acknowledged.
		if _, err := t.put("UPDATE account SET touched = ? WHERE account = ?", c.s.now(), account[:]); err != nil {
			return err
		}
		for i := range list {
			_, err := t.put("INSERT INTO chunk (account, chunk, size, stored, header, body, crc) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				account[:], list[i].ID[:], len(list[i].Body), c.s.now(), list[i].Header, list[i].Body, checksum(list[i].Header, list[i].Body))
			if err != nil {
				return err
			}
			if _, err := t.put("DELETE FROM chunk_lost WHERE account = ? AND chunk = ?", account[:], list[i].ID[:]); err != nil {
				return err
			}
		}
		return nil
	}, func() { c.s.quota.added(account, int64(bytes)) })
	if err != nil {
		return fmt.Errorf("store chunks: %w", err)
	}
	return nil
}

// body scans the body of a chunk into a buffer that syncproto.Free takes back.
type body []byte

// Scan implements sql.Scanner. What is no BLOB any more was damaged, and is left to
// the checksum: text has the same bytes.
func (b *body) Scan(value any) error {
	switch value := value.(type) {
	case []byte:
		*b = syncproto.Copy(value)
	case string:
		*b = []byte(value)
	}
	return nil
}

// Get implements cloudstore.Chunks.
func (c chunks) Get(ctx context.Context, account seal.Account, id record.ChunkID) (*syncproto.Chunk, error) {
	got := new(syncproto.Chunk)
	var crc sql.NullInt64
	err := c.s.read(ctx, func(q snapshot) error {
		return q.row("SELECT header, body, crc FROM chunk WHERE account = ? AND chunk = ?", account[:], id[:]).Scan(&got.Header, (*body)(&got.Body), &crc)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = c.noteLost(ctx, account, id)
		if err != nil {
			return nil, fmt.Errorf("note a lost chunk: %w", err)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read chunk: %w", err)
	}
	if !intact(crc, got.Header, got.Body) {
		// It is not held; a device that has it is told so.
		c.s.opt.Log.Warn("a chunk differs from its checksum and is set aside")
		err := c.s.do(ctx, 1024, func(t *txn) error {
			return t.setAsideChunk(account[:], id[:], "a chunk differs from its checksum", c.s.now())
		}, nil)
		if err != nil {
			return nil, fmt.Errorf("set a chunk aside: %w", err)
		}
		return nil, nil
	}
	return got, nil
}

// noteLost notes that a chunk is not here that versions refer to, so that the next
// device that proves what it holds is asked for it.
func (c chunks) noteLost(ctx context.Context, account seal.Account, id record.ChunkID) error {
	var news bool
	err := c.s.read(ctx, func(q snapshot) error {
		return q.row(`SELECT EXISTS (SELECT 1 FROM chunk_ref INDEXED BY chunk_ref_by_chunk WHERE account = ? AND chunk = ?)
			AND NOT EXISTS (SELECT 1 FROM chunk_lost WHERE account = ? AND chunk = ?)`, account[:], id[:], account[:], id[:]).Scan(&news)
	})
	if err != nil || !news {
		return err
	}
	c.s.opt.Log.Warn("a chunk is lost")
	return c.s.do(ctx, 1024, func(t *txn) error {
		_, err := t.put(`INSERT INTO chunk_lost (account, chunk) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE account = ? AND chunk = ?)
			ON CONFLICT DO NOTHING`, account[:], id[:], account[:], id[:])
		return err
	}, nil)
}
