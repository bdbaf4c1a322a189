package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

const (
	day         = 25 * time.Hour // the brake's window has passed
	handsetsMax = 5
)

// world is one history under way.
type world struct {
	ctx      context.Context
	dir      string
	clock    time.Time
	random   io.Reader
	secret   seal.Secret
	keys     *seal.Keys
	ledger   *ledger
	cloud    *place
	handsets []*handset
	serial   int            // of folders and values
	counts   map[string]int // of what happened, for people
}

// newWorld makes three handsets with empty stores and an empty cloud.
func newWorld(dir string) (*world, error) {
	w := &world{ctx: context.Background(), dir: dir, clock: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), ledger: newLedger(), counts: map[string]int{}}
	w.random = rand.NewChaCha8([32]byte{1})
	var err error
	if w.secret, err = seal.NewSecret(w.random); err != nil {
		return nil, err
	}
	w.cloud = &place{w: w, dir: w.folder("cloud"), damaged: map[record.VersionID]bool{}}
	for range 3 {
		if _, err := w.join(); err != nil {
			return nil, err
		}
	}
	return w, w.cloud.open()
}

func (w *world) now() time.Time { return w.clock }

func (w *world) folder(what string) string {
	w.serial++
	return filepath.Join(w.dir, fmt.Sprintf("%s-%d", what, w.serial))
}

// join adds a handset of the person with an empty store.
func (w *world) join() (*handset, error) {
	id, err := seal.NewIdentity(w.secret, w.random)
	if err != nil {
		return nil, err
	}
	w.keys = id.Keys()
	h := &handset{w: w, name: string(rune('a' + len(w.handsets))), dir: w.folder("handset"), id: id, pending: map[record.ID]*pending{}}
	w.handsets = append(w.handsets, h)
	return h, h.open()
}

func (w *world) close() error {
	var errs []error
	for _, h := range w.handsets {
		if h.store != nil {
			errs = append(errs, h.close())
		}
	}
	if w.cloud.store != nil {
		errs = append(errs, w.cloud.db.Close(), w.cloud.store.Close())
	}
	return errors.Join(errs...)
}

func (w *world) handset(n int) *handset { return w.handsets[n%len(w.handsets)] }

func rngOf(n ...int) *rand.Rand {
	var seed [2]uint64
	for i, v := range n {
		seed[i%2] = seed[i%2]*61 + uint64(v)
	}
	return rand.New(rand.NewPCG(seed[0], seed[1]))
}

// verbWeights says how often each action is drawn.
var verbWeights = map[string]int{
	"put": 10, "set": 34, "unset": 8, "resolve": 4, "delete": 14, "undelete": 8, "deleteall": 2, "accept": 2, "reject": 2,
	"sync": 34, "open": 14, "pump": 30, "cut": 6, "kill": 5,
	"image": 4, "midway": 5, "revert": 4, "clone": 3, "clock": 3, "day": 5, "trash": 4,
	"killcloud": 3, "backup": 4, "restore": 3, "wipe": 2, "lose": 3, "corrupt": 3,
}

var verbs = map[string]func(w *world, n [3]int) error{
	"put":       func(w *world, n [3]int) error { return w.handset(n[0]).put(n[1], n[2]) },
	"set":       func(w *world, n [3]int) error { return w.handset(n[0]).set(n[1], n[2]) },
	"unset":     func(w *world, n [3]int) error { return w.handset(n[0]).unset(n[1], n[2]) },
	"resolve":   func(w *world, n [3]int) error { return w.handset(n[0]).resolve(n[1], n[2]) },
	"delete":    func(w *world, n [3]int) error { return w.handset(n[0]).remove(n[1]) },
	"undelete":  func(w *world, n [3]int) error { return w.handset(n[0]).undelete(n[1]) },
	"deleteall": func(w *world, n [3]int) error { return w.handset(n[0]).deleteAll(n[1]) },
	"accept":    func(w *world, n [3]int) error { return w.handset(n[0]).accept() },
	"reject":    func(w *world, n [3]int) error { return w.handset(n[0]).reject() },
	"sync": func(w *world, n [3]int) error {
		limit := 0
		switch {
		case n[1]%6 == 0: // in the midst of things
			limit = 1 + n[1]/3 + n[2]/4
		case n[1]%6 == 3: // about when the first push goes out
			limit = 3 + n[2]%6
		}
		_, err := w.handset(n[0]).sync(rngOf(n[0], n[1], n[2]), limit, n[2]%4)
		return err
	},
	"open": func(w *world, n [3]int) error {
		if h := w.handset(n[0]); h.link == nil {
			return h.connect(false)
		}
		return nil
	},
	"pump": func(w *world, n [3]int) error { return w.pump(rngOf(n[0], n[1], n[2]), 1+n[0]*n[1]/8) },
	"cut": func(w *world, n [3]int) error {
		if h := w.handset(n[0]); h.link != nil {
			return h.link.lose(n[1] % 4)
		}
		return nil
	},
	"kill": func(w *world, n [3]int) error {
		h := w.handset(n[0])
		if err := h.close(); err != nil {
			return err
		}
		return h.open()
	},
	"image":  func(w *world, n [3]int) error { return w.handset(n[0]).keepImage() },
	"midway": func(w *world, n [3]int) error { return w.handset(n[0]).midway(n[1], n[2]) },
	"revert": func(w *world, n [3]int) error { return w.handset(n[0]).revert(n[1], n[2]%3 > 0) },
	"clone":  func(w *world, n [3]int) error { return w.clone(w.handset(n[0]), n[2]%3 > 0) },
	"clock": func(w *world, n [3]int) error {
		h := w.handset(n[0])
		to := []time.Time{w.clock, time.Unix(0, 0), time.Unix(1<<31+100, 0), w.clock.Add(-300 * day), w.clock.Add(300 * day)}[n[1]%5]
		h.offset = to.Sub(w.clock)
		return nil
	},
	"day":       func(w *world, n [3]int) error { w.clock = w.clock.Add(day); return nil },
	"trash":     func(w *world, n [3]int) error { return w.handset(n[0]).trash(rngOf(n[0], n[1], n[2])) },
	"killcloud": func(w *world, n [3]int) error { return w.cloud.reopen(nil) },
	"backup":    func(w *world, n [3]int) error { return w.cloud.backup(w.folder("backup")) },
	"restore": func(w *world, n [3]int) error {
		if b := w.cloud.backups; len(b) > 0 {
			return w.cloud.restore(b[n[0]%len(b)])
		}
		return nil
	},
	"wipe":    func(w *world, n [3]int) error { return w.cloud.wipe() },
	"lose":    func(w *world, n [3]int) error { return w.lose(n) },
	"corrupt": func(w *world, n [3]int) error { return w.corrupt(n) },
}

// run carries out a script, lets everything come to rest, and checks it.
func (w *world) run(s script) error {
	for i, a := range s {
		w.clock = w.clock.Add(time.Minute)
		w.counts["do "+a.verb]++
		if err := verbs[a.verb](w, a.n); err != nil {
			return fmt.Errorf("action %d, %s: %w", i+1, a, err)
		}
	}
	return w.rest()
}

// pump works on all open connections, in any order.
func (w *world) pump(rng *rand.Rand, steps int) error {
	for range steps {
		order := rng.Perm(len(w.handsets))
		any := false
		for _, i := range order {
			if l := w.handsets[i].link; l != nil {
				did, err := l.work(rng.IntN)
				if err != nil {
					return err
				}
				if any = any || did; did {
					break
				}
			}
		}
		if !any {
			return nil
		}
	}
	return nil
}

func (w *world) value() string {
	w.serial++
	return fmt.Sprintf("v%d", w.serial)
}

func fieldOf(key, value string) record.Field {
	return record.Field{Key: key, Line: []byte(key + ":" + value)}
}

func (h *handset) put(n, mask int) error {
	kind, id := recordOf(n)
	var fields []record.Field
	for i, key := range kindKeys[kind] {
		if i == 0 || mask&(1<<i) != 0 {
			fields = append(fields, fieldOf(key, h.w.value()))
		}
	}
	p, err := h.want(id)
	if err != nil {
		return err
	}
	if p == nil {
		p = &pending{keys: map[string]bool{}}
	}
	p.fields, p.deleted = fields, false
	if err := h.store.Put(h.w.ctx, kind, id, fields); err != nil {
		return err
	}
	return h.wanted(id, p)
}

// edit changes a living record, if the handset has it.
func (h *handset) edit(n int, change func(*pending), keys ...string) error {
	_, id := recordOf(n)
	p, err := h.want(id)
	if err != nil || p == nil || p.deleted {
		return err
	}
	change(p)
	err = h.store.Edit(h.w.ctx, id, func(record.Kind, []record.Field) ([]record.Field, error) { return p.fields, nil }, keys...)
	if err != nil {
		return err
	}
	if h.rows[id].conflicts > 0 {
		for _, k := range keys {
			p.keys[k] = true
		}
	}
	return h.wanted(id, p)
}

func (h *handset) set(n, m int) error {
	kind, _ := recordOf(n)
	return h.edit(n, func(p *pending) {
		for i, key := range kindKeys[kind] {
			if i != m%4 && (m < 40 || i != m/4%4) {
				continue
			}
			f := fieldOf(key, h.w.value())
			if at := slices.IndexFunc(p.fields, func(o record.Field) bool { return o.Key == key }); at >= 0 {
				p.fields[at] = f
			} else {
				p.fields = append(p.fields, f)
			}
		}
	})
}

func (h *handset) unset(n, m int) error {
	kind, _ := recordOf(n)
	key := kindKeys[kind][1+m%3]
	return h.edit(n, func(p *pending) {
		p.fields = slices.DeleteFunc(p.fields, func(f record.Field) bool { return f.Key == key })
	})
}

func (h *handset) resolve(n, m int) error {
	kind, _ := recordOf(n)
	return h.edit(n, func(*pending) {}, kindKeys[kind][m%4])
}

func (h *handset) remove(n int) error {
	_, id := recordOf(n)
	p, err := h.want(id)
	if err != nil || p == nil || p.deleted {
		return err
	}
	p.deleted = true
	if err := h.store.Delete(h.w.ctx, id); err != nil {
		return err
	}
	return h.wanted(id, p)
}

func (h *handset) undelete(n int) error {
	_, id := recordOf(n)
	p, err := h.want(id)
	if err != nil || p == nil || !p.deleted {
		return err
	}
	p.deleted = false
	err = h.store.Undelete(h.w.ctx, id)
	if errors.Is(err, localstore.ErrPurged) {
		if len(p.fields) > 0 {
			return fmt.Errorf("%s is called purged and has fields", name(id))
		}
		return nil
	}
	if err != nil {
		return err
	}
	return h.wanted(id, p)
}

func (h *handset) deleteAll(n int) error {
	for i := range recordsMax {
		if kind, _ := recordOf(i); n%4 == 0 || kind == record.Contacts {
			if err := h.remove(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// accept lets held deletions go, and those in that came.
func (h *handset) accept() error {
	if _, err := h.store.AcceptHeld(h.w.ctx, ""); err != nil {
		return err
	}
	return h.settled(nil, false)
}

// reject undoes what is held.
func (h *handset) reject() error {
	before := h.rows
	if _, err := h.store.RejectHeld(h.w.ctx, ""); err != nil {
		return err
	}
	var err error
	if h.rows, h.replica, err = h.scan(); err != nil {
		return err
	}
	for id, r := range before {
		p := h.pending[id]
		if r.hold != 1 || p == nil {
			continue
		}
		if p.deleted {
			p.deleted = false
		} else if r.vid != nil {
			p.fields = h.w.ledger.versions[*r.vid].version.Lines()
		}
		if !h.rows[id].dirty {
			delete(h.pending, id)
		}
	}
	return nil
}

func (h *handset) keepImage() error {
	i, err := h.save(h.w.folder("image"))
	h.images = append(h.images, i)
	return err
}

// midway begins a session, and keeps an image, or makes a clone, of what the
// files hold when some messages of it were delivered.
func (h *handset) midway(n, m int) error {
	if h.link != nil {
		if err := h.link.lose(0); err != nil {
			return err
		}
	}
	if err := h.connect(false); err != nil {
		return err
	}
	first := func(int) int { return 0 }
	for range n % 8 {
		if h.link == nil {
			break
		}
		if _, err := h.link.work(first); err != nil {
			return err
		}
	}
	if m%3 == 0 {
		return h.w.clone(h, m%2 == 0)
	}
	return h.keepImage()
}

// revert puts an old image of the handset back.
func (h *handset) revert(n int, raw bool) error {
	if len(h.images) == 0 {
		return nil
	}
	if err := h.close(); err != nil {
		return err
	}
	return h.load(h.images[n%len(h.images)], raw)
}

// clone makes another handset of the files of one.
func (w *world) clone(h *handset, raw bool) error {
	if len(w.handsets) >= handsetsMax {
		return nil
	}
	i, err := h.save(w.folder("image"))
	if err != nil {
		return err
	}
	c := &handset{w: w, name: string(rune('a' + len(w.handsets))), dir: w.folder("handset"), id: h.id, images: slices.Clone(h.images)}
	if err := c.load(i, raw); err != nil {
		return err
	}
	w.handsets = append(w.handsets, c)
	return nil
}

// trash empties the trash in a session that is in sync.
func (h *handset) trash(rng *rand.Rand) error {
	if err := h.store.Ran(h.w.ctx, 40*24*time.Hour); err != nil {
		return err
	}
	if h.link == nil {
		if err := h.connect(false); err != nil {
			return err
		}
	}
	l := h.link
	if _, err := l.finish(rng, 0); err != nil || h.link != l {
		return err
	}
	h.purging = true
	defer func() { h.purging = false }()
	l.device.Expire()
	return l.after(nil)
}

// lose takes rows from the cloud: those of a kind, or some of all.
func (w *world) lose(n [3]int) error {
	work := func() error {
		if n[0]%2 == 0 {
			kind, _ := recordOf(n[1])
			return w.cloud.damage("DELETE FROM version WHERE kind = ?", string(kind))
		}
		return w.cloud.damage("DELETE FROM version WHERE (seq * 7 + ?) % ? = 0", n[1], 2+n[2]%9)
	}
	if n[2]%3 == 0 { // under the running cloud
		return work()
	}
	if err := work(); err != nil {
		return err
	}
	return w.cloud.reopen(nil)
}

// corrupt flips a bit in the bodies of some rows.
func (w *world) corrupt(n [3]int) error {
	rows, err := w.cloud.db.Query("SELECT version, seq, body FROM version WHERE (seq * 5 + ?) % ? = 0", n[0], 1+n[1]%9)
	if err != nil {
		return err
	}
	type damaged struct {
		seq  int64
		body []byte
	}
	var list []damaged
	for rows.Next() {
		var d damaged
		var version []byte
		if err := rows.Scan(&version, &d.seq, &d.body); err != nil {
			return err
		}
		if !w.cloud.damaged[record.VersionID(version)] {
			d.body[n[2]%len(d.body)] ^= 1 << (n[2] % 8)
			list = append(list, d)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, d := range list {
		if _, err := w.cloud.db.Exec("UPDATE version SET body = ? WHERE seq = ?", d.body, d.seq); err != nil {
			return err
		}
	}
	w.cloud.corrupted = w.cloud.corrupted || len(list) > 0
	return w.cloud.scan()
}

// claims is I4: what a handset calls in sync is so.
func (h *handset) claims() error {
	if h.link == nil {
		return nil
	}
	own := h.digests()
	c := h.w.cloud
	for _, k := range h.link.device.Kinds() {
		if !k.Proven {
			continue
		}
		if d := own[k.Kind]; k.Kind != record.Witness && !d.Equal(k.Own) {
			return fmt.Errorf("%s: I4: it counts %d versions of %s, and has %d", h.name, k.Own.Count, k.Kind, d.Count)
		}
		if d := c.kinds[k.Kind]; !c.doubted && uint64(k.Head) == c.heads[k.Kind] && !d.Equal(k.Own) {
			return fmt.Errorf("%s: I4: it says that %s is in sync, with %d versions, and the cloud has %d", h.name, k.Kind, k.Own.Count, d.Count)
		}
	}
	return nil
}
