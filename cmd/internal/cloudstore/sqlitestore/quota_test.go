package sqlitestore

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// An account whose room is used up is told so, can delete, and has room again
// when what expired is gone. Another account does not notice.
func TestQuota(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	dir := filepath.Join(t.TempDir(), "cloud")
	const max = 40_000
	reopen := func(s *Store) *Store {
		t.Helper()
		if s != nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(ctx, dir, Options{Rand: rand.Reader, QuotaBytes: max, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := reopen(nil)
	a, other := author(t, s), author(t, s)
	noise := make([]byte, 2500)
	commit := func(id byte, v *record.Version) syncproto.Code {
		t.Helper()
		got, err := s.Commit(ctx, a.Account, []syncproto.CloudVersion{a.Seal(record.Notes, record.ID{id}, v)})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Rejects) > 0 {
			return got.Rejects[0].Code
		}
		return syncproto.CodeNone
	}
	edit := func(v *record.Version) *record.Version {
		rand.Read(noise)
		return a.Edit(v, fmt.Sprintf("FN:%x", noise))
	}
	held := []*record.Version{}
	for id := byte(0); ; id++ {
		v := edit(record.New())
		if code := commit(id, v); code == syncproto.CodeQuota {
			break
		} else if code != syncproto.CodeNone || id > 100 {
			t.Fatalf("version %d: %v", id, code)
		}
		held = append(held, v)
		if id%5 == 0 { // what is stored counts the same after a start
			s = reopen(s)
		}
	}
	used, err := accountBytes(snapshotOf(t, s), a.Account)
	if err != nil || used > max || used < max-6000 {
		t.Fatalf("%d bytes are held when the first is refused, %v", used, err)
	}
	if code := commit(200, edit(held[0])); code != syncproto.CodeQuota {
		t.Errorf("an edit without room: %v", code)
	}
	if code := commit(0, held[0]); code != syncproto.CodeNone {
		t.Errorf("a repeat of what is held: %v", code)
	}
	for id, v := range held { // deleting is possible
		held[id] = record.Delete(v, a)
		if code := commit(byte(id), held[id]); code != syncproto.CodeNone {
			t.Fatalf("deletion %d: %v", id, code)
		}
	}
	for { // and chunks come to an end, too
		rand.Read(noise)
		err := s.Chunks().Put(ctx, a.Account, []syncproto.CloudChunk{a.Chunk(bytes.Clone(noise))})
		if errors.Is(err, &syncproto.Error{Code: syncproto.CodeQuota}) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Chunks().Missing(ctx, a.Account, nil); !errors.Is(err, &syncproto.Error{Code: syncproto.CodeQuota}) {
		t.Errorf("looking for chunks: %v", err)
	}
	push(t, s, other, 1)
	if _, err := s.Chunks().Missing(ctx, other.Account, nil); err != nil {
		t.Errorf("another account: %v", err)
	}
	for id, v := range held { // what the trash kept goes when its time is up
		if code := commit(byte(id), record.Purge(v, a)); code != syncproto.CodeNone {
			t.Fatalf("purge %d: %v", id, code)
		}
	}
	now = now.Add(31 * 24 * time.Hour)
	if _, err := s.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	if code := commit(201, edit(record.New())); code != syncproto.CodeNone {
		t.Errorf("after what expired is gone: %v", code)
	}
}

func snapshotOf(t *testing.T, s *Store) querier {
	t.Helper()
	tx, err := s.readers.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return snapshot{ctx, tx}
}
