package endtoend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

// damage closes the device's store, lets spoil change the bytes of its file,
// salvages it as every command does, and opens the new one.
func (d *device) damage(spoil func([]byte) []byte) localstore.Salvaged {
	d.t.Helper()
	if err := d.store.Close(); err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join(d.dir, localstore.FileName)
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, spoil(b), 0o600)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	report, err := localstore.Salvage(context.Background(), d.dir, localstore.Options{Hasher: d.id.Keys()}, nil)
	if err != nil {
		d.t.Fatalf("%s: salvage: %v", d.name, err)
	}
	d.open()
	return report
}

// page gives the page of a database that holds text in a row of a table.
func page(t testing.TB, b []byte, text string) []byte {
	t.Helper()
	const size = 2048
	for at := 0; at+size <= len(b); at += size {
		if p := b[at : at+size]; p[0] == 0x0d && bytes.Contains(p, []byte(text)) {
			return p
		}
	}
	t.Fatalf("no page holds %q", text)
	return nil
}

func (d *device) verifyReport() localstore.VerifyReport {
	d.t.Helper()
	r, err := d.store.Verify(context.Background(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func TestDamagedDatabaseIsFilledFromTheCloud(t *testing.T) {
	spoils := map[string]func(t testing.TB, b []byte) []byte{
		"empty":     func(testing.TB, []byte) []byte { return nil },
		"truncated": func(_ testing.TB, b []byte) []byte { return b[:len(b)/2+77] },
		"first page": func(_ testing.TB, b []byte) []byte {
			clear(b[:2048])
			return b
		},
		"every third page": func(_ testing.TB, b []byte) []byte {
			for at := 0; at+2048 <= len(b); at += 3 * 2048 {
				clear(b[at : at+2048])
			}
			return b
		},
	}
	for name, spoil := range spoils {
		t.Run(name, func(t *testing.T) {
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
			for i := range 80 {
				a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
			}
			picture := a.picture("beach", 300_000)
			settle(a, b)
			was := a.replica()
			b.remove("contact-5")
			b.set("contact-6", "NOTE", "while a was broken")
			b.sync()
			a.damage(func(x []byte) []byte { return spoil(t, x) })
			a.sync()
			settle(b, a)
			same(t, a, b)
			sameBytes(t, "picture", a.pictureBytes("beach"), picture)
			if !a.get("contact-5").Deleted {
				t.Error("a deleted record came back")
			}
			if a.replica() == was {
				t.Error("it goes on counting where nobody knows where it was")
			}
			if r := a.verifyReport(); len(r.Lost) > 0 || r.Missing > 0 {
				t.Errorf("named as missing: %+v", r)
			}
		})
	}
}

// TestUnsyncedEditsSurviveDamage: edits that only the damaged database has.
func TestUnsyncedEditsSurviveDamage(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	settle(a, b)
	a.set("ada", "NOTE", "not synced")
	a.add(record.Notes, "new", "SUMMARY", "not synced either")
	b.set("ada", "ORG", "meanwhile")
	b.sync()
	report := a.damage(func(x []byte) []byte { clear(x[:100]); return x })
	if report.Edited != 2 || len(report.Lost) != 0 {
		t.Errorf("%+v", report)
	}
	settle(a, b)
	same(t, a, b)
	r := b.get("ada")
	if line(&r, "NOTE:not") == "" || line(&r, "ORG:meanwhile") == "" || len(r.Conflicts) > 0 {
		t.Errorf("%+v", r)
	}
	b.get("new")
}

// TestWhatIsNowhereIsNamed: the page is unreadable and the cloud is gone, too.
func TestWhatIsNowhereIsNamed(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	for i := range 40 {
		a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person number %d.", i))
	}
	a.picture("beach", 150_000)
	a.sync()
	cloud.Destroy()
	a.damage(func(x []byte) []byte { clear(page(t, x, "Person number 7.")); return x })
	lost := a.verifyReport().Lost
	found := false
	for _, l := range lost {
		if l.Asked != 0 || l.Kind != record.Contacts {
			t.Errorf("%+v", l)
		}
		found = found || l.ID == uid("contact-7")
	}
	if !found || len(lost) > 12 {
		t.Fatalf("named: %+v", lost)
	}
	a.sync()
	again := a.verifyReport().Lost
	if len(again) != len(lost) || again[0].Asked == 0 {
		t.Errorf("after the cloud was asked: %+v", again)
	}
	// Another device with a back-up, say, still has one of them.
	a.add(record.Contacts, "contact-7", "FN", "Person number 7.")
	if n := len(a.verifyReport().Lost); n != len(lost)-1 {
		t.Errorf("%d are named, want %d", n, len(lost)-1)
	}
}

// TestDamagedCopyComesBackOnlyIfNobodyHasTheRecord: a flipped bit in one record.
func TestDamagedCopyComesBackOnlyIfNobodyHasTheRecord(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprint("cloud-lost-", lost), func(t *testing.T) {
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			a := person.join(t, "a", cloud.URL)
			a.add(record.Contacts, "ada", "FN", "Ada Lovelace")
			a.add(record.Contacts, "eve", "FN", "Eve")
			a.sync()
			if lost {
				cloud = cloud.Destroy()
			}
			report := a.damage(func(x []byte) []byte { return bytes.ReplaceAll(x, []byte("Ada Lovelace"), []byte("Ada Lovelbce")) })
			if len(report.Lost) != 1 || report.Lost[0].Copy == nil {
				t.Fatalf("%+v", report)
			}
			if _, err := a.store.Get(context.Background(), uid("ada")); !errors.Is(err, localstore.ErrNotFound) {
				t.Errorf("a damaged record is shown as if it were sound: %v", err)
			}
			a.sync()
			want := "FN:Ada Lovelace"
			if lost {
				want = "FN:Ada Lovelbce"
			}
			if r := a.get("ada"); line(&r, want) == "" || len(r.Conflicts) > 0 {
				t.Errorf("%+v", r)
			}
			if n := len(a.verifyReport().Lost); n != 0 {
				t.Errorf("%d still named as lost", n)
			}
			a.sync()
			b := person.join(t, "b", cloud.URL)
			b.sync()
			same(t, a, b)
		})
	}
}

// TestLostLog removes the -wal of a device that was cut: the file is an older
// state of itself. What was sent comes back from the cloud.
func TestLostLog(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	settle(a, b)
	a.reopen() // the log is in the file now
	a.set("ada", "NOTE", "in the log only")
	a.add(record.Notes, "n", "SUMMARY", "in the log only")
	settle(a, b)
	cut := t.TempDir()
	b2, err := os.ReadFile(filepath.Join(a.dir, localstore.FileName))
	if err == nil {
		err = os.WriteFile(filepath.Join(cut, localstore.FileName), b2, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	a.dir = cut
	a.open()
	a.set("ada", "ORG", "after the cut")
	settle(a, b)
	settle(b, a)
	same(t, a, b)
	r := b.get("ada")
	if line(&r, "NOTE:in") == "" || line(&r, "ORG:after") == "" {
		t.Errorf("%+v", r)
	}
	a.get("n")
}
