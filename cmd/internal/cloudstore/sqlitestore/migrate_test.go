package sqlitestore

import (
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// format1 unpacks testdata/format1.db.gz, a store of format 1 as it was written
// before there were checksums: two accounts, each with a claim, a proof, 8 records
// of contacts (one a tombstone, 4 displaced versions) and 3 pictures of which one
// lacks its chunk; the second with a note that was set aside. Headers and the
// ends of nonces are those of sealing format 2: format 1 was never released.
func format1(t *testing.T) (dir, path string) { return unpack(t, "format1") }

func unpack(t *testing.T, name string) (dir, path string) {
	t.Helper()
	in, err := os.Open("testdata/" + name + ".db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	path = filepath.Join(dir, FileName)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// rowsOf gives what format 1 had of each of its tables, row by row.
func rowsOf(t *testing.T, path string) map[string]int {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := map[string]int{}
	for table, columns := range map[string]string{
		"account":   "hex(account), head, created",
		"kind":      "hex(account), kind, count, hex(sum), head",
		"version":   "hex(account), kind, seq, hex(record), hex(version), dead, hex(header), hex(body)",
		"dominated": "hex(account), kind, hex(record), hex(version), since, aside, hex(header), hex(body)",
		"replica":   "hex(account), hex(replica), hex(device), hex(token), first, last",
		"seen":      "hex(account), hex(replica), counter",
		"proof":     "hex(account), hex(replica), kind, count, hex(sum), at",
		"chunk":     "hex(account), hex(chunk), size, stored, hex(header), hex(body)",
	} {
		list, err := db.Query("SELECT " + strings.ReplaceAll(columns, ", ", " || ' ' || ") + " FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		for list.Next() {
			var text string
			if err := list.Scan(&text); err != nil {
				t.Fatal(err)
			}
			rows[table+" "+text]++
			rows[table]++
		}
		if err := list.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func TestMigrateFormat1(t *testing.T) {
	dir, path := format1(t)
	before := rowsOf(t, path)
	if before["version"] != 22 || before["dominated"] != 9 || before["chunk"] != 4 || before["proof"] != 2 {
		t.Fatalf("the stored file has %d versions, %d dominated, %d chunks, %d proofs", before["version"], before["dominated"], before["chunk"], before["proof"])
	}
	s := open(t, dir)
	if p := problems(t, s); len(p) > 0 {
		t.Errorf("problems %q", p)
	}
	for what, want := range map[string]int{
		"SELECT user_version FROM pragma_user_version":     formatVersion,
		"SELECT count(*) FROM version WHERE crc IS NULL":   0,
		"SELECT count(*) FROM dominated WHERE crc IS NULL": 0,
		"SELECT count(*) FROM chunk WHERE crc IS NULL":     0,
		"SELECT count(*) FROM chunk_ref":                   6,
		"SELECT count(*) FROM quarantine":                  0,
		"SELECT count(*) FROM chunk_ref r WHERE NOT EXISTS (SELECT 1 FROM chunk c WHERE c.account = r.account AND c.chunk = r.chunk)":         2,
		"SELECT count(*) FROM version v JOIN chunk_ref r USING (account, kind, record, version) WHERE v.kind = 'pictures' AND v.dead = FALSE": 6,
	} {
		if n := count(t, s, what); n != want {
			t.Errorf("%s: %d, want %d", what, n, want)
		}
	}
	accounts, err := s.Accounts(ctx)
	if err != nil || len(accounts) != 2 {
		t.Fatalf("%d accounts, %v", len(accounts), err)
	}
	for _, a := range accounts {
		served(t, s, a)
		if changed, err := s.Repair(ctx, a, noPace, nil); err != nil || len(changed) > 0 {
			t.Errorf("a repair changed %v, %v", changed, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after := rowsOf(t, path)
	maps.DeleteFunc(after, func(row string, n int) bool { return before[row] == n })
	if len(after) > 0 {
		t.Errorf("%d rows are not what they were", len(after))
	}
	// The second time nothing is done, and what a disk changes is found now.
	s = open(t, dir)
	push(t, s, author(t, s), 1)
	damage(t, s, "UPDATE version "+flipBody+" WHERE seq = 2 AND kind = 'contacts'")
	if p := problems(t, s); len(p) == 0 {
		t.Error("a flipped byte was not found")
	}
}

// TestMigrateFormat3 opens testdata/format3.db.gz, as it was written before known
// records were listed: 10 contacts, of which two had an earlier version; 3 were
// lost, the first of those two among them, after a device proved to hold all.
func TestMigrateFormat3(t *testing.T) {
	dir, path := unpack(t, "format3")
	before := rowsOf(t, path)
	if before["version"] != 7 || before["dominated"] != 2 || before["proof"] != 1 {
		t.Fatalf("the stored file has %d versions, %d dominated, %d proofs", before["version"], before["dominated"], before["proof"])
	}
	s := open(t, dir)
	if p := problems(t, s); len(p) > 0 {
		t.Errorf("problems %q", p)
	}
	if n := count(t, s, "SELECT count(*) FROM known"); n != 8 {
		t.Errorf("%d known records: 7 are in the log, and an earlier version names one that was lost", n)
	}
	r, err := s.Report(ctx, nil)
	if err != nil || len(r.Accounts) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	k := &r.Accounts[0].Kinds[0]
	if c := k.Coverage; c.Had != 10 || c.Missing != 1 || c.Final || len(c.ToCome) != 1 || c.ToCome[0].Versions != 3 || c.LossAt == nil {
		t.Errorf("%+v", c)
	}
	cloudstore.Cover(k, r.Accounts[0].Replicas, map[string]bool{r.Accounts[0].Replicas[0].Device: true})
	if c := k.Coverage; !c.Final || c.Lost != 3 {
		t.Errorf("without the device: %+v", c)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after := rowsOf(t, path)
	maps.DeleteFunc(after, func(row string, n int) bool { return before[row] == n })
	if len(after) > 0 {
		t.Errorf("%d rows are not what they were", len(after))
	}
}

// TestRestoreOfAnOlderFormat: a back-up that an older version made can be restored.
func TestRestoreOfAnOlderFormat(t *testing.T) {
	from, path := unpack(t, "format3")
	if _, err := describe(ctx, from); !errors.Is(err, ErrOlder) {
		t.Fatalf("not an older format: %v", err)
	}
	m, err := describeOlder(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	if m.Bytes, m.SHA256, err = hashFile(path); err != nil {
		t.Fatal(err)
	}
	manifest := func() {
		t.Helper()
		b, err := json.Marshal(m)
		if err == nil {
			err = os.WriteFile(filepath.Join(from, ManifestName), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	manifest()
	to := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(ctx, from, to); err != nil {
		t.Fatal(err)
	}
	s := open(t, to)
	if n := count(t, s, "SELECT count(*) FROM version"); n != 7 || len(problems(t, s)) > 0 {
		t.Errorf("%d versions", n)
	}
	m.Accounts[0].Kinds[0].Count++
	manifest()
	if _, err := Restore(ctx, from, filepath.Join(t.TempDir(), "other")); !errors.Is(err, ErrBackup) {
		t.Errorf("other digests than the manifest's: %v", err)
	}
}

// served reads everything of an account as a device would.
func served(t *testing.T, s *Store, a seal.Account) {
	t.Helper()
	for kind, want := range map[record.Kind]int{record.Contacts: 8, record.Pictures: 3, record.Notes: 0} {
		log, err := s.ReadLog(ctx, a, kind, 0, syncproto.BatchBytesMax)
		if err != nil || len(log.Items) != want || log.State.Count != uint64(want) {
			t.Errorf("%s: %d versions, %d counted, %v", kind, len(log.Items), log.State.Count, err)
		}
		for _, it := range log.Items {
			h, err := seal.ParseHeader(it.Header)
			if err != nil {
				t.Error(err)
			}
			for _, id := range h.Chunks {
				c, err := s.Chunks().Get(ctx, a, id)
				missing, merr := s.Chunks().Missing(ctx, a, []record.ChunkID{id})
				if err != nil || merr != nil || (c == nil) != (len(missing) == 1) || (c == nil) != (h.ID[1] == 2) {
					t.Errorf("chunk of picture %d: %v, missing %v, %v %v", h.ID[1], c != nil, missing, err, merr)
				}
			}
		}
	}
	r, err := s.Report(ctx, &a)
	if err != nil || len(r.Accounts) != 1 {
		t.Errorf("report: %s, %v", fmt.Sprintf("%+v", r), err)
	}
}
