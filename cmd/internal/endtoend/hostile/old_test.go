package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// overwrite puts the bytes of a back-up into the files that are there: same
// inodes, so that the cloud can not know that it is old.
func overwrite(t *testing.T, to, from string) {
	t.Helper()
	names, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(from, n.Name()))
		if os.IsNotExist(err) {
			err = os.Remove(filepath.Join(to, n.Name()))
		} else if err == nil {
			err = os.WriteFile(filepath.Join(to, n.Name()), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestOldBackupThatRanOn puts an old copy of the cloud's files back and lets it
// take so many writes of one device that its sequence passes what another
// device has read: cursors lie, digests do not.
func TestOldBackupThatRanOn(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, to, from string){"copied back": copyDir, "written into the same files": overwrite} {
		t.Run(name, func(t *testing.T) { oldBackup(t, put) })
	}
}

func oldBackup(t *testing.T, put func(t *testing.T, to, from string)) {
	dir, old := filepath.Join(t.TempDir(), "cloud"), filepath.Join(t.TempDir(), "old")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cloud := cloudtest.Start(t, cloudtest.Options{Dir: dir})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	for i := range 20 {
		a.add(record.Contacts, fmt.Sprint("contact-", i), "FN", fmt.Sprint("Person ", i))
	}
	a.sync()
	b.sync()
	cloud.Stop()
	copyDir(t, old, dir)
	cloud = cloud.Restart()

	// What only the devices have after the loss.
	a.set("contact-1", "NOTE", "after the back-up")
	a.remove("contact-2", "contact-3")
	for i := range 5 {
		a.add(record.Notes, fmt.Sprint("note-", i), "SUMMARY", "after the back-up")
	}
	picture := a.picture("late", 90_000)
	a.sync()
	b.sync()
	// This one never reaches the cloud before it is set back.
	b.set("contact-4", "ORG", "offline")
	before := a.shown()

	cloud.Stop()
	put(t, dir, old)
	cloud = cloud.Restart()
	c := person.join(t, "c", cloud.URL) // knows the old state only, and writes a lot
	for i := range 60 {
		c.add(record.Contacts, fmt.Sprint("other-", i), "FN", fmt.Sprint("Other ", i))
	}
	c.sync()

	b.sync()
	a.sync()
	b.sync()
	c.sync()
	same(t, a, b, c)
	if lost := missing(before, a.shown()); len(lost) != 1 { // contact-4, which b edited
		t.Errorf("lost: %v", lost)
	}
	r := c.get("contact-4")
	if line(&r, "ORG:offline") == "" || !c.get("contact-2").Deleted || !c.get("contact-3").Deleted {
		t.Error("the old copy won")
	}
	sameBytes(t, "a picture", c.pictureBytes("late"), picture)
}
