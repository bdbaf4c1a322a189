package record_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"sidekeep/localstore/record"
)

func line(t *testing.T, v *record.Version, key string) string {
	t.Helper()
	e, ok := v.Shown(key)
	if !ok {
		return ""
	}
	return string(e.Line)
}

// person is a record with two fields, and the minter that wrote it.
func person() (*record.Version, *minter) {
	m := newMinter(1)
	return record.Set(record.New(), append(set("FN", "Ada", 0), set("TEL.a", "1", 1)...), m), m
}

func join(t *testing.T, a, b *record.Version, m record.Minter) *record.Version {
	t.Helper()
	n, clashes := record.Join(a, b, m)
	if len(clashes) > 0 {
		t.Fatalf("clashes %v", clashes)
	}
	return n
}

func TestW1EveryWriteTakesADot(t *testing.T) {
	v, m := person()
	for name, write := range map[string]func(*record.Version) *record.Version{
		"set": func(v *record.Version) *record.Version { return record.Set(v, set("FN", "B", 0), m) },
		"remove": func(v *record.Version) *record.Version {
			return record.Set(v, []record.Edit{{Key: "FN", Remove: true}}, m)
		},
		"remove what is not there": func(v *record.Version) *record.Version {
			return record.Set(v, []record.Edit{{Key: "NOTE", Remove: true}}, m)
		},
		"delete":   func(v *record.Version) *record.Version { return record.Delete(v, m) },
		"undelete": func(v *record.Version) *record.Version { return record.Undelete(v, m) },
		"purge":    func(v *record.Version) *record.Version { return record.Purge(v, m) },
		"reject":   func(v *record.Version) *record.Version { return record.Reject(v, record.Delete(v, newMinter(2)), m) },
	} {
		before := m.dot.Counter
		n := write(v)
		if !n.Vector.Dominates(v.Vector) || m.dot.Counter == before || n.Vector[m.dot.Replica] != m.dot.Counter {
			t.Errorf("%s: vector %v after %v", name, n.Vector, v.Vector)
		}
		encode(t, n)
	}
	// Siblings that are written again together get a dot each.
	a := record.Set(v, set("FN", "A", 0), newMinter(2))
	b := record.Set(v, set("FN", "B", 0), newMinter(3))
	n := record.Undelete(join(t, a, b, nil), m)
	if es := n.Fields["FN"]; len(es) != 2 || es[0].Dot == es[1].Dot || es[0].Dot.Replica != m.dot.Replica {
		t.Errorf("rewritten siblings %v", es)
	}
}

func TestW3DeadAndAlive(t *testing.T) {
	v, m := person()
	deleted := record.Delete(v, m)
	if v.Dead() || !deleted.Dead() || record.New().Dead() {
		t.Fatal("a tombstone that saw everything kills, nothing else does")
	}
	// An edit that the tombstone has not seen brings the record back.
	edited := record.Set(v, set("NOTE", "hello", 2), newMinter(2))
	if n := join(t, deleted, edited, nil); n.Dead() || line(t, n, "NOTE") != "NOTE:hello" || line(t, n, "FN") != "FN:Ada" {
		t.Fatalf("edit against delete:\n%s", dump(n))
	}
	// A removal is no sign of life.
	removed := record.Set(v, []record.Edit{{Key: "TEL.a", Remove: true}}, newMinter(2))
	if n := join(t, deleted, removed, nil); !n.Dead() {
		t.Fatalf("removal against delete:\n%s", dump(n))
	}
	// Two tombstones cover together what neither covers alone.
	a := record.Set(v, set("FN", "A", 0), newMinter(2))
	b := record.Set(v, set("TEL.a", "B", 1), newMinter(3))
	ma, mb := newMinter(4), newMinter(5)
	if n := join(t, record.Delete(a, ma), record.Delete(b, mb), nil); !n.Dead() || len(n.Fields[record.KeyDeleted]) != 2 {
		t.Fatalf("delete against delete:\n%s", dump(n))
	}
}

func TestW4Undelete(t *testing.T) {
	v, m := person()
	deleted := record.Delete(v, m)
	back := record.Undelete(deleted, m)
	if back.Dead() || len(back.Fields[record.KeyDeleted]) != 0 || len(back.Fields[record.KeyAlive]) != 1 || line(t, back, "FN") != "FN:Ada" {
		t.Fatalf("undelete:\n%s", dump(back))
	}
	for k, es := range v.Fields {
		if back.Fields[k][0].Dot == es[0].Dot {
			t.Errorf("%s keeps its old dot", k)
		}
	}
	// A concurrent delete on another device loses: it has not seen the new dots.
	other := record.Delete(deleted, newMinter(2))
	if n := join(t, back, other, nil); n.Dead() {
		t.Fatalf("undelete against delete:\n%s", dump(n))
	}
	// A later delete that saw the undelete wins.
	if n := join(t, record.Delete(back, newMinter(3)), deleted, nil); !n.Dead() {
		t.Fatalf("delete after undelete:\n%s", dump(n))
	}
	// A record without fields can be brought back, too: alive counts as life.
	empty := record.Delete(record.Set(record.New(), []record.Edit{{Key: "FN", Remove: true}}, m), m)
	if !empty.Dead() || record.Undelete(empty, m).Dead() {
		t.Fatal("undelete of an empty record")
	}
}

func TestW5AnEditOfADeletedRecordRevivesIt(t *testing.T) {
	v, m := person()
	deleted := record.Delete(v, m)
	for name, e := range map[string]record.Edit{"set": set("FN", "B", 0)[0], "remove": {Key: "TEL.a", Remove: true}} {
		n := record.Set(deleted, []record.Edit{e}, m)
		if n.Dead() || len(n.Fields[record.KeyDeleted]) != 0 || len(n.Fields[record.KeyAlive]) != 1 {
			t.Errorf("%s:\n%s", name, dump(n))
		}
	}
	if n := record.Set(v, set("FN", "B", 0), m); len(n.Fields[record.KeyAlive]) != 0 {
		t.Error("an edit of a living record writes alive")
	}
}

func TestW6Purge(t *testing.T) {
	v, m := person()
	deleted := record.Delete(v, m)
	purged := record.Purge(deleted, m)
	if !purged.Dead() || !purged.Purged() || len(purged.Keys()) != 0 {
		t.Fatalf("purge:\n%s", dump(purged))
	}
	for _, k := range []string{record.KeyDeleted, record.KeyPurged} {
		if es := purged.Fields[k]; len(es) != 1 || !es[0].Seen.Equal(deleted.Vector) {
			t.Errorf("%s does not carry the whole vector", k)
		}
	}
	if n := join(t, purged, deleted, nil); n != purged {
		t.Fatal("what was purged came back")
	}
	// Only a later purge replaces the mark.
	again := record.Set(purged, set("FN", "New", 0), m)
	if again.Dead() || again.Purged() || len(again.Fields[record.KeyPurged]) != 1 {
		t.Fatalf("edit after purge:\n%s", dump(again))
	}
	if n := record.Undelete(record.Delete(again, m), m); len(n.Fields[record.KeyPurged]) != 1 {
		t.Fatal("undelete dropped the purge mark")
	}
	n := record.Purge(record.Delete(again, m), m)
	if es := n.Fields[record.KeyPurged]; len(es) != 1 || es[0].Dot.Compare(purged.Fields[record.KeyPurged][0].Dot) <= 0 {
		t.Fatal("a later purge must replace the mark")
	}
}

func TestW7Rescue(t *testing.T) {
	v, m := person()
	purged := record.Purge(record.Delete(v, m), m)
	// Elsewhere, not knowing of it, one field was edited.
	edited := record.Set(v, set("TEL.a", "2", 1), newMinter(2))
	n := join(t, purged, edited, newMinter(3))
	if n.Dead() || line(t, n, "FN") != "FN:Ada" || line(t, n, "TEL.a") != "TEL.a:2" {
		t.Fatalf("the edited record is maimed:\n%s", dump(n))
	}
	fn, _ := n.Shown("FN")
	if !fn.Rescued || fn.Dot.Replica != newMinter(3).dot.Replica {
		t.Fatalf("rescued entry %v", fn)
	}
	if tel, _ := n.Shown("TEL.a"); tel.Rescued {
		t.Fatal("the edit itself is no rescue")
	}
	// Rescue does not clear deleted, and what it rescued is no life: a tombstone
	// that saw the edit, but not the rescue, kills the record.
	if len(n.Fields[record.KeyDeleted]) != 1 {
		t.Fatal("rescue dropped the tombstone")
	}
	if k := join(t, n, record.Delete(edited, newMinter(4)), nil); !k.Dead() {
		t.Fatalf("rescued fields count as life:\n%s", dump(k))
	}
	// An input that only lacks the purge, without an edit, is not rescued.
	if k := join(t, purged, record.Delete(v, newMinter(5)), noMinter{t}); !k.Dead() || len(k.Keys()) != 0 {
		t.Fatalf("rescue without an edit:\n%s", dump(k))
	}
	// Undelete makes rescued fields ordinary ones.
	if fn, _ := record.Undelete(n, m).Shown("FN"); fn.Rescued {
		t.Fatal("undelete leaves the mark")
	}
}

func TestW8EqualSiblingsStay(t *testing.T) {
	v, _ := person()
	a := record.Set(v, set("FN", "Same", 0), newMinter(2))
	b := record.Set(v, set("FN", "Same", 0), newMinter(3))
	n := join(t, a, b, nil)
	if len(n.Fields["FN"]) != 2 {
		t.Fatal("the join collapsed equal siblings")
	}
	if c := n.Conflicts(); len(c) != 0 {
		t.Fatalf("equal siblings shown as conflict %v", c)
	}
	c := record.Set(v, set("FN", "Other", 0), newMinter(4))
	n = join(t, n, c, nil)
	if k := n.Conflicts(); len(k) != 1 || k[0] != "FN" || line(t, n, "FN") != "FN:Other" {
		t.Fatalf("conflicts %v, shown %s", k, line(t, n, "FN"))
	}
	// A write that has seen all of them ends it.
	if n = record.Set(n, set("FN", "One", 0), newMinter(5)); len(n.Fields["FN"]) != 1 || len(n.Conflicts()) != 0 {
		t.Fatal("siblings outlive a write that saw them")
	}
}

func TestW9ClashesKeepAllValues(t *testing.T) {
	base, m := person()
	clone := *m
	for name, c := range map[string]struct {
		a, b []record.Edit
		keys int // values in the result
	}{
		"one dot, one key":         {set("FN", "A", 0), set("FN", "B", 0), 3},
		"equal vectors, two keys":  {set("FN", "A", 0), set("NOTE", "B", 2), 3},
		"one dot, longer vector":   {set("FN", "A", 0), append(set("FN", "B", 0), set("NOTE", "C", 2)...), 4},
		"one dot, keys, longer":    {set("FN", "A", 0), append(set("NOTE", "B", 2), set("X-Y", "C", 3)...), 4},
		"one position or the like": {set("FN", "A", 0), set("FN", "A", 9), 3},
	} {
		ma, mb := *m, clone
		a, b := record.Set(base, c.a, &ma), record.Set(base, c.b, &mb)
		n, clashes := record.Join(a, b, newMinter(9))
		if len(clashes) == 0 {
			t.Errorf("%s: not reported", name)
		}
		if other, _ := record.Join(b, a, newMinter(9)); !same(t, n, other) {
			t.Errorf("%s: depends on the order", name)
		}
		values := 0
		for _, es := range n.Fields {
			values += len(es)
		}
		for _, e := range append(c.a, c.b...) {
			found := false
			for _, x := range n.Fields[e.Key] {
				found = found || string(x.Line) == string(e.Line)
			}
			if !found {
				t.Errorf("%s: %s was lost\n%s", name, e.Line, dump(n))
			}
		}
		if values < c.keys-1 {
			t.Errorf("%s: %d values\n%s", name, values, dump(n))
		}
		for _, v := range []*record.Version{a, b, n} {
			if k, again := record.Join(n, v, noMinter{t}); k != n || len(again) > 0 {
				t.Errorf("%s: clashes again", name)
			}
		}
	}
}

func TestC5Fork(t *testing.T) {
	old, fresh := record.ReplicaID{7: 1}, record.ReplicaID{7: 99}
	m := newMinter(1)
	v := record.Set(record.New(), set("FN", "acknowledged", 0), m) // dot 1
	v = record.Set(v, set("TEL.a", "not", 1), m)                   // dot 2
	v = record.Set(v, set("NOTE", "not", 2), m)                    // dot 3
	v = record.Purge(record.Delete(record.Delete(v, m), m), m)     // dots 4 to 7
	v = record.Set(v, set("FN", "new", 0), m)                      // 8, 9
	const acked = 1
	n := record.Fork(v, old, fresh, acked)
	encode(t, n)
	if n.Vector[old] != acked || n.Vector[fresh] != 9 {
		t.Fatalf("vector %v", n.Vector)
	}
	for k, es := range n.Fields {
		for _, e := range es {
			if e.Dot.Replica == old && e.Dot.Counter > acked || e.Seen[old] > acked {
				t.Errorf("%s still has a dot of the old id above %d", k, acked)
			}
			if e.Seen != nil && e.Seen[fresh] == 0 {
				t.Errorf("%s: seen vector not moved: %v", k, e.Seen)
			}
		}
	}
	if record.Fork(n, old, fresh, acked) != n || record.Fork(v, record.ReplicaID{5}, fresh, 0) != v {
		t.Fatal("a fork that moves nothing must return the version itself")
	}
	if k := record.Fork(v, old, fresh, 0); k.Vector[old] != 0 || len(k.Vector) != 1 {
		t.Fatalf("nothing acknowledged, and the old id stays: %v", k.Vector)
	}
}

// TestC5ForkThenJoin lets a device with an old backup fork: what it had not
// pushed survives beside what the lost present had pushed under the same dots.
func TestC5ForkThenJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, m := person()
		present, past := *m, *m
		a := record.Set(base, set(rapid.SampledFrom([]string{"FN", "NOTE"}).Draw(t, "a"), "pushed", 0), &present)
		b := record.Set(base, set(rapid.SampledFrom([]string{"FN", "TEL.a", "NOTE"}).Draw(t, "b"), "restored", 0), &past)
		b = record.Fork(b, m.dot.Replica, record.ReplicaID{7: 50}, m.dot.Counter)
		n, clashes := record.Join(a, b, noMinter{t})
		if len(clashes) > 0 {
			t.Fatal("a fork leaves a clash")
		}
		found := map[string]bool{}
		for _, es := range n.Fields {
			for _, e := range es {
				found[string(e.Line)] = true
			}
		}
		for _, v := range []*record.Version{a, b} {
			for _, es := range v.Fields {
				for _, e := range es {
					if e.Dot.Counter > m.dot.Counter && !found[string(e.Line)] {
						t.Fatalf("%s was lost", e.Line)
					}
				}
			}
		}
	})
}

func TestH3Reject(t *testing.T) {
	v, m := person()
	blanked := record.Set(v, []record.Edit{{Key: "FN", Remove: true}, {Key: "TEL.a", Remove: true}}, newMinter(2))
	for name, held := range map[string]*record.Version{
		"delete": record.Delete(v, newMinter(2)),
		"purge":  record.Purge(record.Delete(v, newMinter(2)), newMinter(3)),
		"blank":  blanked,
	} {
		n := record.Reject(v, held, m)
		if n.Dead() || line(t, n, "FN") != "FN:Ada" || line(t, n, "TEL.a") != "TEL.a:1" {
			t.Errorf("%s:\n%s", name, dump(n))
		}
		if !n.Vector.Dominates(v.Vector.Join(held.Vector)) || join(t, held, n, nil) != n {
			t.Errorf("%s: does not dominate both", name)
		}
		encode(t, n)
	}
}

func TestP3CheckPush(t *testing.T) {
	own, other := record.ReplicaID{1}, record.ReplicaID{2}
	received := record.Vector{own: 3, other: 7}
	if err := record.CheckPush(record.Vector{own: 5, other: 7}, own, 5, received); err != nil {
		t.Fatal(err)
	}
	for _, v := range []record.Vector{{own: 6}, {other: 8}, {record.ReplicaID{3}: 1}} {
		var e *record.VectorError
		if err := record.CheckPush(v, own, 5, received); !errors.As(err, &e) {
			t.Errorf("%v passes: %v", v, err)
		}
	}
}

func TestSetLeavesReservedKeysAlone(t *testing.T) {
	v, m := person()
	n := record.Set(v, append(set(record.KeyDeleted, "", 0), set("!x", "", 0)...), m)
	if !same(t, v, n) {
		t.Fatalf("a document wrote a reserved key:\n%s", dump(n))
	}
}

func TestKinds(t *testing.T) {
	for k, want := range map[record.Kind]bool{"contacts": true, "x-1_y": true, "": false, "Contacts": false, "1x": false, "a b": false,
		"abcdefghijklmnopqrstuvwxyz012345": true, "abcdefghijklmnopqrstuvwxyz0123456": false} {
		if k.Valid() != want {
			t.Errorf("%q: valid %v", k, !want)
		}
	}
	if record.Contacts.Priority() != 0 || record.Kind("journeys").Priority() != 5 {
		t.Error("priority")
	}
	id := record.ID{0xab, 15: 1}
	if back, err := record.ParseID(id.String()); err != nil || back != id {
		t.Error(back, err)
	}
	for _, s := range []string{"", "ab", id.String() + "0", "z" + id.String()[1:]} {
		if _, err := record.ParseID(s); err == nil {
			t.Errorf("%q is an id", s)
		}
	}
}

func TestLinesKeepTheirOrder(t *testing.T) {
	m := newMinter(1)
	v := record.Set(record.New(), append(append(set("Z", "1", 0), set("A", "2", 1)...), set("M", "3", 1)...), m)
	var got []string
	for _, f := range v.Lines() {
		got = append(got, f.Key)
	}
	if len(got) != 3 || got[0] != "Z" || got[1] != "A" || got[2] != "M" {
		t.Fatalf("order %v", got)
	}
}
