package endtoend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

func TestCloudThatLostEverythingIsFilledAgain(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	for i := range 60 {
		a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
		b.add(record.Events, fmt.Sprintf("event-%d", i), "SUMMARY", fmt.Sprintf("Event %d", i))
	}
	picture := a.picture("beach", 700_000)
	settle(a, b)
	a.remove("contact-7")
	settle(a, b)
	same(t, a, b)

	cloud.Stop()
	a.set("contact-1", "NOTE", "edited during the outage on a")
	b.set("contact-1", "ORG", "edited during the outage on b")
	b.remove("event-5")
	cloud = cloud.Destroy()

	a.run()
	b.run()
	a.waitLive()
	b.waitLive()
	b.has("contact-1", "NOTE:edited", 10*time.Second)
	a.has("contact-1", "ORG:edited", 10*time.Second)
	a.waitLive()
	b.waitLive()

	c := person.join(t, "c", cloud.URL)
	c.sync()
	same(t, a, b, c)
	sameBytes(t, "picture on c", c.pictureBytes("beach"), picture)
	if !c.get("contact-7").Deleted || !c.get("event-5").Deleted {
		t.Error("a deleted record came back")
	}
}

func TestJoinToACloudThatLostEverything(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	a.add(record.Notes, "n", "SUMMARY", "kept")
	a.sync()
	cloud = cloud.Destroy()
	joins := func(c *agent.Config) { c.Create = false }
	b := person.join(t, "b", cloud.URL, joins)
	if err := b.trySync(20 * time.Second); !errors.Is(err, agent.ErrUnknownAccount) {
		t.Fatalf("join to an empty cloud: %v", err)
	}
	// A device that was in a session before gives the data back without being told to.
	a.conf.Create = false
	a.reopen()
	a.sync()
	b.sync()
	same(t, a, b)

	stranger := newAccount(t).join(t, "stranger", cloud.URL, joins)
	if err := stranger.trySync(20 * time.Second); !errors.Is(err, agent.ErrUnknownAccount) {
		t.Fatalf("join with wrong words: %v", err)
	}
}

// copyDir copies the files of a stopped cloud.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestCloudRestoredFromAnOldBackup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cloud")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cloud := cloudtest.Start(t, cloudtest.Options{Dir: dir})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "old", "FN", "Old")
	a.add(record.Contacts, "gone", "FN", "Gone")
	settle(a, b)

	cloud.Stop()
	backup := filepath.Join(t.TempDir(), "backup")
	copyDir(t, backup, dir)
	cloud = cloud.Restart()
	a.set("old", "NOTE", "newer than the back-up")
	a.add(record.Contacts, "new", "FN", "New")
	a.remove("gone")
	picture := a.picture("late", 200_000)
	settle(a, b)
	same(t, a, b)

	cloud.Stop()
	copyDir(t, dir, backup)
	cloud = cloud.Restart()
	b.add(record.Contacts, "after", "FN", "After")
	settle(b, a)
	same(t, a, b)
	c := person.join(t, "c", cloud.URL)
	c.sync()
	same(t, a, b, c)
	r := c.get("old")
	if line(&r, "NOTE:newer") == "" || !c.get("gone").Deleted {
		t.Error("the back-up won over the devices")
	}
	sameBytes(t, "picture on c", c.pictureBytes("late"), picture)
}

// TestAWelcomeThatIsLostDoesNotFork loses the answer that accepts a claim, and
// then has many attempts reach nobody.
func TestAWelcomeThatIsLostDoesNotFork(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	p := newProxy(t, cloud.Addr)
	a := newAccount(t).join(t, "a", cloud.URL, p.through)
	a.sync()
	before := a.replica()
	lost := 0
	p.watch(nil, func(m syncproto.Message) bool {
		if m.Type() == syncproto.TypeWelcome {
			lost++
			return false
		}
		return true
	})
	a.trySync(20 * time.Second)
	cloud.Stop()
	for range 4 {
		a.trySync(20 * time.Second)
	}
	cloud.Restart()
	p.watch(nil, nil)
	a.sync()
	if lost == 0 || a.replica() != before {
		t.Errorf("%d lost welcomes: replica %s became %s", lost, before, a.replica())
	}
}

// TestCloudThatLostAPictureWithoutKnowingIt takes the rows of a picture out of
// the cloud's file: same storage, same epoch.
func TestCloudThatLostAPictureWithoutKnowingIt(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	picture := a.picture("beach", 150_000)
	a.add(record.Notes, "n", "SUMMARY", "kept")
	a.sync()
	cloud.Stop()
	db, err := sql.Open("sqlite", filepath.Join(cloud.Dir, "cloud.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"DELETE FROM version WHERE kind = 'pictures'", "DELETE FROM chunk"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	cloud = cloud.Restart()
	a.sync()
	b := person.join(t, "b", cloud.URL)
	b.sync()
	same(t, a, b)
	sameBytes(t, "picture on b", b.pictureBytes("beach"), picture)
}

func TestDeviceRestoredFromItsOwnOldBackup(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	settle(a, b)
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	copyDir(t, backup, a.dir)
	a.open()
	a.set("ada", "NOTE", "after the back-up")
	settle(a, b)
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	copyDir(t, a.dir, backup)
	a.open()
	before := a.replica()
	a.set("ada", "ORG", "on the restored device")
	settle(a, b)
	same(t, a, b)
	r := b.get("ada")
	if line(&r, "NOTE:after") == "" || line(&r, "ORG:on") == "" {
		t.Errorf("got %+v", r)
	}
	if a.replica() == before {
		t.Error("the restored device kept its replica id")
	}
}

func (d *device) replica() string {
	d.t.Helper()
	s, err := d.agent.Status(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	return s.Replica
}

func TestTwoClonesOfOneDevice(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	a.sync()
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	clone := &device{t: t, name: "clone", dir: filepath.Join(t.TempDir(), "data"), home: t.TempDir(), id: a.id, conf: a.conf}
	copyDir(t, clone.dir, a.dir)
	clone.conf.Home = clone.home
	a.open()
	clone.open()
	t.Cleanup(func() { clone.verify(); clone.store.Close() })
	a.set("ada", "NOTE", "on the first")
	clone.set("ada", "ORG", "on the clone")
	settle(a, clone)
	settle(a, clone)
	same(t, a, clone)
	r := a.get("ada")
	if line(&r, "NOTE:on") == "" || line(&r, "ORG:on") == "" {
		t.Errorf("got %+v", r)
	}
	if a.replica() == clone.replica() {
		t.Error("two devices write under one id")
	}
}
