package localstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sidekeep/localstore/record"
)

// TestCutFileIsNotOpened: a file that lost its end is damaged, also beside a log,
// with which SQLite takes it for whole; it stays as it is, and is salvaged.
func TestCutFileIsNotOpened(t *testing.T) {
	dir, all := worn(t)
	s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
	must(t, err)
	must(t, s.Put(t.Context(), record.Notes, sum([]byte("new")), []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:in the log")}}))
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		must(t, err)
		return b
	}
	other := filepath.Join(t.TempDir(), FileName) // reading the file itself would drop SQLite's locks
	must(t, os.Link(s.path+"-wal", other+"-wal"))
	log := read(other + "-wal")
	must(t, s.Close())
	file := read(s.path)
	for _, percent := range []int{0, 40, 85, 99} {
		killed := t.TempDir()
		path := filepath.Join(killed, FileName)
		cut := file[:len(file)*percent/100]
		must(t, os.WriteFile(path, cut, 0o600))
		must(t, os.WriteFile(path+"-wal", log, 0o600))
		if s, err := Open(t.Context(), killed, Options{Hasher: testHasher{}}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d%%: %v, %v", percent, s, err)
		}
		if !bytes.Equal(read(path), cut) || !bytes.Equal(read(path+"-wal"), log) {
			t.Errorf("%d%%: the files were changed", percent)
		}
		report, err := Salvage(t.Context(), killed, Options{Hasher: testHasher{}}, nil)
		if err != nil || percent == 99 && report.Records < len(all)*9/10 {
			t.Errorf("%d%%: %d records of %d, %v", percent, report.Records, len(all), err)
		}
		openTest(t, killed, Options{})
	}
}
