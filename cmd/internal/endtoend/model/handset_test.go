package model

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"sidekeep/agent"
	"sidekeep/localstore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// The brake of the handsets: few enough that histories meet it.
const (
	brakeMin     = 3
	brakePercent = 10
)

// pending is what the app of a handset wants of a record that was not yet
// issued as writes: the document as it should be.
type pending struct {
	fields   []record.Field
	shown    []record.Field // what the app edited, if a fork under it changed what the version shows; or nil
	deleted  bool
	keys     map[string]bool // to be written though their value is the same
	accepted bool            // a person agreed that it goes out
}

func (p *pending) clone() *pending {
	return &pending{slices.Clone(p.fields), p.shown, p.deleted, maps.Clone(p.keys), p.accepted}
}

// row is a record as the device's database has it.
type row struct {
	kind      record.Kind
	vid       *record.VersionID
	deleted   bool
	dirty     bool
	hold      int // of what goes out
	conflicts int
	queued    bool
	acked     uint64

	held       *record.VersionID // the join of what came and would take the record away
	state      int               // of held: see localstore
	over       bool              // held has seen all that vid has
	heldQueued bool
	heldAcked  uint64
}

// States of a row's held version.
const (
	heldWaits    = 1
	heldAccepted = 2
	heldRejected = 3
)

// rows is the database of a handset as it was at a moment. It is not changed.
type rows struct {
	records map[record.ID]row
	digests map[record.Kind]rangeset.Digest // as stored
	replica record.ReplicaID
	counter uint64
	chunks  map[record.ChunkID]bool // here
	spent   []spent                 // of the budget for losses that go out
}

// spent is a part of the budget for losses that was used.
type spent struct {
	kind  record.Kind
	at    int64 // Unix seconds
	count int
}

// memory is what the oracle knows of a handset's database. An image of the
// files has the memory of its moment.
type memory struct {
	pending map[record.ID]*pending
	// has is what the cloud acknowledged or sent of each record, as far as the
	// database must know; may is what it can know beyond that, after a power loss.
	has, may map[record.ID]record.Vector
	took     []time.Time                 // losses that were let in without a person's word
	gave     []time.Time                 // and out
	ran      time.Duration               // running time
	trashed  map[record.ID]time.Duration // of which a record died
	moments  []moment
}

func newMemory() memory {
	return memory{pending: map[record.ID]*pending{}, has: map[record.ID]record.Vector{}, may: map[record.ID]record.Vector{}, trashed: map[record.ID]time.Duration{}}
}

func (m memory) clone() memory {
	c := m
	c.pending = map[record.ID]*pending{}
	for id, p := range m.pending {
		c.pending[id] = p.clone()
	}
	c.has, c.may, c.trashed = maps.Clone(m.has), maps.Clone(m.may), maps.Clone(m.trashed) // vectors are replaced, not changed
	c.took, c.gave, c.moments = slices.Clone(m.took), slices.Clone(m.gave), slices.Clone(m.moments)
	return c
}

// handset is one device: real files, the real store and agent.
type handset struct {
	memory
	w         *world
	name      string
	dir       string
	id        *seal.Identity
	offset    time.Duration // of its clock
	store     *localstore.Store
	agent     *agent.Agent
	db        *sql.DB // to look at the rows
	queries   map[string]*sql.Stmt
	version   int64 // of the database when rows were read
	rows      *rows
	images    []image
	link      *link
	purging   bool // the trash is being emptied
	proven    bool // and everything was in sync before
	accepting bool // a person agrees to what is held
	failing   bool // its disk is full
	edited    bool // since its session last looked
}

func (h *handset) now() time.Time { return h.w.clock.Add(h.offset) }

func (h *handset) path() string { return filepath.Join(h.dir, localstore.FileName) }

func (h *handset) open() error {
	var err error
	h.store, err = localstore.Open(context.Background(), h.dir, localstore.Options{
		Hasher: h.w.keys, Now: h.now, Rand: h.w.random, BrakeMin: brakeMin, BrakePercent: brakePercent,
	})
	if err != nil {
		return err
	}
	if h.db, err = sql.Open("sqlite", "file:"+h.path()+"?_pragma=query_only(1)"); err != nil {
		return err
	}
	h.db.SetMaxOpenConns(1)
	h.queries, h.version = map[string]*sql.Stmt{}, -1
	h.agent, err = agent.New(agent.Config{
		Store: h.store, Identity: h.id, Device: h.name, CloudURL: origin, Create: true, Now: h.now, Rand: h.w.random,
	})
	if err != nil {
		return err
	}
	h.rows, err = h.scan()
	return err
}

// close ends the handset in order, but for its connection: no farewell.
func (h *handset) close() error {
	h.drop()
	err := errors.Join(h.db.Close(), h.store.Close())
	h.store = nil
	return err
}

// drop forgets the connection, as a dead process does.
func (h *handset) drop() {
	if l := h.link; l != nil {
		h.link = nil
		l.device.Close()
		l.cloud.Lost()
	}
}

func (h *handset) query(query string) (*sql.Rows, error) {
	st := h.queries[query]
	if st == nil {
		var err error
		if st, err = h.db.Prepare(query); err != nil {
			return nil, err
		}
		h.queries[query] = st
	}
	return st.Query()
}

// each runs a query, and visit for each of its rows.
func (h *handset) each(query string, visit func(scan func(...any) error) error) error {
	rows, err := h.query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scan reads the rows of the database, if anything was committed since the last time.
func (h *handset) scan() (*rows, error) {
	var version int64
	err := h.each("PRAGMA data_version", func(scan func(...any) error) error { return scan(&version) })
	if err != nil || version == h.version {
		return h.rows, err
	}
	h.version = version
	all := &rows{records: map[record.ID]row{}, digests: map[record.Kind]rangeset.Digest{}, chunks: map[record.ChunkID]bool{}}
	err = h.each("SELECT key, value FROM meta WHERE key IN ('replica', 'counter')", func(scan func(...any) error) error {
		var key string
		var value any
		if err := scan(&key, &value); err != nil {
			return err
		}
		switch v := value.(type) {
		case []byte:
			copy(all.replica[:], v)
		case int64:
			all.counter = uint64(v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = h.each("SELECT kind, count, sum FROM digest", func(scan func(...any) error) error {
		var kind record.Kind
		var d rangeset.Digest
		var sum []byte
		err := scan(&kind, &d.Count, &sum)
		copy(d.Sum[:], sum)
		all.digests[kind] = d
		return err
	})
	if err != nil {
		return nil, err
	}
	err = h.each(`SELECT r.id, r.kind, r.vid, r.deleted, r.conflicts, d.n IS NOT NULL, coalesce(d.hold, 0), o.n IS NOT NULL, coalesce(o.acked, 0),
 h.vid, coalesce(h.state, 0), coalesce(h.over, 0), h.ord IS NOT NULL, coalesce(h.acked, 0)
 FROM record r LEFT JOIN dirty d ON d.n = r.n LEFT JOIN outbox o ON o.n = r.n LEFT JOIN held h ON h.n = r.n`, func(scan func(...any) error) error {
		var r row
		var id string
		var vid, held []byte
		err := scan(&id, &r.kind, &vid, &r.deleted, &r.conflicts, &r.dirty, &r.hold, &r.queued, &r.acked, &held, &r.state, &r.over, &r.heldQueued, &r.heldAcked)
		if err != nil {
			return err
		}
		if vid != nil {
			r.vid = new(record.VersionID(vid))
		}
		if held != nil {
			r.held = new(record.VersionID(held))
		}
		rid, err := record.ParseID(id)
		all.records[rid] = r
		return err
	})
	if err != nil {
		return nil, err
	}
	err = h.each("SELECT kind, at, count FROM brake", func(scan func(...any) error) error {
		var s spent
		err := scan(&s.kind, &s.at, &s.count)
		all.spent = append(all.spent, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, h.each("SELECT c.id FROM chunk c JOIN chunk_data d ON d.n = c.n WHERE c.size IS NOT NULL", func(scan func(...any) error) error {
		var id []byte
		if err := scan(&id); err != nil {
			return err
		}
		all.chunks[record.ChunkID(id)] = true
		return nil
	})
}

// want returns what the app wants of a record, to be changed; nil if the
// handset does not know the record.
func (h *handset) want(id record.ID) (*pending, error) {
	if p := h.pending[id]; p != nil {
		p = p.clone()
		p.accepted = false
		return p, nil
	}
	r, err := h.store.Get(context.Background(), id)
	if errors.Is(err, localstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &pending{fields: r.Fields, deleted: r.Deleted, keys: map[string]bool{}}, nil
}

// wanted notes what the app wants, after the store took it.
func (h *handset) wanted(id record.ID, p *pending) error {
	h.pending[id], h.edited = p, true
	return h.look()
}

// digests counts the device's versions of each kind, from its rows.
func (r *rows) count() map[record.Kind]rangeset.Digest {
	all := map[record.Kind]rangeset.Digest{}
	for _, r := range r.records {
		d := all[r.kind]
		if r.vid != nil && !(r.held != nil && r.over) {
			d.Add(*r.vid)
		}
		if r.held != nil {
			d.Add(*r.held)
		}
		all[r.kind] = d
	}
	return all
}
