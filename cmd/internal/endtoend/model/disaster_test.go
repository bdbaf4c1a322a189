package model

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

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
	h.w.disaster = true
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
	w.disaster = true
	i, err := h.save(w.folder("image"))
	if err != nil {
		return err
	}
	c := &handset{w: w, name: string(rune('a' + len(w.handsets))), dir: w.folder("handset"), id: h.id, images: slices.Clone(h.images), rows: &rows{}}
	if err := c.load(i, raw); err != nil {
		return err
	}
	w.handsets = append(w.handsets, c)
	return nil
}

// setClock makes the handset's clock jump.
func (h *handset) setClock(n int) error {
	to := []time.Time{h.w.clock, time.Unix(0, 0), time.Unix(1<<31+100, 0), h.w.clock.Add(-300 * day), h.w.clock.Add(300 * day)}[n%5]
	h.offset = to.Sub(h.w.clock)
	h.took, h.gave = nil, nil // of its days the handset knows no more than its clock
	return nil
}

// twins copies a handset, has both write, and lets their sessions cross: the
// first is cut about when it would push.
func (w *world) twins(h *handset, n, m int) error {
	if len(w.handsets) >= handsetsMax {
		return nil
	}
	if err := w.clone(h, m%4 > 0); err != nil {
		return err
	}
	c := w.handsets[len(w.handsets)-1]
	if m%2 == 0 {
		h, c = c, h
	}
	rng := rngOf(n, m)
	sync := func(h *handset, limit int) error {
		_, err := h.sync(rng, limit, 0)
		return err
	}
	for i, h := range []*handset{h, c} {
		if err := h.set(n+i*m, m); err != nil {
			return err
		}
	}
	for _, do := range []func() error{
		func() error { return sync(h, 3+m%9) }, func() error { return sync(c, 0) },
		func() error { return h.set(m, n) }, func() error { return sync(h, 0) },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// trash lets the handset run for some time, then empties the trash in a session,
// at rest or in the midst of things.
func (h *handset) trash(rng *rand.Rand, n, m int) error {
	runs := []time.Duration{40, 11, 29}[n%3] * 24 * time.Hour
	if err := h.store.Ran(h.w.ctx, runs); err != nil {
		return h.refused(err)
	}
	h.ran += runs
	if h.link == nil {
		if err := h.connect(false); err != nil {
			return err
		}
	}
	l, limit := h.link, 0
	if m%4 == 0 {
		limit = 1 + m/2
	}
	if _, err := l.finish(rng, limit); err != nil || h.link != l {
		return err
	}
	kinds := l.device.Kinds()
	h.purging, h.proven = true, len(kinds) > 0
	defer func() { h.purging, h.proven = false, false }()
	for _, k := range kinds {
		h.proven = h.proven && k.Proven
	}
	l.device.Expire()
	return l.after(news{})
}

// maintain does what an agent does when it is idle.
func (h *handset) maintain() error {
	if err := h.store.Maintain(h.w.ctx); err != nil {
		return err
	}
	return h.settled(news{})
}

// losePiece takes the pieces of pictures from the handset, as a salvage of its
// database may.
func (h *handset) losePiece() error {
	if h.link != nil {
		if err := h.link.lose(0); err != nil {
			return err
		}
	}
	if err := h.app("UPDATE chunk SET size = NULL, sent = 0; DELETE FROM chunk_data"); err != nil {
		return err
	}
	return h.look()
}

// full lets the disk of the handset be full for a while: what is written to one
// table, in the midst of a transaction or at its end, is refused.
func (h *handset) full(n [3]int) (err error) {
	tables := []string{"record", "dirty", "outbox", "digest", "meta", "peer", "held", "cloud", "chunk_data", "history"}
	if err := h.app(fullTraps(tables[n[1]%len(tables)])); err != nil {
		return err
	}
	h.failing = true
	rng := rngOf(n[0], n[1], n[2])
	for range 1 + n[2]%6 {
		switch rng.IntN(4) {
		case 0:
			err = h.set(rng.IntN(60), rng.IntN(60))
		case 1:
			err = h.remove(rng.IntN(60))
		default:
			if h.link == nil {
				err = h.connect(false)
			}
			for range rng.IntN(12) {
				if err == nil && h.link != nil {
					_, err = h.link.work(rng.IntN)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	if l := h.link; l != nil && l.over {
		if err := l.lose(0); err != nil {
			return err
		}
	}
	h.failing = false
	if err := h.app("DROP TRIGGER full_INSERT; DROP TRIGGER full_UPDATE"); err != nil {
		return err
	}
	return h.look()
}

func fullTraps(table string) string {
	const trap = "CREATE TRIGGER full_%[1]s BEFORE %[1]s ON %[2]s BEGIN SELECT RAISE(ABORT, 'the disk is full'); END;"
	return fmt.Sprintf(trap, "INSERT", table) + fmt.Sprintf(trap, "UPDATE", table)
}

// fullCloud is the same for the cloud.
func (w *world) fullCloud(n [3]int) error {
	tables := []string{"version", "dominated", "account", "kind", "seen", "replica", "chunk"}
	c := w.cloud
	if _, err := c.db.Exec(fullTraps(tables[n[1]%len(tables)])); err != nil {
		return err
	}
	c.failing = true
	h := w.handset(n[0])
	if h.link == nil {
		if err := h.connect(false); err != nil {
			return err
		}
	}
	if err := w.pump(rngOf(n[0], n[1], n[2]), 2+n[2]); err != nil {
		return err
	}
	c.failing = false
	_, err := c.db.Exec("DROP TRIGGER full_INSERT; DROP TRIGGER full_UPDATE")
	return err
}

// tearCloud kills the cloud while it commits what some handset sends.
func (w *world) tearCloud(rng *rand.Rand) error {
	for range 1 + rng.IntN(10) {
		for _, i := range rng.Perm(len(w.handsets)) {
			if l := w.handsets[i].link; l != nil && len(l.up) > 0 && rng.IntN(3) == 0 {
				return w.cloud.tear(l, rng.IntN)
			}
		}
		if err := w.pump(rng, 1); err != nil {
			return err
		}
	}
	return w.cloud.kill()
}

// poison makes the cloud hold a version of a record that no device can open,
// whose vector claims to have seen all that it holds.
func (w *world) poison(n, m int) error {
	kind, id := recordOf(n)
	v := &record.Version{Fields: map[string][]record.Entry{}, Vector: record.Vector{{byte(m), 0xff}: 1}}
	for vid := range w.cloud.rows[id] {
		if !w.cloud.poison[vid] {
			v.Vector = v.Vector.Join(w.ledger.versions[vid].version.Vector)
		}
	}
	if len(v.Vector) == 1 {
		return nil
	}
	foreign, err := seal.NewSecret(w.random)
	if err != nil {
		return err
	}
	thief, err := seal.NewIdentity(foreign, w.random)
	if err != nil {
		return err
	}
	sealed, err := thief.Keys().SealVersion(kind, id, v)
	if err != nil {
		return err
	}
	h, err := seal.ParseHeader(sealed.Header)
	if err != nil {
		return err
	}
	w.cloud.poison[h.VersionID] = true
	_, err = w.cloud.store.Commit(w.ctx, w.handsets[0].id.Account, []syncproto.CloudVersion{{
		Kind: kind, Ref: syncproto.NewRef(id, h.VersionID), Vector: h.Vector, Header: sealed.Header, Body: sealed.Body,
	}})
	w.cloud.counted = false // nobody made a claim for it
	return errors.Join(err, w.cloud.scan())
}

// lose takes rows from the cloud: those of a kind, or some of all.
func (w *world) lose(n [3]int) error {
	work := func() error {
		if n[0]%5 == 0 {
			w.cloud.pieces = true
			return w.cloud.damage("DELETE FROM chunk WHERE rowid % 2 = ?", n[1]%2)
		}
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
		if vid := record.VersionID(version); !w.cloud.damaged[vid] && !w.cloud.poison[vid] {
			d.body[n[2]%len(d.body)] ^= 1 << (n[2] % 8)
			list = append(list, d)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if n[0]%3 == 0 {
		if err := w.cloud.damage("UPDATE chunk SET body = zeroblob(length(body)) WHERE rowid % 2 = ?", n[1]%2); err != nil {
			return err
		}
		w.cloud.corrupted = true
	}
	w.cloud.version = -1
	for _, d := range list {
		if _, err := w.cloud.db.Exec("UPDATE version SET body = ? WHERE seq = ?", d.body, d.seq); err != nil {
			return err
		}
	}
	w.cloud.corrupted = w.cloud.corrupted || len(list) > 0
	return w.cloud.scan()
}
