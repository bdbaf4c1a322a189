package localstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// TestFullDisk lets the file grow no further: a write fails cleanly, what was
// there stays, and writing goes on when there is room.
func TestFullDisk(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	put := func(i int) error {
		return s.Put(t.Context(), record.Notes, sum(fmt.Append(nil, i)),
			[]record.Field{{Key: "SUMMARY", Line: fmt.Appendf(nil, "SUMMARY:note %d", i)}, {Key: "DESCRIPTION", Line: []byte("DESCRIPTION:" + strings.Repeat("x", 900))}})
	}
	for i := range 20 {
		must(t, put(i))
	}
	limit := func(extra int) {
		must(t, s.lock(t.Context()))
		defer s.unlock()
		pages, err := s.writer.count("PRAGMA page_count")
		must(t, err)
		_, err = s.writer.count(fmt.Sprintf("PRAGMA max_page_count = %d", pages+extra))
		must(t, err)
	}
	limit(3)
	stored := 20
	for err := error(nil); ; stored++ {
		if err = put(stored); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatalf("a full disk is %v", err)
			}
			break
		}
	}
	if _, err := s.Import(t.Context(), []pim.Object{picture("p", noise(100_000, 1))}); !errors.Is(err, ErrFull) {
		t.Errorf("a picture on a full disk: %v", err)
	}
	verify(t, s)
	if all := everything(t, s); len(all) != stored {
		t.Errorf("%d records, want %d", len(all), stored)
	}
	limit(10_000)
	must(t, put(stored))
	_, err := s.Import(t.Context(), []pim.Object{picture("p", noise(100_000, 1))})
	must(t, err)
	if free, err := s.FreeBytes(); err != nil || free == 0 {
		t.Errorf("space left: %d, %v", free, err)
	}
}
