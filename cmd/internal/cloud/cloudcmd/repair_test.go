package cloudcmd_test

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
)

// TestRepairNamesWhatItSetsAside: each problem that verify and verify --repair tell
// has the account and the kind that it is of, also when that is only half known.
func TestRepairNamesWhatItSetsAside(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, "127.0.0.1:0")
	w := newWriter(t)
	done := make(chan error, 1)
	go func() { done <- w.write(p.addr) }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var r cloudstore.Report
		_, out, _ := command("report", "--data", dir, "--json")
		if json.Unmarshal([]byte(out), &r) == nil && len(r.Accounts) == 1 && r.Accounts[0].Chunks > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was written")
		}
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit %d: %s", code, p.errs)
	}
	<-done
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlitestore.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE version SET header = x'00' WHERE seq = 1", "UPDATE chunk SET body = substr(body, 2) WHERE rowid = 1"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	account := w.id.Account.String()
	for _, args := range [][]string{{"verify", "--data", dir}, {"verify", "--repair", "--data", dir}} {
		_, out, errs := command(args...)
		if !strings.Contains(out, account+" notes: a header can not be read\n") || !strings.Contains(out, account+" unknown: a chunk is ") {
			t.Errorf("%s:\n%s%s", args, out, errs)
		}
	}
	code, out, errs := command("report", "--data", dir, "--json")
	var r cloudstore.Report
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if k := r.Accounts[0].Kinds[0]; k.Coverage.Missing != 1 || k.Coverage.Lost != 1 || !k.Coverage.Final || k.Service {
		t.Errorf("%+v", k)
	}
}
