package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// origin is the address that handsets are configured with; nothing listens there.
const origin = "ws://127.0.0.1:7"

// place is the cloud: real files, the real store and server.
type place struct {
	w         *world
	dir       string
	store     *sqlitestore.Store
	server    *cloud.Server
	db        *sql.DB // to look at the rows, and to damage them
	queries   map[string]*sql.Stmt
	version   int64 // of the database when rows were read
	rows      map[record.ID]map[record.VersionID]bool
	kinds     map[record.Kind]rangeset.Digest // of rows
	heads     map[record.Kind]uint64
	restoring map[record.Kind]bool
	damaged   map[record.VersionID]bool // bits of the body were flipped
	poison    map[record.VersionID]bool // versions that no key of the account opens
	corrupted bool                      // bits were flipped once
	doubted   bool                      // rows were changed behind its back since it last counted
	pieces    bool                      // pieces of pictures were lost
	counted   bool                      // since it was opened, the account's rows were counted
	failing   bool                      // its disk is full
	backups   []string
	// was is what each kind was, at each head of each epoch.
	was map[stand]map[rangeset.Digest]bool
}

// stand is what a cursor says of a kind.
type stand struct {
	epoch syncproto.Epoch
	kind  record.Kind
	head  uint64
}

func newPlace(w *world) *place {
	return &place{w: w, dir: w.folder("cloud"), damaged: map[record.VersionID]bool{}, poison: map[record.VersionID]bool{}, was: map[stand]map[rangeset.Digest]bool{}}
}

func (c *place) open() error {
	var err error
	c.store, err = sqlitestore.Open(context.Background(), c.dir, sqlitestore.Options{Rand: c.w.random, Now: c.w.now})
	if err != nil {
		return err
	}
	limits := syncproto.DefaultLimits()
	limits[syncproto.LimitWalk] = 2 // so that a new device walks
	c.server, err = cloud.New(cloud.Config{Store: c.store, Origins: []string{origin}, Admit: cloud.AdmitAll{}, Rand: c.w.random, Protocol: limits})
	if err != nil {
		return err
	}
	if c.db, err = sql.Open("sqlite", "file:"+c.path()+"?_pragma=busy_timeout(5000)"); err != nil {
		return err
	}
	c.db.SetMaxOpenConns(1)
	c.queries, c.version = map[string]*sql.Stmt{}, -1
	c.doubted, c.counted = false, false // it counts when an account first comes
	return c.scan()
}

func (c *place) path() string { return filepath.Join(c.dir, sqlitestore.FileName) }

// cut ends all connections.
func (c *place) cut() error {
	for _, h := range c.w.handsets {
		if h.link != nil {
			if err := h.link.lose(0); err != nil {
				return err
			}
		}
	}
	return nil
}

// close ends the cloud; all connections are lost.
func (c *place) close() error {
	if err := c.cut(); err != nil {
		return err
	}
	return errors.Join(c.db.Close(), c.store.Close())
}

// reopen closes the cloud, lets change work on its files, and opens it.
func (c *place) reopen(change func() error) error {
	if err := c.close(); err != nil {
		return err
	}
	if change != nil {
		if err := change(); err != nil {
			return err
		}
	}
	return c.open()
}

// kill ends the cloud between two instructions, and starts it again.
func (c *place) kill() error {
	f, err := readFiles(c.path())
	if err != nil {
		return err
	}
	return c.reopen(func() error { return f.write(c.path()) })
}

// tear pulls the plug while the cloud commits what a handset sent: of that any
// part may be on the disk. Nothing of it was acknowledged.
func (c *place) tear(l *link, pick func(n int) int) error {
	if len(l.up) == 0 || l.cloud.Over() {
		return c.kill()
	}
	m, err := syncproto.Decode(l.up[0])
	if err != nil {
		return err
	}
	pushed, err := l.pushes(m)
	if err != nil {
		return err
	}
	before, err := readFiles(c.path())
	if err != nil {
		return err
	}
	was := c.histories()
	l.cloud.Receive(l.up[0])
	after, err := readFiles(c.path())
	if err != nil {
		return err
	}
	f := torn(before, after, pick)
	if err := c.reopen(func() error { return f.write(c.path()) }); err != nil {
		return err
	}
	return c.keeps(was, pushed, false)
}

func (c *place) query(query string) (*sql.Rows, error) {
	st := c.queries[query]
	if st == nil {
		var err error
		if st, err = c.db.Prepare(query); err != nil {
			return nil, err
		}
		c.queries[query] = st
	}
	return st.Query()
}

func (c *place) each(query string, visit func(scan func(...any) error) error) error {
	rows, err := c.query(query)
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

// scan reads the rows, if anything was committed since the last time.
func (c *place) scan() error {
	var version int64
	err := c.each("PRAGMA data_version", func(scan func(...any) error) error { return scan(&version) })
	if err != nil || version == c.version {
		return err
	}
	c.version = version
	query := "SELECT kind, record, version, NULL, NULL FROM version"
	if c.corrupted {
		query = "SELECT kind, record, version, header, body FROM version"
		clear(c.damaged)
	}
	c.rows, c.kinds, c.heads, c.restoring = map[record.ID]map[record.VersionID]bool{}, map[record.Kind]rangeset.Digest{}, map[record.Kind]uint64{}, map[record.Kind]bool{}
	err = c.each(query, func(scan func(...any) error) error {
		var kind record.Kind
		var id, version, header, body []byte
		if err := scan(&kind, &id, &version, &header, &body); err != nil {
			return err
		}
		rid, vid := record.ID(id), record.VersionID(version)
		if kind == record.Witness { // what devices state is no data of a person
			d := c.kinds[kind]
			d.Add(vid)
			c.kinds[kind] = d
			return nil
		}
		if c.corrupted && !c.poison[vid] {
			if _, err := c.w.keys.OpenVersion(seal.Sealed{Header: header, Body: body}); err != nil {
				c.damaged[vid] = true
			}
		}
		if c.rows[rid] == nil {
			c.rows[rid] = map[record.VersionID]bool{}
		}
		c.rows[rid][vid] = true
		d := c.kinds[kind]
		d.Add(vid)
		c.kinds[kind] = d
		return nil
	})
	if err != nil {
		return err
	}
	epoch := c.store.Epoch()
	err = c.each("SELECT kind, head, count, sum FROM kind", func(scan func(...any) error) error {
		s := stand{epoch: epoch}
		var d rangeset.Digest
		var sum []byte
		if err := scan(&s.kind, &s.head, &d.Count, &sum); err != nil {
			return err
		}
		copy(d.Sum[:], sum)
		c.heads[s.kind] = s.head
		if c.was[s] == nil {
			c.was[s] = map[rangeset.Digest]bool{}
		}
		c.was[s][c.kinds[s.kind]] = true
		if !c.doubted && c.counted && !d.Equal(c.kinds[s.kind]) {
			return fmt.Errorf("the cloud's digest of %s counts %d versions, and there are %d (or others)", s.kind, d.Count, c.kinds[s.kind].Count)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.each("SELECT substr(key, 11) FROM meta WHERE key > 'restoring:' AND key < 'restoring;'", func(scan func(...any) error) error {
		var kind record.Kind
		err := scan(&kind)
		c.restoring[kind] = true
		return err
	})
}

// history is every event that the cloud's rows of a record stand for; damaged
// ones stand for nothing.
func (c *place) history(id record.ID) set {
	var s set
	for vid := range c.rows[id] {
		if !c.damaged[vid] && !c.poison[vid] {
			s = s.union(c.w.ledger.versions[vid].events)
		}
	}
	return s
}

func (c *place) histories() map[record.ID]set {
	all := map[record.ID]set{}
	for id := range c.rows {
		all[id] = c.history(id)
	}
	return all
}

// committed takes what a push did, and checks that nothing was lost by it.
func (c *place) committed(pushed []known) error {
	was, rows, damaged := c.histories(), c.rows, maps.Clone(c.damaged)
	c.counted = true // who pushes has a claim
	for i := range pushed {
		if err := c.w.ledger.identities(&pushed[i]); err != nil {
			return err
		}
	}
	if err := c.scan(); err != nil {
		return err
	}
	if err := c.keeps(was, pushed, true); err != nil {
		return err
	}
	return c.antichain(rows, damaged, pushed)
}

// keeps checks that the rows stand for what they stood for before, and, if it
// was acknowledged, for what was pushed.
func (c *place) keeps(was map[record.ID]set, pushed []known, acked bool) error {
	could := maps.Clone(was)
	for _, k := range pushed {
		could[k.id] = could[k.id].union(k.events)
	}
	if acked {
		was = could
	}
	for id := range could {
		now := c.history(id)
		if lost := was[id].minus(now); !lost.empty() && !c.hasBad(id) {
			return fmt.Errorf("cloud: I1: a push lost events of %s:%s", name(id), c.w.ledger.describe(lost))
		}
		if more := now.minus(could[id]); !more.empty() && !c.hasBad(id) && !c.hadBad(id) {
			return fmt.Errorf("cloud: a push brought events of %s that were not in it:%s", name(id), c.w.ledger.describe(more))
		}
	}
	return nil
}

// antichain checks that of what was pushed no row dominates another, and that
// what is no row any more is kept for some time (rule 2 of SECURITY.md).
func (c *place) antichain(before map[record.ID]map[record.VersionID]bool, damaged map[record.VersionID]bool, pushed []known) error {
	for _, k := range pushed {
		for a := range c.rows[k.id] {
			for b := range c.rows[k.id] {
				if c.poison[a] || c.poison[b] {
					continue
				}
				if va, vb := c.w.ledger.versions[a].version, c.w.ledger.versions[b].version; va.Vector.Dominates(vb.Vector) {
					return fmt.Errorf("the cloud keeps two versions of %s of which one has seen the other: %s, %s", name(k.id), describe(va), describe(vb))
				}
			}
		}
		gone := []record.VersionID{k.vid}
		gone = slices.AppendSeq(gone, maps.Keys(before[k.id]))
		for _, vid := range gone {
			if c.rows[k.id][vid] || damaged[vid] {
				continue
			}
			var kept int
			if err := c.db.QueryRow("SELECT count(*) FROM dominated WHERE record = ? AND version = ?", k.id[:], vid[:]).Scan(&kept); err != nil {
				return err
			}
			if kept == 0 {
				return fmt.Errorf("version %s of %s was dominated, and the cloud did not keep it", short(vid[:]), name(k.id))
			}
		}
	}
	return nil
}

// hasBad reports whether a row of the record is damaged, or no version.
func (c *place) hasBad(id record.ID) bool {
	for vid := range c.rows[id] {
		if c.damaged[vid] || c.poison[vid] {
			return true
		}
	}
	return false
}

// hadBad reports whether one ever may have been: what it dominated comes back.
func (c *place) hadBad(record.ID) bool { return c.corrupted || len(c.poison) > 0 }

func (c *place) backup(dir string) error {
	c.backups = append(c.backups, dir)
	return copyFiles(c.dir, dir, sqlitestore.FileName)
}

func (c *place) restore(dir string) error {
	c.w.disaster = true
	return c.reopen(func() error {
		for _, f := range []string{"", "-wal", "-shm"} {
			if err := os.RemoveAll(c.path() + f); err != nil {
				return err
			}
		}
		return copyFiles(dir, c.dir, sqlitestore.FileName)
	})
}

func (c *place) wipe() error {
	c.w.disaster = true
	return c.reopen(func() error { return os.RemoveAll(c.dir) })
}

// damage runs statements on the rows behind the cloud's back.
func (c *place) damage(query string, args ...any) error {
	c.doubted, c.version = true, -1
	if _, err := c.db.Exec(query, args...); err != nil {
		return err
	}
	return c.scan()
}

// toggleRestoring declares that a kind is being restored, or that it no longer is.
func (c *place) toggleRestoring(n int) error {
	kind, _ := recordOf(n)
	if err := c.cut(); err != nil { // a running cloud tells its sessions a second later
		return err
	}
	err := sqlitestore.SetRestoring(c.w.ctx, c.dir, nil, kind, !c.restoring[kind])
	if errors.Is(err, sqlitestore.ErrUnknownKind) { // nobody has synced a record of it here
		err = nil
	}
	return errors.Join(err, c.scan())
}

// whole ends all restoring.
func (c *place) whole() error {
	for kind := range c.restoring {
		if err := sqlitestore.SetRestoring(c.w.ctx, c.dir, nil, kind, false); err != nil {
			return err
		}
	}
	return c.scan()
}

// scrub does what a running cloud does once a day.
func (c *place) scrub() error {
	if err := c.cut(); err != nil {
		return err
	}
	account := c.w.handsets[0].id.Account
	_, err := c.store.Repair(c.w.ctx, account, func(int) error { return nil }, func(cloudstore.Problem) {})
	var unknown *syncproto.Error
	if errors.As(err, &unknown) && unknown.Code == syncproto.CodeUnknownAccount {
		err = nil
	}
	c.doubted = c.doubted && err != nil
	return errors.Join(err, c.scan())
}
