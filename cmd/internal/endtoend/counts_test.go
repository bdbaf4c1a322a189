package endtoend

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// commits reads how many transactions a SQLite file in WAL mode has committed:
// the change counter in the header of its wal-index. Another process reads it,
// because closing a descriptor in this one would drop SQLite's locks.
func commits(t *testing.T, db string) uint32 {
	t.Helper()
	b, err := exec.Command("head", "-c", "12", db+"-shm").Output()
	if err != nil || len(b) < 12 {
		t.Skipf("the wal-index can not be read: %v", err)
	}
	return binary.NativeEndian.Uint32(b[8:])
}

// phonebook adds n records of all kinds, 500 a transaction, about as large as real ones.
func (d *device) phonebook(n int) {
	d.t.Helper()
	var batch []pim.Object
	for i := range n {
		kind := record.Kinds[i%4]
		key := map[record.Kind]string{record.Contacts: "FN"}[kind]
		if key == "" {
			key = "SUMMARY"
		}
		o := pim.Object{Kind: kind, UID: fmt.Sprintf("uid-%d", i), Fields: fields(key, fmt.Sprintf("Number %d of many", i),
			"NOTE", strings.Repeat(fmt.Sprintf("%d words that differ a little, ", i*7919%1000), 3+i%9), "URL", fmt.Sprintf("https://example.org/%x/%x", i*104729, i))}
		if batch = append(batch, o); len(batch) == 500 || i == n-1 {
			if _, err := d.store.Import(context.Background(), batch); err != nil {
				d.t.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

func TestInitialSyncOf6500Records(t *testing.T) {
	const records = 6500
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	pa, pb := newProxy(t, cloud.Addr), newProxy(t, cloud.Addr)
	a := person.join(t, "a", cloud.URL, pa.through)
	b := person.join(t, "b", cloud.URL, pb.through)
	a.phonebook(records)
	cloudFile := filepath.Join(cloud.Dir, "cloud.db")

	device, server := commits(t, filepath.Join(a.dir, localstore.FileName)), commits(t, cloudFile)
	a.sync()
	device, server = commits(t, filepath.Join(a.dir, localstore.FileName))-device, commits(t, cloudFile)-server
	pushes := pa.count(true, syncproto.TypePush)
	t.Logf("up: %d round trips, %d pushes, %d bytes; commits: device %d, cloud %d", pa.trips(), pushes, pa.bytes[0], device, server)
	if n := pa.trips(); n > 24 {
		t.Errorf("%d round trips up: %v", n, pa.up)
	}
	// Each push: minted in one commit here, stored in one there; its ack is noted without a sync to flash.
	if most := uint32(2*pushes + 25); device > most {
		t.Errorf("%d commits on the device for %d pushes", device, pushes)
	}
	if most := uint32(pushes + 10); server > most {
		t.Errorf("%d commits in the cloud for %d pushes", server, pushes)
	}

	device, server = commits(t, filepath.Join(b.dir, localstore.FileName)), commits(t, cloudFile)
	b.sync()
	device, server = commits(t, filepath.Join(b.dir, localstore.FileName))-device, commits(t, cloudFile)-server
	batches := pb.count(false, syncproto.TypeBatch)
	t.Logf("down: %d round trips, %d batches, %d bytes; commits: device %d, cloud %d", pb.trips(), batches, pb.bytes[1], device, server)
	if n := pb.trips(); n > 30 {
		t.Errorf("%d round trips down: %v", n, pb.up)
	}
	if most := uint32(batches + 25); device > most {
		t.Errorf("%d commits on the device for %d batches", device, batches)
	}
	if server > 10 {
		t.Errorf("%d commits in the cloud for reading", server)
	}
	same(t, a, b)

	// Coming back when nothing happened asks for nothing: one token is made durable at
	// each end. The HTTP heads and frames beside these messages take some 430 bytes.
	pb.reset()
	device, server = commits(t, filepath.Join(b.dir, localstore.FileName)), commits(t, cloudFile)
	b.sync()
	device, server = commits(t, filepath.Join(b.dir, localstore.FileName))-device, commits(t, cloudFile)-server
	t.Logf("again: %d round trips, %d bytes up, %d down; commits: device %d, cloud %d", pb.trips(), pb.bytes[0], pb.bytes[1], device, server)
	if n := pb.trips(); n != 2 || pb.bytes[0]+pb.bytes[1] > 480 {
		t.Errorf("%d round trips and %v bytes when nothing happened: %v", n, pb.bytes, pb.up)
	}
	if device > 8 || server > 1 { // of the device's only the one with the token is synced to flash
		t.Errorf("%d commits on the device and %d in the cloud when nothing happened", device, server)
	}

	// One record that the cloud lost is found by ranges.
	lost := record.ID{}
	for r, err := range b.store.List(t.Context(), record.Notes, localstore.ListOptions{Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		lost = r.ID
	}
	cloud.Stop()
	if n := lose(t, cloudFile, "DELETE FROM version WHERE record = ?", lost[:]); n != 1 {
		t.Fatalf("removed %d rows", n)
	}
	cloud = cloud.Restart()
	pb.reset()
	b.sync()
	t.Logf("one lost record: %d round trips, %d bytes up, %d down", pb.trips(), pb.bytes[0], pb.bytes[1])
	// Hello, auth, one question with its answer, and the push that gives it back.
	if n := pb.trips(); n > 4 || pb.bytes[0]+pb.bytes[1] > 5*1024 {
		t.Errorf("%d round trips and %v bytes to find one record: %v", n, pb.bytes, pb.up)
	}
	a.sync()
	same(t, a, b)

	cloud.Stop()
	n := lose(t, cloudFile, "DELETE FROM version WHERE record < x'80'")
	cloud.Restart()
	pb.reset()
	b.sync()
	t.Logf("%d lost records: %d round trips, %d bytes up, %d down: %v", n, pb.trips(), pb.bytes[0], pb.bytes[1], pb.up)
	a.sync()
	same(t, a, b)
}

// lose removes rows from the file of a stopped cloud, and says how many.
func lose(t *testing.T, file, query string, args ...any) int64 {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.Exec(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}
