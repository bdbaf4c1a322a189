package record_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sidekeep/localstore/record"
)

// minter gives the dots of one replica in turn.
type minter struct{ dot record.Dot }

func (m *minter) Next() record.Dot {
	m.dot.Counter++
	return m.dot
}

func newMinter(n byte) *minter { return &minter{record.Dot{Replica: record.ReplicaID{7: n}}} }

// noMinter fails the test if a join that should mint nothing mints.
type noMinter struct{ t rapid.TB }

func (m noMinter) Next() record.Dot {
	m.t.Fatalf("a join without a purge minted a dot")
	return record.Dot{}
}

func encode(t rapid.TB, v *record.Version) []byte {
	t.Helper()
	b, err := record.Encode(v)
	if err != nil {
		t.Fatalf("encode: %v\n%s", err, dump(v))
	}
	return b
}

func same(t rapid.TB, a, b *record.Version) bool {
	t.Helper()
	return bytes.Equal(encode(t, a), encode(t, b))
}

// dump prints a version for the eyes of whoever reads a failed test.
func dump(v *record.Version) string {
	var b bytes.Buffer
	for _, r := range v.Vector.Replicas() {
		fmt.Fprintf(&b, "%x:%d ", r[7:], v.Vector[r])
	}
	keys := make([]string, 0, len(v.Fields))
	for k := range v.Fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, e := range v.Fields[k] {
			fmt.Fprintf(&b, "\n  %s = %q @%x:%d seen %v rescued %v", k, e.Line, e.Dot.Replica[7:], e.Dot.Counter, e.Seen, e.Rescued)
		}
	}
	return b.String()
}

// replica is one device of a random history: its state of the one record.
type replica struct {
	minter *minter
	now    *record.Version
}

// history is three replicas that write one record and exchange any state that
// any of them ever had, in any order, more than once.
type history struct {
	replicas [3]*replica
	states   []*record.Version
}

func set(key, value string, pos uint32) []record.Edit {
	return []record.Edit{{Key: key, Line: []byte(key + ":" + value), Pos: pos}}
}

// drawHistory makes a history of up to steps writes and exchanges.
func drawHistory(t *rapid.T, steps int, purges bool) *history {
	h := &history{states: []*record.Version{record.New()}}
	for i := range h.replicas {
		h.replicas[i] = &replica{newMinter(byte(i + 1)), record.New()}
	}
	most := 6
	if purges {
		most = 7
	}
	keys := []string{"FN", "TEL.a", "NOTE"}
	for range rapid.IntRange(1, steps).Draw(t, "steps") {
		r := h.replicas[rapid.IntRange(0, 2).Draw(t, "replica")]
		key := rapid.SampledFrom(keys).Draw(t, "key")
		switch rapid.IntRange(0, most).Draw(t, "step") {
		case 0, 1:
			value := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "value")
			r.now = record.Set(r.now, set(key, value, uint32(len(key))), r.minter)
		case 2:
			r.now = record.Set(r.now, []record.Edit{{Key: key, Remove: true}}, r.minter)
		case 3:
			r.now = record.Delete(r.now, r.minter)
		case 4:
			r.now = record.Undelete(r.now, r.minter)
		case 5, 6:
			r.now = h.join(t, r.now, rapid.SampledFrom(h.states).Draw(t, "received"), r.minter, purges)
		case 7:
			if r.now.Dead() {
				r.now = record.Purge(r.now, r.minter)
			}
		}
		h.states = append(h.states, r.now)
	}
	return h
}

func (h *history) join(t rapid.TB, a, b *record.Version, m record.Minter, purges bool) *record.Version {
	if !purges {
		m = noMinter{t}
	}
	n, clashes := record.Join(a, b, m)
	if len(clashes) > 0 {
		t.Fatalf("clash %v in an honest history:\n%s\n%s", clashes, dump(a), dump(b))
	}
	return n
}

// settle exchanges final states in random order, some of them more than once
// and old ones among them, until nothing changes.
func (h *history) settle(t *rapid.T, purges bool) {
	for round := 0; ; round++ {
		if round > 8 {
			t.Fatal("still changing after 8 rounds: ping-pong")
		}
		changed := false
		order := rapid.Permutation([]int{0, 1, 2, 0, 1, 2}).Draw(t, "to")
		from := rapid.Permutation([]int{0, 1, 2, 1, 2, 0}).Draw(t, "from")
		for i, to := range order {
			r := h.replicas[to]
			batch := []*record.Version{rapid.SampledFrom(h.states).Draw(t, "old"), h.replicas[from[i]].now, h.replicas[(to+1)%3].now, h.replicas[(to+2)%3].now}
			for _, v := range batch {
				n := h.join(t, r.now, v, r.minter, purges)
				changed = changed || n != r.now
				r.now = n
			}
		}
		if !changed {
			return
		}
	}
}

func TestRandomHistoriesEndEqual(t *testing.T) {
	for _, purges := range []bool{false, true} {
		t.Run(fmt.Sprintf("purges=%v", purges), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				h := drawHistory(t, 40, purges)
				h.settle(t, purges)
				for _, r := range h.replicas[1:] {
					if !same(t, r.now, h.replicas[0].now) {
						t.Fatalf("ends differ:\n%s\n%s", dump(r.now), dump(h.replicas[0].now))
					}
				}
				// What dominated versions say does not come back.
				end := h.replicas[0].now
				for _, old := range h.states {
					if n := h.join(t, end, old, noMinter{t}, purges); n != end {
						t.Fatal("an old version changed the end state")
					}
				}
			})
		})
	}
}

// referenceJoin is the join as MERGE has it in one sentence, without purges.
func referenceJoin(a, b *record.Version) *record.Version {
	n := &record.Version{Fields: map[string][]record.Entry{}, Vector: a.Vector.Join(b.Vector)}
	has := func(v *record.Version, k string, d record.Dot) bool {
		return slices.ContainsFunc(v.Fields[k], func(e record.Entry) bool { return e.Dot == d })
	}
	add := func(v, other *record.Version) {
		for k, es := range v.Fields {
			for _, e := range es {
				if (has(other, k, e.Dot) || !other.Vector.Covers(e.Dot)) && !has(n, k, e.Dot) {
					n.Fields[k] = append(n.Fields[k], e)
				}
			}
		}
	}
	add(a, b)
	add(b, a)
	for _, es := range n.Fields {
		slices.SortFunc(es, func(x, y record.Entry) int { return x.Dot.Compare(y.Dot) })
	}
	return n
}

func TestLawsOfTheJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, 30, false)
		pick := func(name string) *record.Version { return rapid.SampledFrom(h.states).Draw(t, name) }
		a, b, c := pick("a"), pick("b"), pick("c")
		join := func(x, y *record.Version) *record.Version { return h.join(t, x, y, nil, false) }
		if !same(t, join(a, b), join(b, a)) {
			t.Fatal("not commutative")
		}
		if !same(t, join(join(a, b), c), join(a, join(b, c))) {
			t.Fatal("not associative")
		}
		if join(a, a) != a || !same(t, join(join(a, b), b), join(a, b)) {
			t.Fatal("not idempotent")
		}
		if !same(t, join(a, b), referenceJoin(a, b)) {
			t.Fatalf("not the join of the letter:\n%s\n%s\n%s", dump(join(a, b)), dump(a), dump(b))
		}
	})
}

// With purges a join may mint (W7), so the laws hold for what is seen, not for
// the dots: commutative with the same fresh dots, and idempotent.
func TestLawsOfTheJoinWithPurges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, 30, true)
		a := rapid.SampledFrom(h.states).Draw(t, "a")
		b := rapid.SampledFrom(h.states).Draw(t, "b")
		ab := h.join(t, a, b, newMinter(9), true)
		if ba := h.join(t, b, a, newMinter(9), true); !same(t, ab, ba) {
			t.Fatalf("not commutative:\n%s\n%s", dump(ab), dump(ba))
		}
		for _, v := range []*record.Version{a, b, ab} {
			if h.join(t, ab, v, noMinter{t}, true) != ab {
				t.Fatal("not idempotent")
			}
		}
	})
}

// TestVectorNamesContent is I5: in an honest history two states with equal
// vectors have equal contents.
func TestVectorNamesContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, 40, false)
		content := map[string][]byte{}
		for _, v := range h.states {
			b := encode(t, v)
			vector := fmt.Sprint(v.Vector)
			if was, ok := content[vector]; ok && !bytes.Equal(was, b) {
				t.Fatalf("vector %s has two contents", vector)
			}
			content[vector] = b
		}
	})
}

func TestVectors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) record.Vector {
			v := record.Vector{}
			for i, c := range rapid.SliceOfN(rapid.Uint64Range(0, 3), 3, 3).Draw(t, name) {
				if c > 0 {
					v[record.ReplicaID{byte(i)}] = c
				}
			}
			return v
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		j := a.Join(b)
		switch {
		case !j.Equal(b.Join(a)), !a.Join(a).Equal(a), !j.Join(c).Equal(a.Join(b.Join(c))):
			t.Fatal("join of vectors breaks a law")
		case !j.Includes(a), !j.Includes(b), a.Includes(b) != j.Equal(a):
			t.Fatal("join is not the least upper bound")
		case a.Dominates(b) && b.Dominates(a), a.Dominates(a), a.Includes(b) && b.Includes(a) != a.Equal(b):
			t.Fatal("domination is not a strict order")
		}
	})
}
