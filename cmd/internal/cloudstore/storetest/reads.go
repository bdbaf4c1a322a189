package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

func (f *fixture) fill(a *Author, kind record.Kind, n int) []syncproto.CloudVersion {
	f.Helper()
	var all []syncproto.CloudVersion
	for i := range n {
		id := record.ID{byte(i >> 8), byte(i), 7}
		all = append(all, a.Seal(kind, id, a.Edit(record.New(), fmt.Sprintf("FN:%d", i))))
	}
	for part := range slices.Chunk(all, syncproto.PushRecordsMax) {
		f.push(a, part...)
	}
	return all
}

func testLogPages(f *fixture) {
	a := f.author()
	all := f.fill(a, record.Contacts, syncproto.BatchRecordsMax+1)
	f.fill(a, record.Notes, 2)
	p, err := f.ReadLog(f.ctx, a.Account, record.Contacts, 0, 1<<30)
	if err != nil || len(p.Items) != syncproto.BatchRecordsMax || !p.More || p.Next != p.Items[len(p.Items)-1].Seq {
		f.Fatalf("first page: %d items, more %v, next %d, %v", len(p.Items), p.More, p.Next, err)
	}
	p, err = f.ReadLog(f.ctx, a.Account, record.Contacts, p.Next, 1<<30)
	if err != nil || len(p.Items) != 1 || p.More || p.Next != p.State.Head || p.State.Count != uint64(len(all)) {
		f.Fatalf("last page: %d items, more %v, next %d, state %+v, %v", len(p.Items), p.More, p.Next, p.State, err)
	}
	if p, err = f.ReadLog(f.ctx, a.Account, record.Contacts, p.Next, 1); err != nil || len(p.Items) != 0 || p.More || p.Next != p.State.Head {
		f.Errorf("after the end: %+v, %v", p, err)
	}
	// By bytes: never over, but one at least.
	size := len(all[0].Header) + len(all[0].Body)
	for _, c := range []struct{ bytes, want int }{{0, 1}, {size - 1, 1}, {size, 1}, {2*size - 1, 1}, {2 * size, 2}, {2*size + 1, 2}} {
		if p, err = f.ReadLog(f.ctx, a.Account, record.Contacts, 0, c.bytes); err != nil || len(p.Items) != c.want || !p.More {
			f.Errorf("%d bytes: %d items, %v", c.bytes, len(p.Items), err)
		}
	}
	// A kind that nobody ever wrote, and a cursor from another life.
	if p, err = f.ReadLog(f.ctx, a.Account, "unheard", 5, 1000); err != nil || len(p.Items) != 0 || p.More || p.State.Count != 0 || p.State.Kind != "unheard" || p.Next != 5 {
		f.Errorf("unknown kind: %+v, %v", p, err)
	}
}

// testWalk reads a kind in the order of references, page by page.
func testWalk(f *fixture) {
	a := f.author()
	var all []syncproto.CloudVersion
	for i := range 12 { // ids that fall as sequences rise
		id := record.ID{byte(200 - 10*i), 7}
		all = append(all, a.Seal(record.Contacts, id, a.Edit(record.New(), fmt.Sprintf("FN:%d", i))))
	}
	f.push(a, all...)
	f.fill(a, record.Notes, 2)
	size := 0
	for i := range all {
		size = max(size, len(all[i].Header)+len(all[i].Body))
	}
	order := slices.Clone(all)
	slices.SortFunc(order, func(x, y syncproto.CloudVersion) int { return bytes.Compare(x.Ref[:], y.Ref[:]) })
	for _, c := range []struct{ records, bytes, least int }{{5, 1 << 20, 5}, {1, 1 << 20, 1}, {500, 3 * size, 3}, {500, 0, 1}, {500, 1 << 20, 12}, {12, 1 << 20, 12}} {
		var after syncproto.Ref
		left := order
		for pages := 1; ; pages++ {
			w, err := f.Walk(f.ctx, a.Account, record.Contacts, after, c.records, c.bytes)
			if err != nil || len(w.Items) == 0 || len(w.Items) > min(c.records, len(left)) || len(w.Items) < min(c.least, len(left)) {
				f.Fatalf("%+v: %d items of %d, %v", c, len(w.Items), len(left), err)
			}
			page := left[:len(w.Items)]
			left = left[len(w.Items):]
			if !slices.IsSortedFunc(w.Items, func(x, y syncproto.BatchItem) int { return int(x.Seq) - int(y.Seq) }) {
				f.Errorf("%+v: not in the order of sequences", c)
			}
			for _, v := range page {
				if !slices.ContainsFunc(w.Items, func(it syncproto.BatchItem) bool {
					return bytes.Equal(it.Header, v.Header) && bytes.Equal(it.Body, v.Body)
				}) {
					f.Errorf("%+v: page %d lacks a version", c, pages)
				}
			}
			if w.Kind != record.Contacts || w.State.Kind != record.Contacts || w.State.Count != 12 || w.State.Head != 12 {
				f.Errorf("%+v: of %s, state %+v", c, w.Kind, w.State)
			}
			if len(left) == 0 {
				if w.Upto != (syncproto.Ref{}) {
					f.Errorf("%+v: more after the end", c)
				}
				break
			}
			if after = w.Upto; after != page[len(page)-1].Ref {
				f.Fatalf("%+v: up to %x", c, after)
			}
		}
	}
	if w, err := f.Walk(f.ctx, a.Account, "unheard", syncproto.Ref{1}, 5, 1000); err != nil || len(w.Items) != 0 || w.Upto != (syncproto.Ref{}) || w.State.Kind != "unheard" {
		f.Errorf("of an unknown kind: %+v, %v", w, err)
	}
}

func testFetch(f *fixture) {
	a := f.author()
	all := f.fill(a, record.Contacts, 5)
	refs := []syncproto.Ref{all[3].Ref, {1, 2, 3}, all[1].Ref, all[1].Ref}
	got, err := f.Fetch(f.ctx, a.Account, record.Contacts, refs)
	if err != nil || got.Done != 4 || len(got.Items) != 2 || got.Items[0].Seq != 2 || got.Items[1].Seq != 4 || !bytes.Equal(got.Items[1].Body, all[3].Body) {
		f.Errorf("fetched %+v, %v", got, err)
	}
	if got, err = f.Fetch(f.ctx, a.Account, record.Notes, refs); err != nil || got.Done != 4 || len(got.Items) != 0 {
		f.Errorf("of another kind: %+v, %v", got, err)
	}
}

// testReconcile finds a few differences among many items with few messages.
func testReconcile(f *fixture) {
	a := f.author()
	all := f.fill(a, record.Contacts, 1500)
	var own items
	missing := []syncproto.Ref{all[100].Ref, all[700].Ref}
	for i, v := range all {
		if i != 100 && i != 700 {
			own = append(own, rangeset.Item{ID: v.Ref.Record(), Version: v.Ref.Version()})
		}
	}
	extra := rangeset.Item{ID: record.ID{2, 2, 2}, Version: record.VersionID{1}}
	own = append(own, extra)
	slices.SortFunc(own, rangeset.Item.Compare)
	r := rangeset.NewReconciler(uint64(len(own)), uint64(len(all)))
	var diff rangeset.Diff
	rounds := 0
	for {
		ask, done, err := r.Next(own)
		if err != nil {
			f.Fatal(err)
		}
		if done {
			break
		}
		rounds++
		var answer rangeset.Message
		err = f.View(f.ctx, a.Account, record.Contacts, func(s rangeset.Set) (err error) {
			answer, err = rangeset.Answer(s, syncproto.NewRange(1, record.Contacts, ask).Message())
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
		d, err := r.Handle(own, answer)
		if err != nil {
			f.Fatal(err)
		}
		diff.Have, diff.Need = append(diff.Have, d.Have...), append(diff.Need, d.Need...)
	}
	if len(diff.Have) != 1 || diff.Have[0] != extra || len(diff.Need) != 2 || rounds > 4 {
		f.Fatalf("%d rounds, %+v", rounds, diff)
	}
	for _, it := range diff.Need {
		if !slices.Contains(missing, syncproto.NewRef(it.ID, it.Version)) {
			f.Errorf("an item that is not missing")
		}
	}
}

type items []rangeset.Item

func (s items) Scan(lower, upper rangeset.Bound, visit func(rangeset.Item) bool) error {
	for _, it := range s {
		if rangeset.Contains(lower, upper, it) && !visit(it) {
			return nil
		}
	}
	return nil
}

func testChunks(f *fixture) {
	a, b := f.author(), f.author()
	chunks := []syncproto.CloudChunk{a.Chunk([]byte("one")), a.Chunk(bytes.Repeat([]byte{7}, syncproto.ChunkBytes))}
	ids := []record.ChunkID{chunks[0].ID, chunks[1].ID, {9}}
	missing := func(want ...record.ChunkID) {
		f.Helper()
		got, err := f.Chunks().Missing(f.ctx, a.Account, ids)
		if err != nil || !slices.Equal(got, want) {
			f.Errorf("%d missing, %v, want %d", len(got), err, len(want))
		}
	}
	missing(ids...)
	for range 2 {
		if err := f.Chunks().Put(f.ctx, a.Account, chunks[:1]); err != nil {
			f.Fatal(err)
		}
		missing(ids[1], ids[2])
	}
	if err := f.Chunks().Put(f.ctx, a.Account, chunks); err != nil {
		f.Fatal(err)
	}
	missing(ids[2])
	got, err := f.Chunks().Get(f.ctx, a.Account, ids[1])
	if err != nil || got == nil || !bytes.Equal(got.Body, chunks[1].Body) || !bytes.Equal(got.Header, chunks[1].Header) {
		f.Errorf("chunk came back changed: %v", err)
	}
	for _, c := range []struct {
		a  *Author
		id record.ChunkID
	}{{b, ids[0]}, {a, ids[2]}} {
		if got, err := f.Chunks().Get(f.ctx, c.a.Account, c.id); err != nil || got != nil {
			f.Errorf("a chunk that is not there: %v, %v", got, err)
		}
	}
}

func testReport(f *fixture) {
	a := f.author()
	b := a.Sibling()
	alive := a.Edit(record.New(), "FN:x")
	f.push(a, a.Seal(record.Contacts, record.ID{1}, alive))
	dead := a.Edit(record.New(), "FN:y")
	f.push(a, a.Seal(record.Contacts, record.ID{2}, record.Delete(dead, a)))
	// One sibling dead, one alive: the record lives.
	f.push(a, a.Seal(record.Contacts, record.ID{3}, record.Delete(dead, a)), a.Seal(record.Contacts, record.ID{3}, b.Edit(dead, "FN:z")))
	s, err := f.Prove(f.ctx, a.Account, a.Device, a.Replica, []syncproto.Held{{Kind: record.Contacts, Count: 3, Sum: [16]byte{1}}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.clock.Pass(time.Hour)
	if _, err := f.Prove(f.ctx, a.Account, b.Device, b.Replica, []syncproto.Held{{Kind: record.Contacts, Count: s.Kinds[0].Count, Sum: s.Kinds[0].Sum}}, []record.Kind{record.Contacts, "unheard"}); err != nil {
		f.Fatal(err)
	}
	if err := f.Chunks().Put(f.ctx, a.Account, []syncproto.CloudChunk{a.Chunk([]byte("one"))}); err != nil {
		f.Fatal(err)
	}
	r, err := f.Report(f.ctx, nil)
	if err != nil || len(r.Accounts) != 1 {
		f.Fatalf("report %+v, %v", r, err)
	}
	k := r.Accounts[0].Kinds[0]
	if k.Live != 2 || k.Deleted != 1 || k.Versions != 4 || r.Accounts[0].Head != 4 || r.Accounts[0].Chunks != 1 {
		f.Errorf("report %+v", r)
	}
	equal := 0
	for _, rep := range r.Accounts[0].Replicas {
		if len(rep.Proofs) != 1 {
			f.Errorf("proofs %+v", rep)
		} else if p := rep.Proofs[0]; p.Equal {
			equal++
			if rep.Replica != b.Replica.String() || p.Count != 4 || p.Digest != k.Digest || !p.At.Equal(f.clock.Now()) {
				f.Errorf("proof %+v", p)
			}
		}
	}
	if len(r.Accounts[0].Replicas) != 2 || equal != 1 {
		f.Errorf("replicas %+v", r.Accounts[0].Replicas)
	}
	unknown := NewAuthor(f.T).Account
	_, err = f.Report(f.ctx, &unknown)
	wantCode(f, err, syncproto.CodeUnknownAccount)
}

// testSetAside: a version with a poisoned vector hides others; once it is
// reported, they are back.
func testSetAside(f *fixture) {
	a := f.author()
	b := a.Sibling()
	va, vb := a.Edit(record.New(), "FN:a"), b.Edit(record.New(), "FN:b")
	sa, sb := a.Seal(record.Contacts, record.ID{1}, va), a.Seal(record.Contacts, record.ID{1}, vb)
	f.push(a, sa, sb)
	poison := a.Sibling()
	top := a.Seal(record.Contacts, record.ID{1}, poison.Edit(a.Join(va, vb), "FN:poison"))
	f.push(a, top)
	f.wantHeld(a, record.Contacts, top)
	late := a.Seal(record.Contacts, record.ID{1}, a.Edit(va, "FN:late"))
	f.push(a, late) // not dominated: the poison has not seen it
	f.wantHeld(a, record.Contacts, top, late)

	before := f.held(a, record.Contacts)
	s, err := f.SetAside(f.ctx, a.Account, record.Contacts, []syncproto.Ref{top.Ref, {9}})
	if err != nil {
		f.Fatal(err)
	}
	// sa is dominated by late; only sb is back.
	f.wantHeld(a, record.Contacts, late, sb)
	if s.Kinds[0].Head != s.Head || s.Head <= 4 || len(before) != 2 {
		f.Errorf("states %+v", s)
	}
	// What devices are told: everything after their cursor.
	log, err := f.ReadLog(f.ctx, a.Account, record.Contacts, 4, syncproto.BatchBytesMax)
	if err != nil || len(log.Items) != 1 || log.Next != s.Head {
		f.Errorf("log %+v, %v", log, err)
	}
	// It was the copy that was bad: pushed again, it counts again.
	if got := f.push(a, top); got.Seqs[0] == 0 {
		f.Errorf("committed %+v", got)
	}
	f.wantHeld(a, record.Contacts, late, top)
	again, err := f.SetAside(f.ctx, a.Account, record.Contacts, []syncproto.Ref{{9}})
	if err != nil || again.Kinds[0].Count != 2 {
		f.Errorf("a version that is not here: %+v, %v", again, err)
	}
}

func testExpiry(f *fixture) {
	a := f.author()
	v1 := a.Edit(record.New(), "FN:1")
	s2 := a.Seal(record.Contacts, record.ID{1}, a.Edit(v1, "FN:2"))
	f.push(a, a.Seal(record.Contacts, record.ID{1}, v1), s2)
	const days = syncproto.DominatedDays * 24 * time.Hour
	for _, c := range []struct {
		pass time.Duration
		want int
	}{{days - time.Second, 0}, {time.Second, 0}, {time.Second, 1}, {time.Hour, 0}} {
		f.clock.Pass(c.pass)
		if n, err := f.Expire(f.ctx); err != nil || n != c.want {
			f.Errorf("expired %d, %v, want %d", n, err, c.want)
		}
	}
	f.wantHeld(a, record.Contacts, s2)
}
