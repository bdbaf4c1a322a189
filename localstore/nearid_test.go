package localstore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sidekeep/localstore/record"
)

func TestNearID(t *testing.T) {
	parse := func(text string) record.ID {
		id, err := record.ParseID(text)
		must(t, err)
		return id
	}
	a := parse("d51c336eb948250d6358b346aeb53485")
	for text, want := range map[string]bool{
		"d51c336eb948250d6358b346aeb53485": false, // itself
		"d41c336eb948250d6358b346aeb53485": true,
		"d41c336eb948250d6358b346aeb53484": true,
		"e51c336eb948250d6358b346aeb53485": true,  // d and e differ in one bit of the text
		"d41c336eb948250d6358b346aeb53494": false, // four bits
		"8f17e4425df43dbaf6ea34f69530e9c2": false,
	} {
		if got := nearID(a, parse(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// flipID flips a bit of an id in the first leaf page, of a table or of an index,
// that has it followed by a text.
func flipID(t *testing.T, dir string, kind byte, id record.ID, follows string) record.ID {
	t.Helper()
	path := filepath.Join(dir, FileName)
	b, err := os.ReadFile(path)
	must(t, err)
	for p := pageBytes; p < len(b); p += pageBytes {
		page := b[p:][:pageBytes]
		i := bytes.Index(page, []byte(id.String()+follows))
		if page[0] != kind || i < 0 {
			continue
		}
		page[i+9] ^= 1
		must(t, os.WriteFile(path, b, 0o600))
		flipped, err := record.ParseID(string(page[i:][:32]))
		must(t, err)
		return flipped
	}
	t.Fatal("no page has the id")
	return record.ID{}
}

// A flipped bit in an id, in the record's row or in an index, makes no second
// record, and none that is named as lost.
func TestFlippedIDIsNoRecord(t *testing.T) {
	for name, c := range map[string]struct {
		kind    byte
		follows string
		edit    bool // not synced
		gone    bool // the row can not be read either
	}{
		"row":             {0x0d, "notes", false, false},
		"row of an edit":  {0x0d, "notes", true, false},
		"index":           {0x0a, "", false, false},
		"index, row gone": {0x0a, "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			id := record.ID{0x11, 0x11, 0x11, 0x11, 0x12, 0x11}
			note := func(text string) []record.Field {
				return []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:" + text)}}
			}
			dir := t.TempDir()
			s, err := Open(t.Context(), dir, Options{Hasher: testHasher{}})
			must(t, err)
			cloud := &testCloud{}
			must(t, s.Put(t.Context(), record.Notes, id, note("synced")))
			must(t, s.Put(t.Context(), record.Notes, sum([]byte("other")), note("other")))
			cloud.sync(t, s)
			want := "SUMMARY:synced"
			if c.edit {
				want = "SUMMARY:edited"
				must(t, s.Put(t.Context(), record.Notes, id, note("edited")))
			}
			must(t, s.Close())
			flipped := flipID(t, dir, c.kind, id, c.follows)
			if c.gone {
				damageLeaf(t, dir, id.String()+"notes", func(p []byte) { clear(p) })
			}
			report, err := Salvage(t.Context(), dir, Options{Hasher: testHasher{}}, nil)
			must(t, err)
			for _, l := range report.Lost {
				if l.ID == flipped && !c.gone { // then two indexes differ
					t.Error("the flipped id is named")
				}
			}
			if !c.gone && len(report.Lost) != 0 {
				t.Errorf("lost: %+v", report.Lost)
			}
			s = openTest(t, dir, Options{})
			for range 2 {
				cloud.sync(t, s)
				must(t, s.SetCloudState(t.Context(), record.Notes, CloudState{Digest: cloud.digest(record.Notes), ProvenAt: time.Unix(1, 0)}))
			}
			cloud.equal(t, s)
			all := everything(t, s)
			if st, err := s.Status(t.Context()); err != nil || len(all) != 2 || lineOf(all[id], "SUMMARY") != want || len(st.Lost) != 0 {
				t.Errorf("%+v, lost %+v, %v", all, st.Lost, err)
			}
			verify(t, s)
		})
	}
}

// What was salvaged under an id that nothing could prove goes off the list once
// the true record is here.
func TestMisreadIDGoesOffTheList(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	cloud := &testCloud{}
	id, near := record.ID{0x11}, record.ID{0x13}
	must(t, s.Put(t.Context(), record.Notes, id, []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:here")}}))
	cloud.sync(t, s)
	copied := &LostCopy{Doc: `{"SUMMARY":"here"}`}
	must(t, s.write(t.Context(), false, func(tx *tx) error { return tx.setLost(&Lost{ID: near, Kind: record.Notes, Copy: copied}) }))
	must(t, s.SetCloudState(t.Context(), record.Notes, CloudState{Digest: cloud.digest(record.Notes), ProvenAt: time.Unix(1, 0)}))
	st, err := s.Status(t.Context())
	must(t, err)
	if n := len(everything(t, s)); len(st.Lost) != 0 || n != 1 {
		t.Errorf("%d records, lost %+v", n, st.Lost)
	}
}
