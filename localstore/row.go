package localstore

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"sidekeep/localstore/record"
)

// row is a row of table record, with what dirty and outbox say of it.
type row struct {
	n       int64
	id      record.ID
	kind    record.Kind
	deleted bool
	document
	vid       *record.VersionID // nil: never minted
	state     []byte
	trashed   sql.NullInt64
	conflicts int // keys in conflict

	dirty      bool
	before     *document // before-image; nil if not dirty or never minted
	wasDeleted bool
	keys       []string // written on purpose though the value is the same
	hold       int

	queued bool   // in the outbox
	acked  uint64 // of a queued one: highest own counter that the cloud has

	held *heldRow // an incoming loss that is set aside; nil if there is none

	filled bool // the agent's columns are known to be as the document
	noRefs bool // it is known to refer to no chunk
}

// States of dirty.hold.
const (
	holdNone     = 0
	holdHeld     = 1
	holdReleased = 2
)

const rowColumns = `r.n, r.id, r.kind, r.deleted, r.doc, r.par, r.raw, r.vid, r.state, r.trashed, r.conflicts,
 d.n IS NOT NULL, d.doc, d.par, d.raw, coalesce(d.deleted, 0), d.keys, coalesce(d.hold, 0), o.n IS NOT NULL, coalesce(o.acked, 0), h.n IS NOT NULL,
 NOT EXISTS (SELECT 1 FROM stale WHERE n = r.n AND columns = 1), NOT EXISTS (SELECT 1 FROM chunk_ref WHERE record = r.n)
 FROM record r LEFT JOIN dirty d ON d.n = r.n LEFT JOIN outbox o ON o.n = r.n LEFT JOIN held h ON h.n = r.n`

// rowScan is what the rows of a query are read into, one after the other.
type rowScan struct {
	row
	rowID      string
	rowPar     sql.NullString
	rowVid     []byte
	bDoc, bPar sql.NullString
	bRaw       []byte
	rowKeys    sql.NullString
	rowAcked   int64
	hasHeld    bool
	into       []any
}

func newRowScan() *rowScan {
	s := &rowScan{}
	s.into = []any{&s.n, &s.rowID, &s.kind, &s.deleted, &s.doc, &s.rowPar, &s.raw, &s.rowVid, &s.state, &s.trashed, &s.conflicts,
		&s.dirty, &s.bDoc, &s.bPar, &s.bRaw, &s.wasDeleted, &s.rowKeys, &s.hold, &s.queued, &s.rowAcked,
		&s.hasHeld, &s.filled, &s.noRefs}
	return s
}

// next gives the row that scan reads. What is held of it, which is rare, is read
// by whoever sees hasHeld.
func (s *rowScan) next(scan func(...any) error) (*row, error) {
	s.row = row{}
	err := scan(s.into...)
	if err != nil {
		return nil, err
	}
	r := s.row
	r.par, r.acked = s.rowPar.String, uint64(s.rowAcked)
	if r.id, err = record.ParseID(s.rowID); err != nil {
		return nil, fmt.Errorf("row %d: %w: %w", r.n, ErrDamaged, err)
	}
	if s.rowVid != nil {
		r.vid = new(record.VersionID)
		copy(r.vid[:], s.rowVid)
	}
	if s.bDoc.Valid {
		r.before = &document{s.bDoc.String, s.bPar.String, s.bRaw}
	}
	if s.rowKeys.Valid {
		if err := json.Unmarshal([]byte(s.rowKeys.String), &r.keys); err != nil {
			return nil, fmt.Errorf("row %d, keys: %w", r.n, ErrDamaged)
		}
	}
	return &r, nil
}

// rowByID returns nil for an unknown record.
func (c *session) rowByID(id record.ID) (*row, error) {
	rows, err := c.rowsOf("WHERE r.id = ?", id.String())
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// rowIfKnown is rowByID for ids that nearly always are unknown: it asks first.
func (c *session) rowIfKnown(id record.ID) (*row, error) {
	known, err := c.count("SELECT count(*) FROM record WHERE id = ?", id.String())
	if err != nil || known == 0 {
		return nil, err
	}
	return c.rowByID(id)
}

// rowsOf collects the rows of a query that selects rowColumns.
func (c *session) rowsOf(where string, args ...any) ([]*row, error) {
	var rows []*row
	var s *rowScan
	err := c.each(func(scan func(...any) error) error {
		if s == nil {
			s = newRowScan()
		}
		r, err := s.next(scan)
		if err != nil {
			return err
		}
		if rows = append(rows, r); s.hasHeld {
			r.held, err = c.heldRowOf(r.n)
		}
		return err
	}, "SELECT "+rowColumns+" "+where, args...)
	return rows, err
}

// heldRowOf reads what is held of a record; nil if nothing is.
func (c *session) heldRowOf(n int64) (*heldRow, error) {
	var h heldRow
	var vid []byte
	var acked int64
	found, err := c.one([]any{&vid, &h.encoded, &h.over, &h.state, &h.loss, &h.queued, &acked},
		"SELECT vid, version, over, state, loss, ord IS NOT NULL, acked FROM held WHERE n = ?", n)
	if err != nil || !found {
		return nil, err
	}
	copy(h.vid[:], vid)
	h.acked = uint64(acked)
	return &h, nil
}

// base is the document that the version of the row stands in.
func (r *row) base() *document {
	if r.dirty && r.before != nil {
		return r.before
	}
	return &r.document
}

// damagedError says which row does not give the version that it should. It is ErrDamaged.
type damagedError struct {
	row  *row
	err  error
	held bool // it is about the held version
}

func (e *damagedError) Error() string { return fmt.Sprintf("record %s: %v", e.row.id, e.err) }
func (e *damagedError) Unwrap() error { return ErrDamaged }

// version reconstructs the minted version of a row and asserts its id. fields
// are those of base. The error wraps ErrDamaged when document and state do not
// give the version that they should.
func (s *Store) version(r *row) (v *record.Version, fields []record.Field, encoded []byte, err error) {
	if r.vid == nil {
		if r.dirty && r.before == nil {
			return record.New(), nil, nil, nil
		}
		return nil, nil, nil, &damagedError{row: r, err: errors.New("it has no version and is not marked as changed")}
	}
	if fields, err = r.base().fields(r.kind); err != nil {
		return nil, nil, nil, &damagedError{row: r, err: err}
	}
	if v, err = decodeState(r.state, fields); err != nil {
		return nil, nil, nil, &damagedError{row: r, err: err}
	}
	if encoded, err = record.Encode(v); err != nil {
		return nil, nil, nil, &damagedError{row: r, err: err}
	}
	if s.hash.VersionID(r.kind, r.id, encoded) != *r.vid {
		return nil, nil, nil, &damagedError{row: r, err: errors.New("its content is not that of its version")}
	}
	return v, fields, encoded, nil
}

// demote makes a damaged record one that was never minted: its document is kept
// and goes out as a new version, beside the one that the cloud may have.
func (t *tx) demote(r *row) error {
	t.s.Log.Warn("record is damaged, its document is kept as a new version", "record", r.id)
	if err := t.problem("damage", "a record's content did not match its version; the content is kept and goes out as a new version", &r.id); err != nil {
		return err
	}
	if err := t.digestRow(r, t.digestRemove); err != nil {
		return err
	}
	r.vid = nil
	t.unsee()
	err := errors.Join(
		t.digestRow(r, t.digestAdd),
		t.exec("UPDATE record SET vid = NULL, state = NULL, conflicts = 0 WHERE n = ?", r.n),
		t.exec("DELETE FROM outbox WHERE n = ?", r.n),
		t.exec("INSERT OR REPLACE INTO dirty (n, kind) VALUES (?, ?)", r.n, string(r.kind)),
	)
	r.state, r.queued, r.dirty, r.before, r.wasDeleted, r.keys = nil, false, true, nil, false, nil
	return err
}
