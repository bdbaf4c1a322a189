package record_test

import (
	"fmt"
	"testing"

	"sidekeep/localstore/record"
)

// card is a contact of fourteen lines, as imported.
func card(m record.Minter) *record.Version {
	var edits []record.Edit
	for i := range 14 {
		edits = append(edits, record.Edit{Key: fmt.Sprintf("TEL.k%d", i), Line: []byte("TEL;TYPE=cell:+45 20 12 34 56"), Pos: uint32(i)})
	}
	return record.Set(record.New(), edits, m)
}

func BenchmarkJoinConcurrent(b *testing.B) {
	v := card(newMinter(1))
	x := record.Set(v, set("TEL.k1", "a", 1), newMinter(2))
	y := record.Set(v, set("TEL.k2", "b", 2), newMinter(3))
	b.ReportAllocs()
	for b.Loop() {
		record.Join(x, y, nil)
	}
}

func BenchmarkJoinDominated(b *testing.B) {
	v := card(newMinter(1))
	x := record.Set(v, set("TEL.k1", "a", 1), newMinter(2))
	b.ReportAllocs()
	for b.Loop() {
		record.Join(v, x, nil)
	}
}

func BenchmarkEncode(b *testing.B) {
	v := card(newMinter(1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.Encode(v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	p, err := record.Encode(card(newMinter(1)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.Decode(p); err != nil {
			b.Fatal(err)
		}
	}
}
