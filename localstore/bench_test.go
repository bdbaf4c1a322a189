package localstore

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// workload is what a handset of 2009 held: 6,500 records of all kinds.
func workload(t testing.TB) map[record.Kind][]pim.Object {
	var cards, events, tasks, notes strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&cards, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c%d\r\nN:Family%d;Given%d;;;\r\nFN:Given%d Family%d\r\nORG:Company %d\r\nTEL;TYPE=CELL:+4512%06d\r\nTEL;TYPE=HOME:+4598%06d\r\nEMAIL:p%d@example.org\r\nADR;TYPE=HOME:;;Road %d;Town;;9000;Denmark\r\nNOTE:Met at the conference\\, wants a call back.\r\nEND:VCARD\r\n", i, i, i, i, i, i%50, i, i, i, i)
	}
	entries := func(b *strings.Builder, n int, name, format string) {
		b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n")
		for i := range n {
			fmt.Fprintf(b, "BEGIN:%s\r\nUID:%s%d\r\nDTSTAMP:20090101T000000Z\r\n", name, name, i)
			fmt.Fprintf(b, format, i%28+1, i)
			fmt.Fprintf(b, "END:%s\r\n", name)
		}
		b.WriteString("END:VCALENDAR\r\n")
	}
	entries(&events, 3000, "VEVENT", "DTSTART:200910%02dT090000Z\r\nDTEND:20091031T100000Z\r\nSUMMARY:Meeting %d\r\nLOCATION:Room\r\nDESCRIPTION:The usual things\\, once more.\r\n")
	entries(&tasks, 500, "VTODO", "DUE;VALUE=DATE:200910%02d\r\nSUMMARY:Task %d\r\nPRIORITY:3\r\n")
	entries(&notes, 1000, "VJOURNAL", "DTSTART:200910%02dT090000Z\r\nSUMMARY:Note %d\r\nDESCRIPTION:"+strings.Repeat("Some words of a note. ", 20)+"\r\n")
	return map[record.Kind][]pim.Object{
		record.Contacts: objects(t, "c.vcf", cards.String()),
		record.Events:   objects(t, "e.ics", events.String()),
		record.Tasks:    objects(t, "t.ics", tasks.String()),
		record.Notes:    objects(t, "n.ics", notes.String()),
	}
}

func importAll(t testing.TB, s *Store, w map[record.Kind][]pim.Object) {
	for _, kind := range record.Kinds {
		for objs := w[kind]; len(objs) > 0; {
			n := min(len(objs), 500)
			if _, err := s.Import(context.Background(), objs[:n]); err != nil {
				t.Fatal(err)
			}
			objs = objs[n:]
		}
	}
}

func mintAll(t testing.TB, s *Store) (batches [][]Outgoing) {
	for _, kind := range record.Kinds {
		for after := int64(0); ; {
			out, err := s.Mint(context.Background(), kind, after, 500, 256<<10, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(out) == 0 {
				break
			}
			after = out[len(out)-1].Order
			batches = append(batches, out)
		}
	}
	return batches
}

func incoming(out []Outgoing) []Incoming {
	in := make([]Incoming, len(out))
	for i := range out {
		in[i] = Incoming{ID: out[i].ID, VersionID: out[i].VersionID, Version: out[i].Version}
	}
	return in
}

func BenchmarkImport6500(b *testing.B) {
	w := workload(b)
	for b.Loop() {
		s, err := Open(b.Context(), b.TempDir(), Options{Hasher: testHasher{}})
		if err != nil {
			b.Fatal(err)
		}
		importAll(b, s, w)
		must(b, s.Close())
	}
}

func BenchmarkMint6500(b *testing.B) {
	w := workload(b)
	for b.Loop() {
		b.StopTimer()
		s, err := Open(b.Context(), b.TempDir(), Options{Hasher: testHasher{}})
		must(b, err)
		importAll(b, s, w)
		claim(b, s)
		b.StartTimer()
		mintAll(b, s)
		b.StopTimer()
		must(b, s.Close())
		b.StartTimer()
	}
}

func BenchmarkApply6500(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir(), Options{Hasher: testHasher{}})
	must(b, err)
	importAll(b, s, workload(b))
	claim(b, s)
	batches := mintAll(b, s)
	must(b, s.Close())
	for b.Loop() {
		s, err := Open(b.Context(), b.TempDir(), Options{Hasher: testHasher{}})
		must(b, err)
		b.StopTimer()
		claim(b, s)
		b.StartTimer()
		for i, out := range batches {
			_, err := s.Apply(b.Context(), out[0].Kind, incoming(out), &Cursor{Seq: uint64(i)})
			must(b, err)
		}
		must(b, s.Close())
	}
}

// written is how many bytes this process has written so far; 0 where the system does not tell.
func written() (n int64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

func BenchmarkEditMintAck(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir(), Options{Hasher: testHasher{}})
	must(b, err)
	w := workload(b)
	importAll(b, s, w)
	claim(b, s)
	for _, out := range mintAll(b, s) {
		var refs []Ref
		for _, o := range out {
			refs = append(refs, Ref{o.ID, o.VersionID})
		}
		must(b, s.Acked(b.Context(), refs))
	}
	id := testHasher{}.RecordID(record.Contacts, "c7")
	i := 0
	before := written()
	defer func() { b.ReportMetric(float64(written()-before)/1000/float64(b.N), "KB/op") }()
	for b.Loop() {
		i++
		setLine(b, s, id, "NOTE", fmt.Sprint("NOTE:", i))
		out, err := s.Mint(b.Context(), record.Contacts, 0, 500, 1<<20, nil)
		must(b, err)
		must(b, s.Acked(b.Context(), []Ref{{out[0].ID, out[0].VersionID}}))
	}
	must(b, s.Close())
}

func BenchmarkListStatusVerify(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir(), Options{Hasher: testHasher{}})
	must(b, err)
	importAll(b, s, workload(b))
	claim(b, s)
	mintAll(b, s)
	defer s.Close()
	b.Run("list2000", func(b *testing.B) {
		for b.Loop() {
			for _, err := range s.List(b.Context(), record.Contacts, ListOptions{}) {
				must(b, err)
			}
		}
	})
	b.Run("first20", func(b *testing.B) {
		for b.Loop() {
			for _, err := range s.List(b.Context(), record.Contacts, ListOptions{Limit: 20}) {
				must(b, err)
			}
		}
	})
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Status(b.Context())
			must(b, err)
		}
	})
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Search(b.Context(), "family77", 20)
			must(b, err)
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			verify(b, s)
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), filepath.Dir(s.path), Options{Hasher: testHasher{}})
			must(b, err)
			must(b, s.Close())
		}
	})
}

// BenchmarkViewUpdate is an app's durable write through a view.
func BenchmarkViewUpdate(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir(), Options{Hasher: testHasher{}})
	must(b, err)
	importAll(b, s, workload(b))
	defer s.Close()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(s.path)+"?_pragma=busy_timeout(10000)&_pragma=synchronous(full)&_txlock=immediate")
	must(b, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	id := testHasher{}.RecordID(record.Contacts, "c7").String()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		_, err := db.ExecContext(b.Context(), "UPDATE contacts SET note = ? WHERE id = ?", fmt.Sprint("note ", i), id)
		must(b, err)
	}
}
