package endtoend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/record"
)

// TestCloudBackupWhileServing: a back-up is taken while devices write, proven,
// and restored; devices give back what came after it.
func TestCloudBackupWhileServing(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	for i := range 30 {
		a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
	}
	early := a.picture("early", 300_000)
	settle(a, b)
	a.run()
	for i := range 30 {
		a.add(record.Notes, fmt.Sprintf("note-%d", i), "SUMMARY", fmt.Sprintf("Note %d", i))
	}
	backup := filepath.Join(t.TempDir(), "backup")
	m, err := sqlitestore.Backup(t.Context(), cloud.Dir, backup)
	if err != nil {
		t.Fatal(err)
	}
	if m.Versions < 31 || m.Chunks < 5 {
		t.Errorf("manifest %+v", m)
	}
	if _, err := sqlitestore.Backup(t.Context(), cloud.Dir, backup); !errors.Is(err, sqlitestore.ErrNotEmpty) {
		t.Errorf("over another back-up: %v", err)
	}
	a.stop()
	a.remove("contact-3")
	late := a.picture("late", 200_000)
	settle(a, b)
	before := cloud.Store.Epoch()
	cloud.Stop()
	if err := os.RemoveAll(cloud.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlitestore.Restore(t.Context(), backup, cloud.Dir); err != nil {
		t.Fatal(err)
	}
	cloud = cloud.Restart()
	if cloud.Store.Epoch() == before {
		t.Error("a restored store is the same life")
	}
	b.sync()
	a.sync()
	x := person.join(t, "x", cloud.URL)
	x.sync()
	same(t, a, b, x)
	sameBytes(t, "early picture", x.pictureBytes("early"), early)
	sameBytes(t, "late picture", x.pictureBytes("late"), late)
	if !x.get("contact-3").Deleted {
		t.Error("a deleted record came back")
	}
}

// TestDamagedCloudBackupIsRefused: nothing is written of a back-up that is not
// whole, and a damaged store makes none.
func TestDamagedCloudBackupIsRefused(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t).join(t, "a", cloud.URL)
	a.add(record.Contacts, "x", "FN", "X")
	a.picture("p", 100_000)
	a.sync()
	good := filepath.Join(t.TempDir(), "good")
	if _, err := sqlitestore.Backup(t.Context(), cloud.Dir, good); err != nil {
		t.Fatal(err)
	}
	cloud.Stop()
	file := filepath.Join(good, sqlitestore.FileName)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(good, sqlitestore.ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][2][]byte{
		"flipped": {flipped(whole, len(whole)/2), manifest}, "truncated": {whole[:len(whole)-4096], manifest}, "empty": {nil, manifest},
		"garbage manifest": {whole, []byte("{")}, "other manifest": {whole, []byte(`{"format": 1}`)},
	} {
		bad, target := filepath.Join(t.TempDir(), "bad"), filepath.Join(t.TempDir(), "target")
		if err := os.Mkdir(bad, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(bad, sqlitestore.FileName), b[0], 0o600), os.WriteFile(filepath.Join(bad, sqlitestore.ManifestName), b[1], 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlitestore.Restore(t.Context(), bad, target); !errors.Is(err, sqlitestore.ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something was written: %v", name, err)
		}
	}
	cloudSQL(t, cloud.Dir, "UPDATE version "+flipBody+" WHERE seq = 1")
	broken := filepath.Join(t.TempDir(), "broken")
	if _, err := sqlitestore.Backup(t.Context(), cloud.Dir, broken); !errors.Is(err, sqlitestore.ErrDamaged) {
		t.Errorf("a back-up of a damaged store: %v", err)
	}
	if _, err := os.Stat(broken); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a back-up of a damaged store is there: %v", err)
	}
}

func flipped(b []byte, at int) []byte {
	c := append([]byte(nil), b...)
	c[at] ^= 4
	return c
}
