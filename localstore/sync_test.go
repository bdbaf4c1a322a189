package localstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// testCloud keeps, per record, the versions that no other dominates, in a log.
// It plays the part of agent and cloud together.
type testCloud struct {
	log   []logged
	seq   uint64
	large bool // batches as an agent makes them, instead of tiny ones
}

type logged struct {
	seq  uint64
	kind record.Kind
	in   Incoming
}

func (c *testCloud) size(tiny int) int {
	if c.large {
		return 500
	}
	return tiny
}

func (c *testCloud) put(kind record.Kind, in Incoming) {
	for _, l := range c.log {
		if l.in.ID == in.ID && (l.in.VersionID == in.VersionID || l.in.Version.Vector.Dominates(in.Version.Vector)) {
			return
		}
	}
	c.log = slices.DeleteFunc(c.log, func(l logged) bool {
		return l.in.ID == in.ID && in.Version.Vector.Dominates(l.in.Version.Vector)
	})
	c.seq++
	// A version travels as its encoding.
	b, err := record.Encode(in.Version)
	if err != nil {
		panic(err)
	}
	if in.Version, err = record.Decode(b); err != nil {
		panic(err)
	}
	c.log = append(c.log, logged{c.seq, kind, in})
}

func (c *testCloud) digest(kind record.Kind) (d rangeset.Digest) {
	for _, l := range c.log {
		if l.kind == kind {
			d.Add(l.in.VersionID)
		}
	}
	return d
}

// pull applies what is after the cursor; it reports a fork.
func (c *testCloud) pull(t testing.TB, s *Store, kind record.Kind, batch int) bool {
	t.Helper()
	cur, err := s.Cursor(t.Context(), kind)
	must(t, err)
	var in []Incoming
	flush := func(seq uint64) bool {
		a, err := s.Apply(t.Context(), kind, in, &Cursor{Epoch: cur.Epoch, Seq: seq})
		must(t, err)
		in = nil
		return a.Fork
	}
	for _, l := range c.log {
		if l.seq <= cur.Seq || l.kind != kind {
			continue
		}
		if in = append(in, l.in); len(in) == batch {
			if flush(l.seq) {
				return true
			}
		}
	}
	return flush(c.seq)
}

func (c *testCloud) push(t testing.TB, s *Store, kind record.Kind) int {
	t.Helper()
	after, sent := int64(0), 0
	for {
		out, err := s.Mint(t.Context(), kind, after, c.size(7), 1024*c.size(4), nil)
		must(t, err)
		if len(out) == 0 {
			return sent
		}
		var refs []Ref
		for _, o := range out {
			b, err := record.Encode(o.Version)
			must(t, err)
			if (testHasher{}).VersionID(kind, o.ID, b) != o.VersionID {
				t.Fatalf("record %s: version id does not match", o.ID)
			}
			c.put(kind, Incoming{ID: o.ID, VersionID: o.VersionID, Version: o.Version})
			refs = append(refs, Ref{o.ID, o.VersionID})
			after = o.Order
		}
		sent += len(refs)
		must(t, s.Acked(t.Context(), refs))
	}
}

// sync runs one session of a store.
func (c *testCloud) sync(t testing.TB, s *Store) {
	t.Helper()
	claim(t, s)
	kinds, err := s.Kinds(t.Context())
	must(t, err)
	for _, k := range kinds {
		if c.pull(t, s, k, c.size(3)) {
			c.sync(t, s) // forked: a new session
			return
		}
		c.push(t, s, k)
	}
	s.EndSession()
}

func (c *testCloud) equal(t testing.TB, stores ...*Store) {
	t.Helper()
	for _, k := range record.Kinds {
		for i, s := range stores {
			d, err := s.Digest(t.Context(), k)
			must(t, err)
			if !d.Equal(c.digest(k)) {
				t.Errorf("store %d, %s: digest %d %s, cloud %d %s", i, k, d.Count, d, c.digest(k).Count, c.digest(k))
			}
		}
	}
}

func openPair(t *testing.T) (*testCloud, *Store, *Store) {
	return &testCloud{}, openTest(t, t.TempDir(), Options{}), openTest(t, t.TempDir(), Options{})
}

func TestTwoDevices(t *testing.T) {
	c, a, b := openPair(t)
	var text strings.Builder
	for i := range 30 {
		text.WriteString(card(fmt.Sprint("uid", i), fmt.Sprint("Name ", i), fmt.Sprint("+45 0", i)))
	}
	res, err := a.Import(t.Context(), objects(t, "x.vcf", text.String()))
	must(t, err)
	c.sync(t, a)
	c.sync(t, b)
	c.equal(t, a, b)
	if n := len(list(t, b, record.Contacts, ListOptions{})); n != 30 {
		t.Fatalf("%d arrived", n)
	}
	id := res[3].ID

	// Different fields: both stand.
	setLine(t, a, id, "FN", "FN:Other")
	setLine(t, b, id, "BDAY", "BDAY:1970-01-01")
	c.sync(t, a)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	for _, s := range []*Store{a, b} {
		r, err := s.Get(t.Context(), id)
		must(t, err)
		if lineOf(r, "FN") != "FN:Other" || lineOf(r, "BDAY") != "BDAY:1970-01-01" || len(r.Conflicts) > 0 || !r.Synced {
			t.Errorf("different fields: %+v", r)
		}
	}

	// The same field: one is shown, both are kept, the same one everywhere.
	setLine(t, a, id, "FN", "FN:A")
	setLine(t, b, id, "FN", "FN:B")
	c.sync(t, a)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	ra, err := a.Get(t.Context(), id)
	must(t, err)
	rb, err := b.Get(t.Context(), id)
	must(t, err)
	if lineOf(ra, "FN") != lineOf(rb, "FN") || len(ra.Conflicts) != 1 || len(ra.Conflicts[0].Siblings) != 2 {
		t.Errorf("same field: %+v %+v", ra, rb)
	}
	n := 0
	for range a.Conflicts(t.Context()) {
		n++
	}
	if n != 1 {
		t.Errorf("%d conflicts listed", n)
	}

	// Choosing the shown value resolves it.
	setLine(t, b, id, "FN", lineOf(rb, "FN"))
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	if ra, err = a.Get(t.Context(), id); err != nil || len(ra.Conflicts) != 0 {
		t.Errorf("resolved: %+v %v", ra, err)
	}

	// Edit against delete: the edit wins. Delete against delete: deleted.
	must(t, a.Delete(t.Context(), id, res[4].ID, res[5].ID))
	setLine(t, b, id, "FN", "FN:Stays")
	must(t, b.Delete(t.Context(), res[4].ID))
	c.sync(t, a)
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	for _, s := range []*Store{a, b} {
		if r, _ := s.Get(t.Context(), id); r.Deleted || lineOf(r, "FN") != "FN:Stays" {
			t.Errorf("edit against delete: %+v", r)
		}
		for _, r := range res[4:6] {
			if r, _ := s.Get(t.Context(), r.ID); !r.Deleted {
				t.Errorf("delete against delete: %+v", r)
			}
		}
	}

	// Undelete.
	must(t, b.Undelete(t.Context(), res[5].ID))
	c.sync(t, b)
	c.sync(t, a)
	c.equal(t, a, b)
	if r, _ := a.Get(t.Context(), res[5].ID); r.Deleted || lineOf(r, "FN") != "FN:Name 5" {
		t.Errorf("undelete: %+v", r)
	}

	// Nothing ping-pongs.
	claim(t, a)
	if n := c.push(t, a, record.Contacts); n != 0 {
		t.Errorf("%d pushed at rest", n)
	}
}

func TestMintNeedsClaim(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	if _, err := s.Mint(t.Context(), record.Contacts, 0, 1, 1, nil); !errors.Is(err, ErrNotClaimed) {
		t.Errorf("mint: %v", err)
	}
	if _, err := s.Apply(t.Context(), record.Contacts, nil, nil); !errors.Is(err, ErrNotClaimed) {
		t.Errorf("apply: %v", err)
	}
	claim(t, s)
	_, err := s.Mint(t.Context(), record.Contacts, 0, 1, 1, nil)
	must(t, err)
	s.EndSession()
	if _, err := s.Mint(t.Context(), record.Contacts, 0, 1, 1, nil); !errors.Is(err, ErrNotClaimed) {
		t.Errorf("mint after the session: %v", err)
	}
}

// Random edits on three devices, in any order and batching: the end is equal.
func TestRandomHistories(t *testing.T) {
	seed := rand.Uint64()
	for round := range 4 {
		t.Run(fmt.Sprintf("seed=%d", seed+uint64(round)), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed+uint64(round), 0))
			c := &testCloud{}
			var stores []*Store
			for range 3 {
				stores = append(stores, openTest(t, t.TempDir(), Options{}))
			}
			for step := range 60 {
				s := stores[rng.IntN(len(stores))]
				id := record.ID{byte(rng.IntN(6))}
				key := string(rune('A' + rng.IntN(4)))
				_, err := s.Get(t.Context(), id)
				switch p := rng.IntN(10); {
				case errors.Is(err, ErrNotFound):
					must(t, s.Put(t.Context(), "odd-kind", id, []record.Field{{Key: key, Line: []byte(key + ":" + fmt.Sprint(step))}}))
				case p < 5:
					setLine(t, s, id, key, key+":"+fmt.Sprint(step))
				case p < 6:
					must(t, s.Delete(t.Context(), id))
				case p < 7:
					must(t, s.Undelete(t.Context(), id))
				case p < 9:
					c.sync(t, s)
				default:
					must(t, s.Fork(t.Context(), ForkUnknown))
				}
			}
			for range 2 {
				for _, s := range stores {
					c.sync(t, s)
				}
			}
			var all [][]byte
			for _, s := range stores {
				d, err := s.Digest(t.Context(), "odd-kind")
				must(t, err)
				if !d.Equal(c.digest("odd-kind")) {
					t.Errorf("digest %v, cloud %v", d, c.digest("odd-kind"))
				}
				var b bytes.Buffer
				for _, deleted := range []bool{false, true} {
					for _, r := range list(t, s, "odd-kind", ListOptions{Deleted: deleted}) {
						for _, f := range r.Fields {
							fmt.Fprintf(&b, "%s %v %s\n", r.ID, deleted, f.Line)
						}
					}
				}
				lines := bytes.Split(b.Bytes(), []byte("\n"))
				slices.SortFunc(lines, bytes.Compare)
				all = append(all, bytes.Join(lines, []byte("\n")))
			}
			if !bytes.Equal(all[0], all[1]) || !bytes.Equal(all[0], all[2]) {
				t.Errorf("stores differ:\n%s\n---\n%s\n---\n%s", all[0], all[1], all[2])
			}
		})
	}
}

// An acknowledgement of a version that was replaced meanwhile leaves the next one to be sent.
func TestAcknowledgementOfAReplacedVersion(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	claim(t, s)
	id := record.ID{1}
	mint := func(text string) Ref {
		must(t, s.Put(t.Context(), record.Notes, id, []record.Field{{Key: "A", Line: []byte("A:" + text)}}))
		out, err := s.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil)
		must(t, err)
		if len(out) != 1 {
			t.Fatalf("%d to be sent", len(out))
		}
		return Ref{id, out[0].VersionID}
	}
	first := mint("1")
	second := mint("2")
	for _, want := range []struct {
		acked  Ref
		queued int
	}{{first, 1}, {second, 0}} {
		must(t, s.Acked(t.Context(), []Ref{want.acked}))
		if out, err := s.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil); err != nil || len(out) != want.queued {
			t.Errorf("%d to be sent, want %d: %v", len(out), want.queued, err)
		}
	}
}

// P3: a vector that has seen more than this device ever received does not leave it.
func TestTooLargeVectorStaysHere(t *testing.T) {
	c, a, b := openPair(t)
	must(t, b.Put(t.Context(), record.Notes, record.ID{1}, []record.Field{{Key: "A", Line: []byte("A:1")}}))
	c.sync(t, b)
	c.sync(t, a)
	must(t, a.write(t.Context(), false, func(x *tx) error { return x.exec("DELETE FROM peer") }))
	setLine(t, a, record.ID{1}, "A", "A:2")
	claim(t, a)
	if out, err := a.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil); !errors.Is(err, ErrVector) {
		t.Errorf("%d go out, %v", len(out), err)
	}
}

// Nothing that a former cloud said counts for a new one.
func TestNewEpochForgetsCursorsAndProofs(t *testing.T) {
	c, a, _ := openPair(t)
	must(t, a.ResetEpoch(t.Context(), Epoch{1}))
	must(t, a.SetCursor(t.Context(), record.Notes, Cursor{Epoch: Epoch{1}, Seq: 7}))
	must(t, a.SetCloudState(t.Context(), record.Notes, CloudState{Digest: c.digest(record.Notes), Epoch: Epoch{1}, Head: 7, ProvenAt: time.Unix(1, 0), Restoring: true}))
	check := func(want uint64) {
		t.Helper()
		cursor, err := a.Cursor(t.Context(), record.Notes)
		must(t, err)
		st, err := a.Status(t.Context())
		must(t, err)
		if k := st.Kinds[record.Notes].Cloud; cursor.Seq != want || k.Head != want || k.Restoring != (want > 0) || k.ProvenAt.IsZero() != (want == 0) {
			t.Errorf("%+v %+v", cursor, k)
		}
	}
	check(7)
	must(t, a.ResetEpoch(t.Context(), Epoch{2}))
	check(0)
}

// A program that drops or replaces an index of the schema keeps no acknowledgement back.
func TestAckedWithoutItsIndex(t *testing.T) {
	for _, sql := range []string{"DROP INDEX record_set", "DROP INDEX record_set; CREATE INDEX record_set ON record (kind) WHERE deleted = 1"} {
		dir := t.TempDir()
		s := openTest(t, dir, Options{})
		claim(t, s)
		must(t, s.Put(t.Context(), record.Notes, record.ID{1}, []record.Field{{Key: "A", Line: []byte("A:1")}}))
		out, err := s.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil)
		must(t, err)
		if len(out) != 1 {
			t.Fatalf("%d versions", len(out))
		}
		wantShell(t, dir, sql, "")
		must(t, s.Acked(t.Context(), []Ref{{ID: out[0].ID, VersionID: out[0].VersionID}}))
		must(t, s.read(t.Context(), func(c *session) error {
			if n, err := c.count("SELECT count(*) FROM outbox"); err != nil || n != 0 {
				t.Errorf("%d wait in the outbox, %v", n, err)
			}
			return nil
		}))
		must(t, s.checkSchema(t.Context()))
	}
}
