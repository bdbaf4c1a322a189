package model

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
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
	rows      map[record.ID]map[record.VersionID]bool
	kinds     map[record.Kind]rangeset.Digest // of rows
	heads     map[record.Kind]uint64
	damaged   map[record.VersionID]bool // bits of the body were flipped
	corrupted bool                      // bits were flipped once
	doubted   bool                      // rows were changed behind its back since it last counted
	backups   []string
}

func (c *place) open() error {
	var err error
	c.store, err = sqlitestore.Open(context.Background(), c.dir, sqlitestore.Options{Rand: c.w.random, Now: c.w.now})
	if err != nil {
		return err
	}
	c.server, err = cloud.New(cloud.Config{Store: c.store, Origins: []string{origin}, Admit: cloud.AdmitAll{}, Rand: c.w.random})
	if err != nil {
		return err
	}
	if c.db, err = sql.Open("sqlite", "file:"+filepath.Join(c.dir, sqlitestore.FileName)+"?_pragma=busy_timeout(5000)"); err != nil {
		return err
	}
	c.db.SetMaxOpenConns(1)
	c.doubted = false // it counts when an account first comes
	return c.scan()
}

// close ends the cloud; all connections are lost.
func (c *place) close() error {
	for _, h := range c.w.handsets {
		if h.link != nil {
			if err := h.link.lose(0); err != nil {
				return err
			}
		}
	}
	if err := c.db.Close(); err != nil {
		return err
	}
	return c.store.Close()
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

// scan reads the rows.
func (c *place) scan() error {
	query := "SELECT kind, record, version, NULL, NULL FROM version"
	if c.corrupted {
		query = "SELECT kind, record, version, header, body FROM version"
		clear(c.damaged)
	}
	rows, err := c.db.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	c.rows, c.kinds, c.heads = map[record.ID]map[record.VersionID]bool{}, map[record.Kind]rangeset.Digest{}, map[record.Kind]uint64{}
	for rows.Next() {
		var kind record.Kind
		var id, version, header, body []byte
		if err := rows.Scan(&kind, &id, &version, &header, &body); err != nil {
			return err
		}
		rid, vid := record.ID(id), record.VersionID(version)
		if kind == record.Witness { // what devices state is no data of a person
			d := c.kinds[kind]
			d.Add(vid)
			c.kinds[kind] = d
			continue
		}
		if c.corrupted {
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
	}
	if err := rows.Err(); err != nil {
		return err
	}
	heads, err := c.db.Query("SELECT kind, head FROM kind")
	if err != nil {
		return err
	}
	defer heads.Close()
	for heads.Next() {
		var kind record.Kind
		var head uint64
		if err := heads.Scan(&kind, &head); err != nil {
			return err
		}
		c.heads[kind] = head
	}
	return heads.Err()
}

// history is every event that the cloud's rows of a record stand for; damaged
// ones stand for nothing.
func (c *place) history(id record.ID) set {
	var s set
	for vid := range c.rows[id] {
		if !c.damaged[vid] {
			s = s.union(c.w.ledger.versions[vid].events)
		}
	}
	return s
}

// committed takes what a push did, and checks that nothing was lost by it.
func (c *place) committed(pushed map[record.ID][]record.VersionID) error {
	before := map[record.ID]set{}
	for id := range c.rows {
		before[id] = c.history(id)
	}
	for id, vids := range pushed {
		for _, vid := range vids {
			if c.w.ledger.versions[vid] == nil {
				return fmt.Errorf("version %s of %s was pushed, and no device has it", short(vid[:]), name(id))
			}
			if err := c.w.ledger.identities(c.w.ledger.versions[vid]); err != nil {
				return err
			}
			before[id] = before[id].union(c.w.ledger.versions[vid].events)
		}
	}
	if err := c.scan(); err != nil {
		return err
	}
	for id, want := range before {
		if lost := want.minus(c.history(id)); !lost.empty() && !c.anyDamaged(id) {
			return fmt.Errorf("cloud: I1: a push lost events of %s:%s", name(id), c.w.ledger.describe(lost))
		}
	}
	return nil
}

func (c *place) anyDamaged(id record.ID) bool {
	for vid := range c.rows[id] {
		if c.damaged[vid] {
			return true
		}
	}
	return false
}

func (c *place) backup(dir string) error {
	c.backups = append(c.backups, dir)
	return copyFiles(c.dir, dir, sqlitestore.FileName)
}

func (c *place) restore(dir string) error {
	return c.reopen(func() error {
		for _, f := range []string{"", "-wal", "-shm"} {
			if err := os.RemoveAll(filepath.Join(c.dir, sqlitestore.FileName+f)); err != nil {
				return err
			}
		}
		return copyFiles(dir, c.dir, sqlitestore.FileName)
	})
}

func (c *place) wipe() error {
	return c.reopen(func() error { return os.RemoveAll(c.dir) })
}

// damage runs statements on the rows behind the cloud's back.
func (c *place) damage(query string, args ...any) error {
	c.doubted = true
	if _, err := c.db.Exec(query, args...); err != nil {
		return err
	}
	return c.scan()
}
