package localstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// testHasher keys ids as an account does; two stores of one account share it.
type testHasher struct{}

func sum(parts ...[]byte) (id [16]byte) {
	m := hmac.New(sha256.New, []byte("localstore test"))
	for _, p := range parts {
		m.Write(binary.AppendUvarint(nil, uint64(len(p))))
		m.Write(p)
	}
	copy(id[:], m.Sum(nil))
	return id
}

func (testHasher) RecordID(kind record.Kind, uid string) record.ID {
	return sum([]byte("record"), []byte(kind), []byte(uid))
}

func (testHasher) VersionID(kind record.Kind, id record.ID, encoded []byte) record.VersionID {
	return sum([]byte("version"), []byte(kind), id[:], encoded)
}

func (testHasher) ChunkID(plain []byte) record.ChunkID { return sum([]byte("chunk"), plain) }

// openTest opens a store in dir and checks, when the test ends, that all of it is sound.
func openTest(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	o.Hasher = testHasher{}
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		verify(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func verify(t testing.TB, s *Store) {
	t.Helper()
	r, err := s.Verify(context.Background(), nil)
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	for _, d := range r.Damage {
		t.Errorf("verify: %s", d)
	}
}

// claim opens a session: the test plays the cloud that accepts.
func claim(t testing.TB, s *Store) Claim {
	t.Helper()
	c, err := s.BeginClaim(t.Context())
	must(t, err)
	must(t, s.ClaimAccepted(t.Context(), c.Pending[len(c.Pending)-1]))
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// objects imports text as a file of the given name.
func objects(t testing.TB, name, text string) []pim.Object {
	t.Helper()
	var list []pim.Object
	_, err := pim.Import(name, strings.NewReader(text), func(o pim.Object) error {
		list = append(list, o)
		return nil
	})
	must(t, err)
	return list
}

func card(uid, name, phone string) string {
	return fmt.Sprintf("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:%s\r\nFN:%s\r\nN:%s;;;;\r\nTEL;TYPE=CELL:%s\r\nEND:VCARD\r\n", uid, name, name, phone)
}

func list(t testing.TB, s *Store, kind record.Kind, o ListOptions) []Record {
	t.Helper()
	var recs []Record
	for r, err := range s.List(t.Context(), kind, o) {
		must(t, err)
		recs = append(recs, r)
	}
	return recs
}

func lineOf(r Record, key string) string {
	for _, f := range r.Fields {
		if f.Key == key {
			return string(f.Line)
		}
	}
	return ""
}

// setLine edits one field of a record to a line.
func setLine(t testing.TB, s *Store, id record.ID, key, line string) {
	t.Helper()
	must(t, s.Edit(t.Context(), id, func(_ record.Kind, fields []record.Field) ([]record.Field, error) {
		for i := range fields {
			if fields[i].Key == key {
				fields[i].Line = []byte(line)
				return fields, nil
			}
		}
		return append(fields, record.Field{Key: key, Line: []byte(line)}), nil
	}, key))
}

func TestImportGetListDelete(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	text := card("a", "Ann", "+45 1234 5678") + card("b", "Bob", "555") + card("c", "Åse", "1")
	res, err := s.Import(t.Context(), objects(t, "x.vcf", text))
	must(t, err)
	for _, r := range res {
		if r.Outcome != Created {
			t.Errorf("outcome %s", r.Outcome)
		}
	}
	again, err := s.Import(t.Context(), objects(t, "x.vcf", text))
	must(t, err)
	for i, r := range again {
		if r.Outcome != Unchanged || r.ID != res[i].ID {
			t.Errorf("import again: %v", r)
		}
	}
	got := list(t, s, record.Contacts, ListOptions{})
	if len(got) != 3 || got[0].Title != "Ann" || got[1].Title != "Åse" || got[2].Title != "Bob" {
		t.Errorf("list: %+v", got)
	}
	if len(list(t, s, record.Contacts, ListOptions{Limit: 2})) != 2 {
		t.Error("limit")
	}
	must(t, s.Delete(t.Context(), res[1].ID))
	if n := len(list(t, s, record.Contacts, ListOptions{})); n != 2 {
		t.Errorf("%d live", n)
	}
	if n := len(list(t, s, record.Contacts, ListOptions{Deleted: true})); n != 1 {
		t.Errorf("%d in the trash", n)
	}
	must(t, s.Undelete(t.Context(), res[1].ID))
	rec, err := s.Get(t.Context(), res[1].ID)
	must(t, err)
	if rec.Deleted || rec.Title != "Bob" || lineOf(rec, "FN") != "FN:Bob" || rec.Synced {
		t.Errorf("get: %+v", rec)
	}
	if _, err := s.Get(t.Context(), record.ID{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("get unknown: %v", err)
	}
	ids, err := s.Find(t.Context(), res[0].ID.String()[:6], 2)
	must(t, err)
	if len(ids) != 1 || ids[0] != res[0].ID {
		t.Errorf("find: %v", ids)
	}
}

func TestBlob(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	data := make([]byte, 3*ChunkBytes+17)
	for i := range data {
		data[i] = byte(i * i >> 8)
	}
	o := pim.Object{Kind: record.Pictures, UID: "p", Fields: []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:sea")}, {Key: "X-BLOB", Line: []byte("X-BLOB:")}},
		Blobs: map[string]pim.BlobSource{"X-BLOB": pim.BytesSource(data)}}
	res, err := s.Import(t.Context(), []pim.Object{o})
	must(t, err)
	rec, err := s.Get(t.Context(), res[0].ID)
	must(t, err)
	r, err := s.OpenBlob(t.Context(), *rec.Fields[1].Blob)
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, err)
	if string(got) != string(data) {
		t.Error("blob differs")
	}
	if again, err := s.Import(t.Context(), []pim.Object{o}); err != nil || again[0].Outcome != Unchanged {
		t.Errorf("again: %v %v", again, err)
	}
}
