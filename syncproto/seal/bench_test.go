package seal_test

import (
	"bytes"
	"testing"

	"sidekeep/localstore/record"
)

func BenchmarkSealVersion(b *testing.B) {
	k, v := testKeys(1), contact(testMinter())
	id := k.RecordID(record.Contacts, "x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.SealVersion(record.Contacts, id, v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenVersion(b *testing.B) {
	k, v := testKeys(1), contact(testMinter())
	s, err := k.SealVersion(record.Contacts, record.ID{1}, v)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.OpenVersion(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealChunk(b *testing.B) {
	k, plain := testKeys(1), make([]byte, 65536)
	b.ReportAllocs()
	b.SetBytes(65536)
	for b.Loop() {
		if _, err := k.SealChunk(plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenChunk(b *testing.B) {
	k := testKeys(1)
	s, err := k.SealChunk(make([]byte, 65536))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(65536)
	body := bytes.Clone(s.Body) // which opening overwrites
	for b.Loop() {
		copy(s.Body, body)
		if _, _, err := k.OpenChunk(s); err != nil {
			b.Fatal(err)
		}
	}
}
