package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

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
	disaster bool           // files were copied, put back or lost: what makes a replica fork
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
	w.cloud = newPlace(w)
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
	h := &handset{w: w, name: string(rune('a' + len(w.handsets))), dir: w.folder("handset"), id: id, memory: newMemory(), rows: &rows{}}
	w.handsets = append(w.handsets, h)
	return h, h.fresh()
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
	"put": 10, "set": 34, "unset": 10, "resolve": 4, "delete": 14, "undelete": 8, "sql": 12,
	"deleteall": 3, "emptyall": 2, "accept": 2, "reject": 2, "remember": 4, "rollback": 4,
	"sync": 34, "open": 14, "pump": 30, "cut": 6, "kill": 4, "tear": 6, "full": 4,
	"image": 4, "midway": 5, "revert": 4, "clone": 3, "twins": 5, "clock": 3, "day": 5, "trash": 6, "losepiece": 2, "maintain": 2,
	"killcloud": 2, "tearcloud": 4, "fullcloud": 3, "backup": 4, "restore": 3, "wipe": 2, "lose": 4, "corrupt": 3,
	"restoring": 4, "scrub": 2, "poison": 2,
}

var verbs = map[string]func(w *world, n [3]int) error{
	"put":       func(w *world, n [3]int) error { return w.handset(n[0]).put(n[1], n[2]) },
	"set":       func(w *world, n [3]int) error { return w.handset(n[0]).set(n[1], n[2]) },
	"unset":     func(w *world, n [3]int) error { return w.handset(n[0]).unset(n[1], n[2]) },
	"resolve":   func(w *world, n [3]int) error { return w.handset(n[0]).resolve(n[1], n[2]) },
	"delete":    func(w *world, n [3]int) error { return w.handset(n[0]).remove(n[1]) },
	"undelete":  func(w *world, n [3]int) error { return w.handset(n[0]).undelete(n[1]) },
	"sql":       func(w *world, n [3]int) error { return w.handset(n[0]).sql(n[1], n[2]) },
	"deleteall": func(w *world, n [3]int) error { return w.handset(n[0]).deleteAll(n[1]) },
	"emptyall":  func(w *world, n [3]int) error { return w.handset(n[0]).emptyAll(n[1]) },
	"accept":    func(w *world, n [3]int) error { return w.handset(n[0]).accept() },
	"reject":    func(w *world, n [3]int) error { return w.handset(n[0]).reject() },
	"remember":  func(w *world, n [3]int) error { return w.handset(n[0]).remember() },
	"rollback":  func(w *world, n [3]int) error { return w.handset(n[0]).rollback(n[1], n[2]) },

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

	"kill":      func(w *world, n [3]int) error { return w.handset(n[0]).kill() },
	"tear":      func(w *world, n [3]int) error { return w.handset(n[0]).tear(rngOf(n[0], n[1], n[2])) },
	"full":      func(w *world, n [3]int) error { return w.handset(n[0]).full(n) },
	"image":     func(w *world, n [3]int) error { return w.handset(n[0]).keepImage() },
	"midway":    func(w *world, n [3]int) error { return w.handset(n[0]).midway(n[1], n[2]) },
	"revert":    func(w *world, n [3]int) error { return w.handset(n[0]).revert(n[1], n[2]%3 > 0) },
	"clone":     func(w *world, n [3]int) error { return w.clone(w.handset(n[0]), n[2]%3 > 0) },
	"twins":     func(w *world, n [3]int) error { return w.twins(w.handset(n[0]), n[1], n[2]) },
	"clock":     func(w *world, n [3]int) error { return w.handset(n[0]).setClock(n[1]) },
	"day":       func(w *world, n [3]int) error { w.clock = w.clock.Add(day); return nil },
	"trash":     func(w *world, n [3]int) error { return w.handset(n[0]).trash(rngOf(n[0], n[1], n[2]), n[1], n[2]) },
	"losepiece": func(w *world, n [3]int) error { return w.handset(n[0]).losePiece() },
	"maintain":  func(w *world, n [3]int) error { return w.handset(n[0]).maintain() },

	"killcloud": func(w *world, n [3]int) error { return w.cloud.kill() },
	"tearcloud": func(w *world, n [3]int) error { return w.tearCloud(rngOf(n[0], n[1], n[2])) },
	"fullcloud": func(w *world, n [3]int) error { return w.fullCloud(n) },
	"backup":    func(w *world, n [3]int) error { return w.cloud.backup(w.folder("backup")) },
	"restore": func(w *world, n [3]int) error {
		if b := w.cloud.backups; len(b) > 0 {
			return w.cloud.restore(b[n[0]%len(b)])
		}
		return nil
	},
	"wipe":      func(w *world, n [3]int) error { return w.cloud.wipe() },
	"lose":      func(w *world, n [3]int) error { return w.lose(n) },
	"corrupt":   func(w *world, n [3]int) error { return w.corrupt(n) },
	"restoring": func(w *world, n [3]int) error { return w.cloud.toggleRestoring(n[1]) },
	"scrub":     func(w *world, n [3]int) error { return w.cloud.scrub() },
	"poison":    func(w *world, n [3]int) error { return w.poison(n[1], n[2]) },
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

// claims is I4: what a handset calls in sync is so.
func (h *handset) claims() error {
	if h.link == nil {
		return nil
	}
	own := h.rows.count()
	c := h.w.cloud
	for _, k := range h.link.device.Kinds() {
		if !k.Proven {
			continue
		}
		if d := own[k.Kind]; k.Kind != record.Witness && !d.Equal(k.Own) {
			return fmt.Errorf("%s: I4: it counts %d versions of %s, and has %d", h.name, k.Own.Count, k.Kind, d.Count)
		}
		if c.restoring[k.Kind] {
			return fmt.Errorf("%s: I4: it says that %s is in sync, which is being restored", h.name, k.Kind)
		}
		if c.doubted {
			continue
		}
		if d := c.kinds[k.Kind]; uint64(k.Head) == c.heads[k.Kind] && !d.Equal(k.Own) {
			return fmt.Errorf("%s: I4: it says that %s is in sync, with %d versions, and the cloud has %d", h.name, k.Kind, k.Own.Count, d.Count)
		}
		if at := (stand{c.store.Epoch(), k.Kind, uint64(k.Head)}); k.Head > 0 && !c.was[at][k.Own] {
			return fmt.Errorf("%s: I4: it says that %s was in sync at %d, and the cloud never was so", h.name, k.Kind, k.Head)
		}
	}
	return nil
}
