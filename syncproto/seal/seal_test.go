package seal_test

import (
	"bytes"
	"fmt"
	"testing"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// testSecret is a secret that everybody knows.
func testSecret(n byte) seal.Secret {
	var s seal.Secret
	for i := range s {
		s[i] = n + byte(i)
	}
	return s
}

func testKeys(n byte) *seal.Keys {
	s := testSecret(n)
	return seal.NewKeys(s.Account(), s.Data())
}

// minter gives the dots of one replica in turn.
type minter struct{ dot record.Dot }

func (m *minter) Next() record.Dot {
	m.dot.Counter++
	return m.dot
}

func contact(m *minter) *record.Version {
	return record.Set(record.New(), []record.Edit{
		{Key: "VERSION", Line: []byte("VERSION:4.0"), Pos: 0},
		{Key: "UID", Line: []byte("UID:urn:uuid:3f2c9a10-5b7e-4d21-9c0e-7a1f5e8b6d34"), Pos: 1},
		{Key: "FN", Line: []byte("FN:Ada Example"), Pos: 2},
		{Key: "N", Line: []byte("N:Example;Ada;;;"), Pos: 3},
		{Key: "TEL.k3x9", Line: []byte("TEL;TYPE=cell:+45 20 12 34 56"), Pos: 4},
	}, m)
}

func testMinter() *minter {
	return &minter{record.Dot{Replica: record.ReplicaID{1, 2, 3, 4, 5, 6, 7, 8}}}
}

func TestSealAndOpen(t *testing.T) {
	k := testKeys(1)
	m := testMinter()
	v := contact(m)
	id := k.RecordID(record.Contacts, "urn:uuid:1")
	for _, v := range []*record.Version{v, record.Delete(v, m), record.Purge(v, m), record.New()} {
		for _, kind := range append([]record.Kind{"journeys"}, record.Kinds[:]...) {
			s, err := k.SealVersion(kind, id, v)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := k.SealVersion(kind, id, v)
			if !bytes.Equal(s.Header, again.Header) || !bytes.Equal(s.Body, again.Body) {
				t.Fatal("sealing twice gives different bytes")
			}
			o, err := k.OpenVersion(s)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := record.Encode(v)
			got, _ := record.Encode(o.Version)
			if o.Kind != kind || o.ID != id || !bytes.Equal(got, want) || o.VersionID != k.VersionID(kind, id, want) {
				t.Fatalf("opened %v", o)
			}
			h, err := seal.ParseHeader(s.Header)
			if err != nil || h.Dead() != v.Dead() || !h.Vector.Equal(v.Vector) || h.VersionID != o.VersionID {
				t.Fatalf("header %v: %v", h, err)
			}
		}
	}
}

func TestSealChunk(t *testing.T) {
	k := testKeys(1)
	for _, n := range []int{1, 31, 32, 33, 1024, 1025, 65535, 65536} {
		plain := bytes.Repeat([]byte{0xa5, 0}, n)[:n]
		s, err := k.SealChunk(plain)
		if err != nil {
			t.Fatal(err)
		}
		id, back, err := k.OpenChunk(s)
		if err != nil || id != k.ChunkID(plain) || !bytes.Equal(back, plain) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, 65537} {
		if _, err := k.SealChunk(make([]byte, n)); err == nil {
			t.Errorf("sealed a chunk of %d bytes", n)
		}
	}
}

func TestIdentity(t *testing.T) {
	s := testSecret(7)
	id, err := seal.NewIdentity(s, bytes.NewReader(bytes.Repeat([]byte{9}, 40)))
	if err != nil {
		t.Fatal(err)
	}
	b := id.Marshal()
	back, err := seal.ParseIdentity(b)
	if err != nil || back.Device() != id.Device() || back.Data != id.Data {
		t.Fatal(err)
	}
	if err := seal.VerifyChain(s.Account(), id.Device(), id.Chain); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := seal.ParseIdentity(bad); err == nil {
			t.Fatalf("byte %d flipped, and it was read", i)
		}
	}
	_ = fmt.Sprint(id)
}

func TestWords(t *testing.T) {
	s := testSecret(3)
	w := s.Words()
	back, err := seal.ParseWords(w)
	if err != nil || back != s {
		t.Fatalf("%v", err)
	}
}
