package localstore

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sidekeep/localstore/record"
)

// A row that can not be read is damage, also among those that are minted.
func TestMintOfDamagedRows(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	id := sum([]byte("edited"))
	must(t, s.Put(t.Context(), record.Notes, id, []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:edited")}}))
	must(t, s.Close())
	damageLeaf(t, dir, `{"SUMMARY":"edited"}`, func(p []byte) { p[bytes.Index(p, []byte(record.ID(id).String()))] = 'z' })
	s, err = Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	defer s.Close()
	claim(t, s)
	if _, err = s.Mint(t.Context(), record.Notes, 0, 10, 1<<20, nil); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

// What is behind a damaged row waits; what is on the pages before it goes out.
func TestMintBeforeDamagedRow(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{Hasher: testHasher{}})
	must(t, err)
	defer s.Close()
	for i := range 3 * mintPage {
		must(t, s.Put(t.Context(), record.Notes, testHasher{}.RecordID(record.Notes, fmt.Sprint(i)), []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:" + strings.Repeat("x", 5000))}}))
	}
	claim(t, s)
	must(t, s.write(t.Context(), false, func(x *tx) error { return x.exec("UPDATE dirty SET keys = '{' WHERE n = ?", mintPage+10) }))
	if out, err := s.Mint(t.Context(), record.Notes, 0, 500, 256<<10, nil); err != nil || len(out) < 40 {
		t.Errorf("%d records, %v", len(out), err)
	}
	if _, err := s.Mint(t.Context(), record.Notes, 0, 500, 1<<20, nil); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// Nothing is drawn that will not be minted, and nothing after Mint returns.
func TestDrawingEndsWithMint(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	for i := range mintPage {
		must(t, s.Put(t.Context(), record.Notes, testHasher{}.RecordID(record.Notes, fmt.Sprint(i)), []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:" + strings.Repeat("abc ", 50000))}}))
	}
	claim(t, s)
	early := 0
	out, err := s.Mint(t.Context(), record.Notes, 0, 500, 256<<10, func(*Outgoing) { early++ })
	must(t, err)
	stacks := make([]byte, 1<<20)
	if n := strings.Count(string(stacks[:runtime.Stack(stacks, true)]), ").drawings.func"); n > 0 || len(out) != 2 || early != 2 {
		t.Errorf("%d still drawing, %d minted, %d of them told early", n, len(out), early)
	}
}
