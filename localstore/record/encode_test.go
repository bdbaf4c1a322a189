package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidekeep/localstore/record"
)

// drawVersion makes a version of all that an encoding can hold.
func drawVersion(t *rapid.T) *record.Version {
	v := record.New()
	writers := make([]*minter, rapid.IntRange(1, 3).Draw(t, "writers"))
	for i := range writers {
		writers[i] = newMinter(byte(i))
		writers[i].dot.Counter = rapid.Uint64Range(0, record.CounterMax-100).Draw(t, "counter")
	}
	for range rapid.IntRange(0, 12).Draw(t, "writes") {
		m := rapid.SampledFrom(writers).Draw(t, "writer")
		e := record.Edit{
			Key:  rapid.StringMatching(`[A-Z]{1,4}(\.[a-z2-7]{4})?`).Draw(t, "key"),
			Line: []byte(rapid.String().Draw(t, "line")),
			Pos:  rapid.Uint32().Draw(t, "pos"),
		}
		if rapid.Bool().Draw(t, "next") {
			e.Pos = uint32(len(v.Fields))
		}
		if n := rapid.IntRange(-2, 2).Draw(t, "chunks"); n >= 0 {
			e.Blob = &record.Blob{Size: rapid.Uint64().Draw(t, "size")}
			for i := range n {
				e.Blob.Chunks = append(e.Blob.Chunks, record.ChunkID{byte(i)})
			}
		}
		other := record.Set(v, []record.Edit{e}, m)
		switch rapid.IntRange(0, 9).Draw(t, "then") {
		case 0:
			other = record.Delete(other, m)
		case 1:
			other = record.Purge(other, m)
		case 2: // siblings
			other, _ = record.Join(other, record.Set(v, []record.Edit{e}, newMinter(byte(100+len(v.Vector)))), m)
		}
		v = other
	}
	return v
}

func TestEncodingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawVersion(t)
		b := encode(t, v)
		back, err := record.Decode(b)
		if err != nil {
			t.Fatalf("decode: %v\n%s", err, dump(v))
		}
		if again := encode(t, back); !bytes.Equal(again, b) {
			t.Fatal("not the same bytes again")
		}
		if dump(back) != dump(v) || !back.Vector.Equal(v.Vector) {
			t.Fatalf("decoded\n%s\nfrom\n%s", dump(back), dump(v))
		}
	})
}

// checkStrict requires that b is refused, or is the one encoding of what it says.
func checkStrict(t rapid.TB, b []byte) {
	v, err := record.Decode(b)
	if err != nil {
		return
	}
	if again, err := record.Encode(v); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%x was read, and is written as %x (%v)", b, again, err)
	}
}

func TestDecodeRefusesEverythingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := encode(t, drawVersion(t))
		for n := range b {
			if _, err := record.Decode(b[:n]); !errors.Is(err, record.ErrEncoding) {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
		if _, err := record.Decode(append(bytes.Clone(b), 0)); !errors.Is(err, record.ErrEncoding) {
			t.Fatal("a byte more is read")
		}
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			checkStrict(t, bad)
		}
	})
}

func FuzzDecode(f *testing.F) {
	v, m := person()
	f.Add(encode(f, v))
	f.Add(encode(f, record.Purge(record.Delete(v, m), m)))
	j, _ := record.Join(record.Set(v, set("FN", "A", 0), newMinter(2)), record.Set(v, set("FN", "B", 0), newMinter(3)), m)
	f.Add(encode(f, j))
	f.Fuzz(func(t *testing.T, b []byte) { checkStrict(t, b) })
}

func TestLimitsOfAVersion(t *testing.T) {
	edits := func(n, size int) (es []record.Edit) {
		for i := range n {
			es = append(es, record.Edit{Key: fmt.Sprintf("K%05d", i), Line: bytes.Repeat([]byte{'x'}, size), Pos: uint32(i)})
		}
		return es
	}
	vector := func(n int) *record.Version {
		v := record.New()
		for i := range n {
			v.Vector[record.ReplicaID{byte(i >> 8), byte(i)}] = 1
		}
		return v
	}
	siblings := func(n int) *record.Version {
		m := newMinter(1)
		v := record.New()
		for i := range n {
			k := fmt.Sprint("K", i%4000)
			v.Fields[k] = append(v.Fields[k], record.Entry{Dot: m.Next()})
		}
		v.Vector.Add(m.dot)
		return v
	}
	chunks := func(n int) []record.Edit {
		return []record.Edit{{Key: "A", Blob: &record.Blob{Chunks: make([]record.ChunkID, n)}}}
	}
	// What an empty line costs beside itself, found by the encoder itself.
	spare := record.EncodedBytesMax - len(encode(t, record.Set(record.New(), edits(1, 1<<17), newMinter(1)))) + 1<<17
	fixed := func(es []record.Edit) *record.Version { return record.Set(record.New(), es, newMinter(1)) }
	for _, c := range []struct {
		name string
		v    *record.Version
		fits bool
	}{
		{"keys at the limit", fixed(edits(record.KeysMax, 0)), true},
		{"a key too many", fixed(edits(record.KeysMax+1, 0)), false},
		{"bytes at the limit", fixed(edits(1, spare)), true},
		{"a byte too many", fixed(edits(1, spare+1)), false},
		{"vector at the limit", vector(record.VectorMax), true},
		{"a replica too many", vector(record.VectorMax + 1), false},
		{"entries at the limit", siblings(record.EntriesMax), true},
		{"an entry too many", siblings(record.EntriesMax + 1), false},
		{"chunks at the limit", fixed(chunks(record.ChunksMax)), true},
		{"a chunk too many", fixed(chunks(record.ChunksMax + 1)), false},
		{"key at the limit", fixed([]record.Edit{{Key: strings.Repeat("k", record.KeyBytesMax)}}), true},
		{"a byte too many in a key", fixed([]record.Edit{{Key: strings.Repeat("k", record.KeyBytesMax+1)}}), false},
		{"an empty key", fixed([]record.Edit{{}}), false},
	} {
		b, err := record.Encode(c.v)
		if c.fits {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if _, err := record.Decode(b); err != nil {
				t.Errorf("%s: decode: %v", c.name, err)
			}
			continue
		}
		var limit *record.LimitError
		if !errors.As(err, &limit) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if _, err := record.Decode(make([]byte, record.EncodedBytesMax+1)); err == nil {
		t.Error("a long encoding is read")
	}
	over := record.Version{Vector: record.Vector{{1}: record.CounterMax + 1}}
	if _, err := record.Encode(&over); err == nil {
		t.Error("a counter above the limit is written")
	}
}

func TestEncodeRefusesBrokenInvariants(t *testing.T) {
	r := record.ReplicaID{1}
	e := func(c uint64) record.Entry { return record.Entry{Dot: record.Dot{Replica: r, Counter: c}} }
	seen := e(1)
	seen.Seen = record.Vector{r: 1}
	for name, fields := range map[string]map[string][]record.Entry{
		"no entry":           {"A": {}},
		"dot twice":          {"A": {e(1)}, "B": {e(1)}},
		"dot outside":        {"A": {e(6)}},
		"no dot":             {"A": {e(0)}},
		"out of order":       {"A": {e(2), e(1)}},
		"seen on a field":    {"A": {seen}},
		"deleted not seeing": {record.KeyDeleted: {e(1)}},
	} {
		if _, err := record.Encode(&record.Version{Fields: fields, Vector: record.Vector{r: 5}}); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}
