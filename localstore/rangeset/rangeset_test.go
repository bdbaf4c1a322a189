package rangeset_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

func randomItem(r *rand.Rand) rangeset.Item {
	var it rangeset.Item
	for i := range it.ID {
		it.ID[i], it.Version[i] = byte(r.Uint32()), byte(r.Uint32())
	}
	return it
}

func randomItems(r *rand.Rand, n int) []rangeset.Item {
	items := make([]rangeset.Item, n)
	for i := range items {
		items[i] = randomItem(r)
	}
	return items
}

// wireBytes is the size of m as SPEC.md lays it out, kind and ids included.
func wireBytes(t rapid.TB, m rangeset.Message) int {
	t.Helper()
	ranges := make([]map[int]any, len(m.Ranges))
	for i, r := range m.Ranges {
		e := map[int]any{2: r.Mode}
		if len(r.Upper) > 0 {
			e[1] = []byte(r.Upper)
		}
		if r.Mode == rangeset.Fingerprint {
			e[3], e[4] = r.Digest.Count, r.Digest.Sum
		}
		items := []byte{}
		for _, it := range r.Items {
			items = append(items, it.Bytes()...)
		}
		if r.Mode == rangeset.List {
			e[5] = items
		}
		ranges[i] = e
	}
	b, err := cbor.Marshal([]any{13, map[int]any{1: 7, 2: "contacts", 3: []byte(m.Lower), 4: ranges}})
	if err != nil {
		t.Fatal(err)
	}
	return len(b)
}

type cost struct{ rounds, bytes, items int }

// reconcile runs both ends until the device is done.
func reconcile(t rapid.TB, device, cloud rangeset.Set, own, declared int) (rangeset.Diff, cost) {
	t.Helper()
	var all rangeset.Diff
	var c cost
	r := rangeset.NewReconciler(uint64(own), uint64(declared))
	for {
		q, done, err := r.Next(device)
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		if done {
			return all, c
		}
		if err := q.Check(); err != nil {
			t.Fatalf("question: %v", err)
		}
		a, err := rangeset.Answer(cloud, q)
		if err != nil {
			t.Fatalf("answer: %v", err)
		}
		d, err := r.Handle(device, a)
		if err != nil {
			t.Fatalf("round %d: handle: %v", c.rounds, err)
		}
		c.rounds++
		c.bytes += wireBytes(t, q) + wireBytes(t, a)
		for _, x := range a.Ranges {
			c.items += len(x.Items)
		}
		all.Have = append(all.Have, d.Have...)
		all.Need = append(all.Need, d.Need...)
	}
}

// apply gives both sides what the other has.
func apply(device, cloud rangeset.Items, d rangeset.Diff) (rangeset.Items, rangeset.Items) {
	return rangeset.NewItems(append(slices.Clone(device), d.Need...)), rangeset.NewItems(append(slices.Clone(cloud), d.Have...))
}

func minus(a, b rangeset.Items) (only []rangeset.Item) {
	in := map[rangeset.Item]bool{}
	for _, it := range b {
		in[it] = true
	}
	for _, it := range a {
		if !in[it] {
			only = append(only, it)
		}
	}
	return only
}

// drawSets makes two sets that share some items; ids may be skewed (an app that
// counts its ids up) and a record may have several versions.
func drawSets(t *rapid.T) (rangeset.Items, rangeset.Items) {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	skewed := rapid.Bool().Draw(t, "skewed")
	size := rapid.SampledFrom([]int{0, 1, 2, 31, 32, 33, 200, 2000}).Draw(t, "shared")
	onlyA := rapid.SampledFrom([]int{0, 1, 5, 40, 600, 3000}).Draw(t, "device only")
	onlyB := rapid.SampledFrom([]int{0, 1, 5, 40, 600, 3000}).Draw(t, "cloud only")
	items := randomItems(r, size+onlyA+onlyB)
	for i := range items {
		if skewed {
			items[i].ID = record.ID{14: byte(i >> 8), 15: byte(i)}
		}
		if i > 0 && r.IntN(10) == 0 {
			items[i].ID = items[i-1].ID
		}
	}
	r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	a := slices.Concat(items[:size], items[size:size+onlyA])
	b := slices.Concat(items[:size], items[size+onlyA:])
	return rangeset.NewItems(a), rangeset.NewItems(b)
}

func TestReconcileFindsEveryDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		device, cloud := drawSets(t)
		d, _ := reconcile(t, device, cloud, len(device), len(cloud))
		slices.SortFunc(d.Have, rangeset.Item.Compare)
		slices.SortFunc(d.Need, rangeset.Item.Compare)
		if !slices.Equal(d.Have, minus(device, cloud)) || !slices.Equal(d.Need, minus(cloud, device)) {
			t.Fatalf("have %d, need %d; want %d, %d", len(d.Have), len(d.Need), len(minus(device, cloud)), len(minus(cloud, device)))
		}
		a, b := apply(device, cloud, d)
		if !slices.Equal(a, b) || a.Digest() != b.Digest() {
			t.Fatal("sets differ after both gave")
		}
	})
}

// TestReconcileWhileSetsChange lets both sides gain items between messages:
// nothing that differed from the start may be missed.
func TestReconcileWhileSetsChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		device, cloud := drawSets(t)
		wantHave, wantNeed := minus(device, cloud), minus(cloud, device)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "change"), 2))
		rec := rangeset.NewReconciler(uint64(len(device)), uint64(len(cloud)))
		var have, need rangeset.Items
		for {
			q, done, err := rec.Next(device)
			if err != nil {
				t.Fatal(err)
			}
			if done {
				break
			}
			cloud = rangeset.NewItems(append(slices.Clone(cloud), randomItems(r, r.IntN(5))...))
			a, err := rangeset.Answer(cloud, q)
			if err != nil {
				t.Fatal(err)
			}
			device = rangeset.NewItems(append(slices.Clone(device), randomItems(r, r.IntN(5))...))
			d, err := rec.Handle(device, a)
			if err != nil {
				t.Fatal(err)
			}
			have, need = append(have, d.Have...), append(need, d.Need...)
		}
		if m := minus(wantHave, have); len(m) > 0 {
			t.Fatalf("%d items to push were missed", len(m))
		}
		if m := minus(wantNeed, need); len(m) > 0 {
			t.Fatalf("%d items to fetch were missed", len(m))
		}
	})
}

// TestCost pins what a reconcile costs; FACTS: 6,500 records is a full handset.
func TestCost(t *testing.T) {
	r := rand.New(rand.NewPCG(20261122, 3))
	full := rangeset.NewItems(randomItems(r, 6500))
	without := func(s rangeset.Items, n int) rangeset.Items {
		c := slices.Clone(s)
		r.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
		return rangeset.NewItems(c[n:])
	}
	large := rangeset.NewItems(randomItems(r, 100_000))
	for _, c := range []struct {
		name          string
		device, cloud rangeset.Items
		rounds, bytes int
	}{
		{"equal", full, full, 1, 2_500},
		{"cloud lost one", full, without(full, 1), 3, 4_500},
		{"device lost one", without(full, 1), full, 3, 4_500},
		{"cloud lost ten", full, without(full, 10), 6, 20_000},
		{"cloud lost half", full, without(full, 3250), 10, 200_000},
		{"cloud lost a range", full, slices.Concat(full[:1000], full[2000:]), 4, 10_000},
		{"cloud lost all", full, nil, 1, 2_500},
		{"device lost all", nil, full, 4, 220_000},
		{"nothing shared", rangeset.NewItems(randomItems(r, 6500)), full, 10, 260_000},
		{"one of 100,000", large, without(large, 1), 4, 8_000},
		{"200 of 100,000", large, without(large, 200), 60, 300_000},
	} {
		_, got := reconcile(t, c.device, c.cloud, len(c.device), len(c.cloud))
		t.Logf("%-20s %3d rounds, %7d bytes, %6d items listed", c.name, got.rounds, got.bytes, got.items)
		if got.rounds > c.rounds || got.bytes > c.bytes {
			t.Errorf("%s: more than %d rounds or %d bytes", c.name, c.rounds, c.bytes)
		}
	}
}

// hostile runs a device against an answerer that lies, and returns the error
// that ended it, and what it cost.
func hostile(t *testing.T, lie func(q rangeset.Message) rangeset.Message) (cost, error) {
	t.Helper()
	device := rangeset.NewItems(randomItems(rand.New(rand.NewPCG(5, 5)), 500))
	r := rangeset.NewReconciler(500, 500)
	var c cost
	for {
		q, done, err := r.Next(device)
		if done || err != nil {
			return c, err
		}
		a := lie(q)
		c.rounds++
		c.bytes += wireBytes(t, a)
		if _, err := r.Handle(device, a); err != nil {
			return c, err
		}
	}
}

func TestHostileCloudIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	wrong := rangeset.Digest{Count: 100, Sum: [16]byte{1}}
	liars := map[string]func(q rangeset.Message) rangeset.Message{
		"not shrinking": func(q rangeset.Message) rangeset.Message {
			q.Ranges = slices.Clone(q.Ranges)
			for i := range q.Ranges {
				if q.Ranges[i].Mode == rangeset.Fingerprint {
					q.Ranges[i].Digest = wrong
				}
			}
			return q
		},
		"shrinking by a hair, without end": func(q rangeset.Message) rangeset.Message {
			first := q.Ranges[0]
			low := append(slices.Clone(q.Lower), make([]byte, 32-len(q.Lower))...)
			low[31]++
			return rangeset.Message{Lower: q.Lower, Ranges: []rangeset.Range{
				{Upper: low, Mode: rangeset.Fingerprint, Digest: wrong}, {Upper: first.Upper, Mode: rangeset.Fingerprint, Digest: wrong}}}
		},
		"invents items without end": func(q rangeset.Message) rangeset.Message {
			var in rangeset.Items
			for len(in) < rangeset.ItemsMax {
				it := randomItem(r)
				copy(it.ID[:], q.Lower)
				if rangeset.Contains(q.Lower, q.Ranges[0].Upper, it) {
					in = append(in, it)
				}
			}
			in = rangeset.NewItems(in)
			last := in[len(in)-1].Bytes()
			return rangeset.Message{Lower: q.Lower, Ranges: []rangeset.Range{{Upper: last, Mode: rangeset.List, Items: in[:len(in)-1]}}}
		},
		"overlapping": func(q rangeset.Message) rangeset.Message {
			return rangeset.Message{Ranges: []rangeset.Range{{Upper: rangeset.Bound{9}}, {Upper: rangeset.Bound{8}}}}
		},
		"beyond what was asked": func(q rangeset.Message) rangeset.Message {
			return rangeset.Message{Lower: q.Lower, Ranges: []rangeset.Range{{Mode: rangeset.List}}}
		},
		"skips a part": func(q rangeset.Message) rangeset.Message {
			return rangeset.Message{Lower: q.Lower, Ranges: []rangeset.Range{{Upper: append(slices.Clone(q.Lower), 0, 1)}}}
		},
		"begins elsewhere": func(q rangeset.Message) rangeset.Message {
			return rangeset.Message{Lower: rangeset.Bound{1}, Ranges: []rangeset.Range{{}}}
		},
		"says nothing": func(q rangeset.Message) rangeset.Message { return rangeset.Message{} },
		"too many ranges": func(q rangeset.Message) rangeset.Message {
			rs := make([]rangeset.Range, 65)
			for i := range rs {
				rs[i].Upper = rangeset.Bound{byte(i + 1)}
			}
			return rangeset.Message{Ranges: rs}
		},
		"item outside its range": func(q rangeset.Message) rangeset.Message {
			it := rangeset.Item{ID: record.ID{0: 0xff}}
			return rangeset.Message{Lower: q.Lower, Ranges: []rangeset.Range{{Upper: q.Ranges[0].Upper, Mode: rangeset.List, Items: []rangeset.Item{it}}}}
		},
		"items out of order": func(q rangeset.Message) rangeset.Message {
			return rangeset.Message{Lower: q.Lower, Ranges: []rangeset.Range{{Upper: q.Ranges[0].Upper, Mode: rangeset.List,
				Items: []rangeset.Item{{Version: record.VersionID{2}}, {Version: record.VersionID{1}}}}}}
		},
		"long bound": func(q rangeset.Message) rangeset.Message {
			return rangeset.Message{Lower: q.Lower, Ranges: []rangeset.Range{{Upper: make(rangeset.Bound, 33)}}}
		},
	}
	for name, lie := range liars {
		t.Run(name, func(t *testing.T) {
			c, err := hostile(t, lie)
			if !errors.Is(err, rangeset.ErrMessage) {
				t.Fatalf("ended with %v", err)
			}
			if c.rounds > 64 || c.bytes > 1<<19 {
				t.Fatalf("took %d rounds and %d bytes to notice", c.rounds, c.bytes)
			}
		})
	}
}

func TestAnswerRefusesBadQuestions(t *testing.T) {
	for name, q := range map[string]rangeset.Message{
		"empty":       {},
		"a list":      {Ranges: []rangeset.Range{{Mode: rangeset.List}}},
		"unknown":     {Ranges: []rangeset.Range{{Mode: 3}}},
		"descending":  {Ranges: []rangeset.Range{{Upper: rangeset.Bound{2}}, {Upper: rangeset.Bound{2}}}},
		"end inside":  {Ranges: []rangeset.Range{{}, {Upper: rangeset.Bound{2}}}},
		"65 ranges":   {Ranges: make([]rangeset.Range, 65)},
		"below lower": {Lower: rangeset.Bound{5}, Ranges: []rangeset.Range{{Upper: rangeset.Bound{4}}}},
	} {
		if _, err := rangeset.Answer(rangeset.Items{}, q); !errors.Is(err, rangeset.ErrMessage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAnswerCarriesRangesAtTheLimit(t *testing.T) {
	rs := make([]rangeset.Range, rangeset.RangesMax)
	for i := range rs {
		rs[i] = rangeset.Range{Upper: rangeset.Bound{byte(i + 1)}, Mode: rangeset.Fingerprint, Digest: rangeset.Digest{Count: 1}}
	}
	r := rand.New(rand.NewPCG(8, 8))
	a, err := rangeset.Answer(rangeset.NewItems(randomItems(r, 50_000)), rangeset.Message{Ranges: rs})
	if err != nil || a.Check() != nil {
		t.Fatal(err, a.Check())
	}
	if len(a.Ranges) < 2 {
		t.Fatalf("answered %d ranges", len(a.Ranges))
	}
}

func TestDigest(t *testing.T) {
	ids := []record.VersionID{{0: 0xff, 15: 0xff}, {0: 0xff, 7: 1, 8: 0xff}, {15: 1}}
	var a, b rangeset.Digest
	for i := range ids {
		a.Add(ids[i])
		b.Add(ids[len(ids)-1-i])
	}
	if !a.Equal(b) || a.Count != 3 {
		t.Fatal("order matters")
	}
	if got, want := a.String(), "fe00000000000001ff00000000000100"; got != want {
		t.Fatalf("sum %s, want %s", got, want)
	}
	for _, id := range ids {
		a.Remove(id)
	}
	if a != (rangeset.Digest{}) {
		t.Fatal("removing all leaves something")
	}
}

func TestItemBytes(t *testing.T) {
	it := randomItem(rand.New(rand.NewPCG(9, 9)))
	back, err := rangeset.ItemFromBytes(it.Bytes())
	if err != nil || back != it {
		t.Fatal(back, err)
	}
	if _, err := rangeset.ItemFromBytes(make([]byte, 31)); err == nil {
		t.Fatal("31 bytes are no item")
	}
}

func BenchmarkReconcileOneOf6500(b *testing.B) {
	full := rangeset.NewItems(randomItems(rand.New(rand.NewPCG(4, 4)), 6500))
	b.ReportAllocs()
	for b.Loop() {
		reconcile(b, full, full[1:], 6500, 6499)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	full := randomItems(rand.New(rand.NewPCG(4, 4)), 6500)
	b.ReportAllocs()
	for b.Loop() {
		var d rangeset.Digest
		for i := range full {
			d.Add(full[i].Version)
		}
	}
}
