package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc64"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

var background = context.Background()

var crcTable = crc64.MakeTable(crc64.ECMA)

// checksum is what a row's crc is: it finds what a disk changed without a key.
func checksum(header, body []byte) int64 {
	return int64(crc64.Update(crc64.Checksum(header, crcTable), crcTable, body))
}

// intact reports whether header and body are as they were stored, as far as
// the checksum is known.
func intact(crc sql.NullInt64, header, body []byte) bool {
	return !crc.Valid || crc.Int64 == checksum(header, body)
}

// storedVersion is a row of version or dominated.
type storedVersion struct {
	id, version, header, body []byte
	dead                      bool
	crc                       sql.NullInt64
}

// check reads the header and compares it with the row. why is "" when all fits;
// minor says that only a column beside the sealed bytes is wrong.
func (r *storedVersion) check(kind record.Kind) (h seal.Header, why string, minor bool) {
	h, err := seal.ParseHeader(r.header)
	switch {
	case err != nil:
		return h, "a header can not be read", false
	case h.Kind != kind || !bytes.Equal(h.ID[:], r.id) || !bytes.Equal(h.VersionID[:], r.version):
		return h, "a header names another record, version or kind than its row", false
	case h.Length+seal.Overhead != len(r.body):
		return h, fmt.Sprintf("a body is %d bytes, its header says %d", len(r.body), h.Length+seal.Overhead), false
	case !intact(r.crc, r.header, r.body):
		return h, "a version differs from its checksum", false
	case r.dead != h.Dead():
		return h, "a row's tombstone mark differs from its header", true
	}
	return h, "", false
}

// checkChunk compares a chunk's header and checksum with its row.
func checkChunk(id, header, body []byte, size int, crc sql.NullInt64) string {
	h, err := seal.ParseChunkHeader(header)
	switch {
	case err != nil:
		return "a chunk's header can not be read"
	case !bytes.Equal(h.ID[:], id):
		return "a chunk's header names another chunk than its row"
	case size != len(body) || h.Length+seal.Overhead != len(body):
		return fmt.Sprintf("a chunk is %d bytes, its row says %d, its header %d", len(body), size, h.Length+seal.Overhead)
	case !intact(crc, header, body):
		return "a chunk differs from its checksum"
	}
	return ""
}

// setAsideDamaged moves a damaged version out of the log into the quarantine.
func (t *txn) setAsideDamaged(table string, account, id, version []byte, kind record.Kind, why string, now int64) error {
	item := append(append([]byte{}, id...), version...)
	_, err := t.put(`INSERT INTO quarantine (account, n, at, origin, kind, item, why, header, body)
		SELECT account, (SELECT coalesce(max(q.n), 0) + 1 FROM quarantine q WHERE q.account = ?), ?, '`+table+`', kind, ?, ?, header, body
		FROM `+table+` WHERE account = ? AND kind = ? AND record = ? AND version = ?`,
		account, now, item, why, account, string(kind), id, version)
	if err != nil {
		return err
	}
	if _, err := t.put("DELETE FROM "+table+" WHERE account = ? AND kind = ? AND record = ? AND version = ?", account, string(kind), id, version); err != nil {
		return err
	}
	if table == "version" {
		return t.dropRefs(account, string(kind), id, version)
	}
	return nil
}

func (t *txn) setAsideChunk(account, id []byte, why string, now int64) error {
	_, err := t.put(`INSERT INTO quarantine (account, n, at, origin, kind, item, why, header, body)
		SELECT account, (SELECT coalesce(max(q.n), 0) + 1 FROM quarantine q WHERE q.account = ?), ?, 'chunk', '', chunk, ?, header, body
		FROM chunk WHERE account = ? AND chunk = ?`, account, now, why, account, id)
	if err != nil {
		return err
	}
	if _, err := t.put("DELETE FROM chunk WHERE account = ? AND chunk = ?", account, id); err != nil {
		return err
	}
	_, err = t.put("INSERT INTO chunk_lost (account, chunk) VALUES (?, ?) ON CONFLICT DO NOTHING", account, id)
	return err
}

// addRefs notes the chunks that a version of the log refers to, and which of
// them are not here.
func (t *txn) addRefs(account []byte, kind string, id, version []byte, chunks []record.ChunkID) error {
	for i := range chunks {
		_, err := t.put("INSERT INTO chunk_ref (account, kind, record, version, chunk) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			account, kind, id, version, chunks[i][:])
		if err != nil {
			return err
		}
		_, err = t.put(`INSERT INTO chunk_lost (account, chunk) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE account = ? AND chunk = ?)
			ON CONFLICT DO NOTHING`, account, chunks[i][:], account, chunks[i][:])
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) dropRefs(account []byte, kind string, id, version []byte) error {
	_, err := t.put("DELETE FROM chunk_ref WHERE account = ? AND kind = ? AND record = ? AND version = ?", account, kind, id, version)
	return err
}

// countLost finds again which chunks are referred to and not here.
func (t *txn) countLost(account seal.Account) error {
	if _, err := t.put("DELETE FROM chunk_lost WHERE account = ?", account[:]); err != nil {
		return err
	}
	_, err := t.put(`INSERT OR IGNORE INTO chunk_lost (account, chunk) SELECT r.account, r.chunk FROM chunk_ref r INDEXED BY chunk_ref_by_chunk WHERE r.account = ?
		AND NOT EXISTS (SELECT 1 FROM chunk c WHERE c.account = r.account AND c.chunk = r.chunk)`, account[:])
	return err
}

// lostChunks lists chunks that the log refers to and that are not here.
func lostChunks(q querier, account seal.Account, max int) ([]record.ChunkID, error) {
	rows, err := q.rows(`SELECT l.chunk FROM chunk_lost l WHERE l.account = ?
		AND EXISTS (SELECT 1 FROM chunk_ref r INDEXED BY chunk_ref_by_chunk WHERE r.account = l.account AND r.chunk = l.chunk) LIMIT ?`, account[:], max)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lost []record.ChunkID
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		lost = append(lost, record.ChunkID(b))
	}
	return lost, rows.Err()
}

// kindUnknown stands for the kind of a chunk that no version of the log refers to.
const kindUnknown record.Kind = "unknown"

// kindOfChunk returns the kind of the versions that refer to a chunk.
func kindOfChunk(q querier, account seal.Account, id []byte) (record.Kind, error) {
	var kind string
	err := q.row("SELECT kind FROM chunk_ref INDEXED BY chunk_ref_by_chunk WHERE account = ? AND chunk = ? LIMIT 1", account[:], id).Scan(&kind)
	if errors.Is(err, sql.ErrNoRows) {
		return kindUnknown, nil
	}
	return record.Kind(kind), err
}

// errStoredHeader is the error of a row whose header can not be read.
var errStoredHeader = errors.New("a stored header can not be read")

// dropUnreadable sets the versions of a record aside whose header can not be read.
func (s *Store) dropUnreadable(t *txn, account seal.Account, kind record.Kind, id record.ID) error {
	for _, table := range []string{"version", "dominated"} {
		rows, err := t.rows("SELECT version, header FROM "+table+" WHERE account = ? AND kind = ? AND record = ?", account[:], string(kind), id[:])
		if err != nil {
			return err
		}
		var bad [][]byte
		for rows.Next() {
			var version, header []byte
			if err := rows.Scan(&version, &header); err != nil {
				rows.Close()
				return err
			}
			if _, err := seal.ParseHeader(header); err != nil {
				bad = append(bad, version)
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
		for _, v := range bad {
			if err := t.setAsideDamaged(table, account[:], id[:], v, kind, "a header can not be read", s.now()); err != nil {
				return err
			}
		}
	}
	return s.recount(t, account, kind)
}
