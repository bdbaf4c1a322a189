package model

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
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
	fields  []record.Field
	deleted bool
	keys    map[string]bool // to be written though their value is the same
}

func (p *pending) clone() *pending {
	return &pending{slices.Clone(p.fields), p.deleted, maps.Clone(p.keys)}
}

// row is a record as the device's database has it.
type row struct {
	kind      record.Kind
	vid       *record.VersionID
	deleted   bool
	dirty     bool
	hold      int // of what goes out
	conflicts int

	held  *record.VersionID // the join of what came and would take the record away
	state int               // of held: 3 is rejected
	over  bool              // held has seen all that vid has
}

// image is a copy of a handset's files.
type image struct {
	dir     string
	pending map[record.ID]*pending
}

// handset is one device: real files, the real store and agent.
type handset struct {
	w       *world
	name    string
	dir     string
	id      *seal.Identity
	offset  time.Duration // of its clock
	store   *localstore.Store
	agent   *agent.Agent
	db      *sql.DB // to look at the rows
	pending map[record.ID]*pending
	rows    map[record.ID]row
	replica record.ReplicaID
	images  []image
	link    *link
	purging bool // the trash is being emptied
}

func (h *handset) now() time.Time { return h.w.clock.Add(h.offset) }

func (h *handset) open() error {
	var err error
	h.store, err = localstore.Open(context.Background(), h.dir, localstore.Options{
		Hasher: h.w.keys, Now: h.now, Rand: h.w.random, BrakeMin: brakeMin, BrakePercent: brakePercent,
	})
	if err != nil {
		return err
	}
	if h.db, err = sql.Open("sqlite", "file:"+filepath.Join(h.dir, localstore.FileName)+"?_pragma=query_only(1)"); err != nil {
		return err
	}
	h.db.SetMaxOpenConns(1)
	h.agent, err = agent.New(agent.Config{
		Store: h.store, Identity: h.id, Device: h.name, CloudURL: origin, Create: true, Now: h.now, Rand: h.w.random,
	})
	if err != nil {
		return err
	}
	h.rows, h.replica, err = h.scan()
	return err
}

// close ends the handset without ceremony: no farewell, no orderly end.
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

// scan reads the rows of the database.
func (h *handset) scan() (map[record.ID]row, record.ReplicaID, error) {
	var replica record.ReplicaID
	var b []byte
	if err := h.db.QueryRow("SELECT value FROM meta WHERE key = 'replica'").Scan(&b); err == nil {
		copy(replica[:], b)
	} else if !errors.Is(err, sql.ErrNoRows) {
		return nil, replica, err
	}
	rows, err := h.db.Query("SELECT r.id, r.kind, r.vid, r.deleted, r.conflicts, d.n IS NOT NULL, coalesce(d.hold, 0), h.vid, coalesce(h.state, 0), coalesce(h.over, 0) FROM record r LEFT JOIN dirty d ON d.n = r.n LEFT JOIN held h ON h.n = r.n")
	if err != nil {
		return nil, replica, err
	}
	defer rows.Close()
	all := map[record.ID]row{}
	for rows.Next() {
		var r row
		var id string
		var vid, held []byte
		if err := rows.Scan(&id, &r.kind, &vid, &r.deleted, &r.conflicts, &r.dirty, &r.hold, &held, &r.state, &r.over); err != nil {
			return nil, replica, err
		}
		if vid != nil {
			r.vid = new(record.VersionID)
			copy(r.vid[:], vid)
		}
		if held != nil {
			r.held = new(record.VersionID)
			copy(r.held[:], held)
		}
		rid, err := record.ParseID(id)
		if err != nil {
			return nil, replica, err
		}
		all[rid] = r
	}
	return all, replica, rows.Err()
}

// want returns what the app wants of a record, to be changed; nil if the
// handset does not know the record.
func (h *handset) want(id record.ID) (*pending, error) {
	if p := h.pending[id]; p != nil {
		return p.clone(), nil
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
	h.pending[id] = p
	var err error
	h.rows, h.replica, err = h.scan()
	return err
}

// settled takes what happened in the store during one event, and checks it. in
// are the versions that came.
func (h *handset) settled(in map[record.ID][]record.VersionID, aborted bool) error {
	rows, replica, err := h.scan()
	if err != nil {
		return err
	}
	before, was := h.rows, h.replica
	h.rows, h.replica = rows, replica
	for _, id := range slices.SortedFunc(maps.Keys(rows), compareIDs) {
		t := transition{h: h, id: id, old: before[id], now: rows[id], was: was, in: in[id], aborted: aborted}
		if err := t.run(); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	for id := range before {
		if _, ok := rows[id]; !ok && before[id].vid != nil {
			return fmt.Errorf("%s: I1: the row of %s is gone", h.name, name(id))
		}
		if _, ok := rows[id]; !ok {
			delete(h.pending, id) // erased: nobody else ever saw it
		}
	}
	return nil
}

func compareIDs(a, b record.ID) int { return bytes.Compare(a[:], b[:]) }

// transition is what became of one record of one handset in one event.
type transition struct {
	h        *handset
	id       record.ID
	old, now row
	was      record.ReplicaID // whose dots the handset wrote before
	in       []record.VersionID
	aborted  bool
}

func (t *transition) run() error {
	h, l := t.h, t.h.w.ledger
	same, sameHeld := equalIDs(t.now.vid, t.old.vid), equalIDs(t.now.held, t.old.held)
	p := h.pending[t.id]
	if same && sameHeld && len(t.in) == 0 && (p == nil || t.now.dirty) {
		return nil
	}
	if t.now.vid == nil && t.old.vid != nil {
		return fmt.Errorf("the version of %s is gone", name(t.id))
	}
	k, err := t.read(t.now.vid, false)
	if err != nil {
		return err
	}
	held, err := t.read(t.now.held, true)
	if err != nil {
		return err
	}
	events, beside := l.history(t.old.vid), l.history(t.old.held)
	if h.replica != t.was {
		if !same && t.old.vid != nil {
			events = l.fork(events, t.was, h.replica, k.version.Vector[t.was], k.version.Vector[h.replica])
		}
		if !sameHeld && held != nil && t.old.held != nil {
			beside = l.fork(beside, t.was, h.replica, held.version.Vector[t.was], held.version.Vector[h.replica])
		}
	}
	if p != nil && p.deleted && t.old.hold == 1 && (!t.now.dirty || t.now.hold != 1) && len(t.in) > 0 {
		p.deleted = false // what came is newer than the deletion that was held
	}
	if p != nil && !t.now.dirty {
		delete(h.pending, t.id)
		issued := t.issue(p, events, k)
		if !issued.minus(events).empty() && same {
			return fmt.Errorf("I1: edits of %s were dropped:%s", name(t.id), l.describe(issued.minus(events)))
		}
		events = issued
	}
	if h.purging && !same && p == nil && k.version.Purged() && !t.base().Purged() {
		events = events.with(l.add(event{rec: t.id, kind: purge, replica: h.replica, counter: k.version.Vector[h.replica], past: events, by: h.name}).id)
	}
	// What came is in the version, or in what is set aside beside it.
	all := events.union(beside)
	aside := beside
	for _, vid := range t.in {
		if t.aborted && same && sameHeld {
			continue
		}
		in := l.versions[vid]
		all = all.union(in.events)
		if k.version.Vector.Includes(in.version.Vector) {
			events = events.union(in.events)
		} else {
			aside = aside.union(in.events)
		}
	}
	if held == nil || h.w.ledger.versions[*t.now.vid] == nil && t.old.held != nil && k.version.Vector.Includes(l.versions[*t.old.held].version.Vector) {
		events = all
	}
	if held != nil && !sameHeld && l.versions[held.vid] == nil {
		held.events = aside
		if err := l.rescues(held, h.name); err != nil {
			return err
		}
		if err := l.enter(held); err != nil {
			return fmt.Errorf("set aside: %w\n  was %s", err, t.describeOld())
		}
	}
	if !same && l.versions[k.vid] == nil {
		k.events = events
		if t.old.state == 3 && held == nil && !k.version.Dead() { // it may have been deleted here since
			if err := t.rejected(k, events); err != nil {
				return err
			}
		}
		if err := l.rescues(k, h.name); err != nil {
			return err
		}
		if err := l.enter(k); err != nil {
			return fmt.Errorf("%w\n  was %s", err, t.describeOld())
		}
		if err := t.maimed(k); err != nil {
			return err
		}
	}
	have := l.history(t.now.vid).union(l.history(t.now.held))
	if lost := l.untwinned(all.minus(have), have); !lost.empty() {
		return fmt.Errorf("I1: %s lacks%s\n  it is %s\n  was %s", name(t.id), l.describe(lost), describe(k.version), t.describeOld())
	}
	return nil
}

// read gives what the ledger knows of a version that the row has now, or what
// the store says of it.
func (t *transition) read(vid *record.VersionID, held bool) (*known, error) {
	if vid == nil {
		return nil, nil
	}
	if k := t.h.w.ledger.versions[*vid]; k != nil {
		return k, nil
	}
	if held {
		var b []byte
		if err := t.h.db.QueryRow("SELECT version FROM held WHERE vid = ?", vid[:]).Scan(&b); err != nil {
			return nil, err
		}
		v, err := record.Decode(b)
		return &known{kind: t.now.kind, id: t.id, vid: *vid, version: v}, err
	}
	o, err := t.h.store.Version(context.Background(), t.id)
	if err != nil {
		return nil, err
	}
	if o.VersionID != *vid {
		return nil, fmt.Errorf("version of %s is %s, and its row says %s", name(t.id), o.VersionID, vid)
	}
	return &known{kind: o.Kind, id: t.id, vid: o.VersionID, version: o.Version}, nil
}

// rejected makes events of what undoing a held deletion wrote: values that were
// there on one side, under fresh dots. No key of the record may be missing.
func (t *transition) rejected(k *known, past set) error {
	l := t.h.w.ledger
	possible := l.view(past).loose
	for key, es := range l.view(l.history(t.old.vid)).values {
		possible[key] = append(slices.Clone(possible[key]), es...)
	}
	add := func(e event) {
		e.rec, e.replica, e.counter, e.past, e.by = t.id, t.h.replica, k.version.Vector[t.h.replica], past, t.h.name+" rejects"
		k.events = k.events.with(l.add(e).id)
	}
	for _, key := range k.version.Keys() {
		for i := range k.version.Fields[key] {
			e := &k.version.Fields[key][i]
			if l.dots[e.Dot] {
				continue
			}
			value := valueOf(e.Line)
			if !slices.ContainsFunc(possible[key], func(o *event) bool { return o.value == value }) {
				return fmt.Errorf("%s: a reject wrote %s=%s, which nobody wrote", name(t.id), key, value)
			}
			add(event{kind: write, key: key, value: value})
		}
	}
	add(event{kind: alive})
	if b := t.base(); b != nil {
		for _, key := range b.Keys() {
			removed := slices.ContainsFunc(l.of(past), func(o *event) bool { return o.kind == remove && o.key == key })
			if len(k.version.Fields[key]) == 0 && !removed {
				return fmt.Errorf("I6: %s: a reject left out %s: %s", name(t.id), key, describe(k.version))
			}
		}
	}
	return nil
}

func equalIDs(a, b *record.VersionID) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func (t *transition) base() *record.Version {
	if t.old.vid == nil {
		return nil
	}
	return t.h.w.ledger.versions[*t.old.vid].version
}

func (t *transition) describeOld() string {
	s := "nothing"
	if b := t.base(); b != nil {
		s = describe(b)
	}
	if t.old.held != nil {
		s += "\n  held " + describe(t.h.w.ledger.versions[*t.old.held].version)
	}
	for _, vid := range t.in {
		s += "\n  came " + describe(t.h.w.ledger.versions[vid].version)
	}
	return s
}

// issue makes events of what the app wanted, against the version that it saw.
func (t *transition) issue(p *pending, seen set, k *known) set {
	h, l := t.h, t.h.w.ledger
	var base []record.Field
	dead := false
	if b := t.base(); b != nil {
		base, dead = b.Lines(), b.Dead()
	}
	all := seen
	add := func(e event) {
		e.rec, e.replica, e.by = t.id, h.replica, h.name
		if k != nil {
			e.counter = k.version.Vector[h.replica]
		}
		all = all.with(l.add(e).id)
	}
	if dead && !p.deleted {
		past := all
		for _, es := range l.view(past).values {
			for _, e := range es {
				add(event{kind: write, key: e.key, value: e.value, past: past})
			}
		}
		add(event{kind: alive, past: past})
	}
	old := map[string]string{}
	for _, f := range base {
		old[f.Key] = string(f.Line)
	}
	edited := false
	for _, f := range p.fields {
		if line, there := old[f.Key]; there && line == string(f.Line) && !p.keys[f.Key] {
			delete(old, f.Key)
			continue
		}
		delete(old, f.Key)
		edited = true
		add(event{kind: write, key: f.Key, value: valueOf(f.Line), past: all})
	}
	for _, f := range base {
		if _, left := old[f.Key]; left {
			edited = true
			add(event{kind: remove, key: f.Key, past: all})
		}
	}
	if edited && len(l.view(all).deletes) > 0 {
		add(event{kind: alive, past: all})
	}
	if p.deleted && !l.view(all).dead {
		add(event{kind: del, past: all})
	}
	return all
}

// maimed is I7: where a living version was joined into a living one, no key of
// it has vanished but by a write that saw it.
func (t *transition) maimed(k *known) error {
	if k.version.Dead() {
		return nil
	}
	inputs := slices.Clone(t.in)
	if t.old.vid != nil {
		inputs = append(inputs, *t.old.vid)
	}
	l := t.h.w.ledger
	for _, vid := range inputs {
		in := l.versions[vid]
		if in.version.Dead() || !in.events.minus(k.events).empty() { // or set aside beside it
			continue
		}
		for _, key := range in.version.Keys() {
			if len(k.version.Fields[key]) > 0 {
				continue
			}
			replaced := true
			for _, e := range l.view(in.events).values[key] {
				gone := slices.ContainsFunc(l.of(k.events), func(o *event) bool {
					return o.past.has(e.id) && ((o.kind == write || o.kind == remove) && o.key == key ||
						o.kind == purge && in.events.minus(o.past).empty()) // purged as a whole: nothing was written beside it
				})
				replaced = replaced && gone
			}
			if !replaced {
				return fmt.Errorf("I7: %s lives and has lost %s, which nobody removed: %s\n  of %s\n  was %s%s", name(t.id), key, describe(k.version), describe(in.version), t.describeOld(), l.describe(k.events))
			}
		}
	}
	return nil
}

// save copies the handset's files.
func (h *handset) save(dir string) (image, error) {
	pending := map[record.ID]*pending{}
	for id, p := range h.pending {
		pending[id] = p.clone()
	}
	return image{dir, pending}, copyFiles(h.dir, dir, localstore.FileName)
}

// load makes the handset what an image holds. raw hides from the store that
// its file is a copy, as an image of a whole disk does.
func (h *handset) load(i image, raw bool) error {
	if err := os.RemoveAll(h.dir); err != nil {
		return err
	}
	if err := copyFiles(i.dir, h.dir, localstore.FileName); err != nil {
		return err
	}
	h.pending = map[record.ID]*pending{}
	for id, p := range i.pending {
		h.pending[id] = p.clone()
	}
	if raw {
		if err := hideCopy(filepath.Join(h.dir, localstore.FileName)); err != nil {
			return err
		}
	}
	return h.open()
}

// copyFiles copies a database with its write-ahead log.
func copyFiles(from, to, file string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, f := range []string{file, file + "-wal"} {
		b, err := os.ReadFile(filepath.Join(from, f))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hideCopy makes a copied database believe that it is the file that it was.
func hideCopy(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer db.Close()
	var text string
	if err := db.QueryRow("SELECT value FROM meta WHERE key = 'provenance'").Scan(&text); err != nil {
		return err
	}
	var was map[string]string
	if err := json.Unmarshal([]byte(text), &was); err != nil {
		return err
	}
	was["File"] = fmt.Sprintf("inode %d", fi.Sys().(*syscall.Stat_t).Ino)
	b, err := json.Marshal(was)
	if err != nil {
		return err
	}
	_, err = db.Exec("UPDATE meta SET value = ? WHERE key = 'provenance'", string(b))
	return err
}

// digests counts the device's versions of each kind, from its rows.
func (h *handset) digests() map[record.Kind]rangeset.Digest {
	all := map[record.Kind]rangeset.Digest{}
	for _, r := range h.rows {
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
