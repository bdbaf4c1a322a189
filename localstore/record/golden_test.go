package record_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"sidekeep/localstore/record"
)

// The golden vectors of testdata/record, for implementations in other
// languages. They are made by this code with -update; whoever changes one
// changes the format.
var update = flag.Bool("update", false, "write the golden vectors anew")

func golden(t *testing.T, name string, made, read any) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "record", name)
	b, err := json.MarshalIndent(made, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("%s: this code makes other vectors", name)
	}
	if err := json.Unmarshal(want, read); err != nil {
		t.Fatal(err)
	}
}

// The JSON form of a version: ids and lines as hex digits.
type (
	vectorJSON map[string]uint64
	entryJSON  struct {
		Replica string
		Counter uint64
		Pos     uint32
		Rescued bool `json:",omitempty"`
		Line    string
		Size    *uint64    `json:",omitempty"` // of the blob
		Chunks  []string   `json:",omitempty"`
		Seen    vectorJSON `json:",omitempty"`
	}
	versionJSON struct {
		Vector vectorJSON
		Fields map[string][]entryJSON
		Dead   bool
	}
)

func vectorOf(v record.Vector) vectorJSON {
	j := vectorJSON{}
	for r, c := range v {
		j[r.String()] = c
	}
	return j
}

func versionOf(v *record.Version) *versionJSON {
	j := &versionJSON{Vector: vectorOf(v.Vector), Fields: map[string][]entryJSON{}, Dead: v.Dead()}
	for k, es := range v.Fields {
		for _, e := range es {
			x := entryJSON{Replica: e.Dot.Replica.String(), Counter: e.Dot.Counter, Pos: e.Pos, Rescued: e.Rescued, Line: hex.EncodeToString(e.Line)}
			if e.Blob != nil {
				x.Size = &e.Blob.Size
				for _, c := range e.Blob.Chunks {
					x.Chunks = append(x.Chunks, c.String())
				}
			}
			if e.Seen != nil {
				x.Seen = vectorOf(e.Seen)
			}
			j.Fields[k] = append(j.Fields[k], x)
		}
	}
	return j
}

func TestGoldenEncoding(t *testing.T) {
	type vector struct {
		Name, Encoding, Outcome string
		Version                 *versionJSON `json:",omitempty"`
	}
	var made []vector
	good := func(name string, v *record.Version) []byte {
		b := encode(t, v)
		made = append(made, vector{name, hex.EncodeToString(b), "read", versionOf(v)})
		return b
	}
	bad := func(name string, b []byte) {
		made = append(made, vector{name, hex.EncodeToString(b), "refused", nil})
	}
	m := newMinter(1)
	v := record.Set(record.New(), []record.Edit{{Key: "FN", Line: []byte("FN:Ada")}, {Key: "TEL.a", Line: []byte("TEL:1"), Pos: 1}}, m)
	good("empty", record.New())
	plain := good("two fields as imported", v)
	good("a card with tags", card(newMinter(2)))
	good("an edited field", record.Set(v, set("TEL.a", "2", 1), newMinter(2)))
	deleted := record.Delete(v, m)
	good("deleted", deleted)
	good("purged", record.Purge(deleted, m))
	good("undeleted", record.Undelete(deleted, m))
	siblings := join(t, record.Set(v, set("FN", "A", 0), newMinter(2)), record.Set(v, set("FN", "B", 0), newMinter(3)), nil)
	good("siblings", siblings)
	good("rescued", join(t, record.Purge(deleted, m), record.Set(v, set("TEL.a", "2", 1), newMinter(2)), newMinter(3)))
	good("a blob", record.Set(v, []record.Edit{{Key: "PHOTO", Line: []byte("PHOTO:"), Pos: 2, Blob: &record.Blob{Size: 65537, Chunks: []record.ChunkID{{2}, {1}}}}}, m))
	good("an empty blob", record.Set(v, []record.Edit{{Key: "PHOTO", Line: []byte("PHOTO:"), Pos: 2, Blob: &record.Blob{}}}, m))
	good("a line feed in a line", record.Set(v, []record.Edit{{Key: "VTIMEZONE.X", Line: []byte("BEGIN:VTIMEZONE\nEND:VTIMEZONE"), Pos: 9}}, m))
	good("keys that the line does not name", record.Set(v, append(set("@20261122/SUMMARY", "", 4), record.Edit{Key: "FN2", Line: []byte("no colon"), Pos: 5}), m))
	good("a large counter and position", record.Set(&record.Version{Fields: map[string][]record.Entry{}, Vector: record.Vector{{1}: record.CounterMax}}, set("A", "", 1<<32-1), newMinter(1)))

	// plain is: 01, one replica with counter 2, two entries, flags 41 80, the
	// name ".a", the detail of the first dot (0, 1), and two lines.
	at := func(i int, c ...byte) []byte {
		return append(append(bytes.Clone(plain[:i]), c...), plain[i+len(c):]...)
	}
	const vectorAt, countAt, flagsAt, nameAt, detailAt = 1, 11, 12, 14, 17
	if plain[flagsAt] != 0x41 || plain[flagsAt+1] != 0x80 || plain[nameAt] != 2 || plain[detailAt] != 0 {
		t.Fatalf("the encoding has moved: %x", plain)
	}
	bad("nothing", nil)
	bad("format 2", at(0, 2))
	bad("cut short", plain[:len(plain)-1])
	bad("a byte more", append(bytes.Clone(plain), 0))
	bad("a counter of 0", at(vectorAt+9, 0))
	bad("a number longer than it must be", append(append(bytes.Clone(plain[:countAt]), 0x82, 0), plain[countAt+1:]...))
	bad("a count above the data", at(countAt, 0x7f))
	bad("a form on nothing", at(flagsAt, 0xc1, 0x80))
	bad("an entry to come that does not", at(flagsAt+1, 0xa0))
	bad("no dot at first", at(flagsAt, 0x40, 0x80))
	bad("a dot outside the vector", at(detailAt+1, 2))
	bad("a replica outside the vector", at(detailAt, 1))
	bad("an empty name", at(nameAt, 0))
	bad("the name written out", append(append(bytes.Clone(plain[:flagsAt]), 0x01, 0x80, 2, 'F', 'N'), plain[nameAt:]...))
	bad("a position that can be left out", append(append(append(bytes.Clone(plain[:flagsAt]), 0x43), plain[flagsAt+1:detailAt+2]...), append([]byte{0}, plain[detailAt+2:]...)...))
	bad("a length that can be left out", append(append(append(bytes.Clone(plain[:flagsAt]), 0x51), plain[flagsAt+1:detailAt+2]...), append([]byte{6}, plain[detailAt+2:]...)...))
	bad("one dot twice", append(append(append(bytes.Clone(plain[:flagsAt]), 0x41, 0x81), plain[nameAt:detailAt+2]...), append([]byte{0, 1}, plain[detailAt+2:]...)...))
	swapped := bytes.Clone(plain[:countAt+1])
	swapped = append(swapped, 0x83, 0x43, 2, '.', 'a', 0, 0, 1, 0, 1, 0)
	bad("keys in another order", append(swapped, "TEL:1\nFN:Ada\n"...))
	bad("a tombstone without what it saw", append(append(bytes.Clone(plain[:countAt]), 1, 0x01, 8), "!deleted\x00\x00\n"...))

	var read []vector
	golden(t, "encoding.json", made, &read)
	for _, c := range read {
		b, err := hex.DecodeString(c.Encoding)
		if err != nil {
			t.Fatal(err)
		}
		v, err := record.Decode(b)
		if c.Outcome == "refused" {
			if !errors.Is(err, record.ErrEncoding) {
				t.Errorf("%s: %v", c.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		got, _ := json.Marshal(versionOf(v))
		want, _ := json.Marshal(c.Version)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: read as %s, want %s", c.Name, got, want)
		}
	}
}

func TestGoldenJoin(t *testing.T) {
	type vector struct {
		Name    string
		A, B    string // encodings
		Minter  string // replica of fresh dots, which count from 1
		Result  string
		Clashes int
	}
	var made []vector
	add := func(name string, a, b *record.Version) {
		m := newMinter(9)
		n, clashes := record.Join(a, b, m)
		made = append(made, vector{name, hex.EncodeToString(encode(t, a)), hex.EncodeToString(encode(t, b)), m.dot.Replica.String(), hex.EncodeToString(encode(t, n)), len(clashes)})
	}
	v, m := person()
	edit := func(v *record.Version, key, value string, n byte) *record.Version {
		return record.Set(v, set(key, value, 1), newMinter(n))
	}
	deleted := record.Delete(v, newMinter(4))
	add("equal", v, v)
	add("dominated", v, edit(v, "FN", "A", 2))
	add("different fields", edit(v, "FN", "A", 2), edit(v, "TEL.a", "B", 3))
	add("the same field", edit(v, "FN", "A", 2), edit(v, "FN", "B", 3))
	add("the same value", edit(v, "FN", "A", 2), edit(v, "FN", "A", 3))
	add("edit against delete", edit(v, "FN", "A", 2), deleted)
	add("removal against delete", record.Set(v, []record.Edit{{Key: "FN", Remove: true}}, newMinter(2)), deleted)
	add("delete against delete", record.Delete(v, newMinter(2)), deleted)
	add("undelete against delete", record.Undelete(deleted, newMinter(2)), record.Delete(deleted, newMinter(3)))
	add("edit against purge: rescue", edit(v, "TEL.a", "2", 2), record.Purge(deleted, newMinter(5)))
	add("delete against purge: no rescue", record.Delete(v, newMinter(2)), record.Purge(deleted, newMinter(5)))
	one, two := *m, *m
	add("one dot, one key, two values", record.Set(v, set("FN", "A", 0), &one), record.Set(v, set("FN", "B", 0), &two))
	one, two = *m, *m
	add("equal vectors, two keys", record.Set(v, set("FN", "A", 0), &one), record.Set(v, set("NOTE", "B", 0), &two))
	one, two = *m, *m
	add("one dot for two keys", record.Set(v, set("FN", "A", 0), &one), record.Set(v, append(set("NOTE", "B", 2), set("X-Y", "C", 3)...), &two))

	var read []vector
	golden(t, "join.json", made, &read)
	for _, c := range read {
		var in [2]*record.Version
		for i, s := range []string{c.A, c.B} {
			b, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			if in[i], err = record.Decode(b); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
		}
		for i := range 2 {
			n, clashes := record.Join(in[i], in[1-i], newMinter(9))
			if got := hex.EncodeToString(encode(t, n)); got != c.Result || len(clashes) != c.Clashes {
				t.Errorf("%s: %s with %d clashes", c.Name, got, len(clashes))
			}
		}
	}
}
