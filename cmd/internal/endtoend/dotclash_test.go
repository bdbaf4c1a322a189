package endtoend

import (
	"os"
	"path/filepath"
	"testing"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

// TestCase04DotClash: two clones that nothing tells apart but their claim: one
// file with one inode, one machine, one home. Each edits another field offline;
// both writes survive, under different replica ids.
func TestCase04DotClash(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	d, other := a.join(t, "d", c.URL), a.join(t, "other", c.URL)
	d.opts.Machine = "the same"
	d.reopen()
	d.add(record.Contacts, "ada", "FN", "Ada")
	d.sync()
	other.sync()
	image, first := t.TempDir(), t.TempDir()
	d.swap(image, "")

	d.set("ada", "NOTE", "on the first")
	d.sync()
	one := d.replica()
	d.set("ada", "ORG", "on the first, offline")
	d.swap(first, image)
	if d.replica() != one {
		t.Fatal("the clone is told by something else than its claim; this shows nothing")
	}
	d.set("ada", "TITLE", "on the clone")
	d.sync()
	if d.replica() == one {
		t.Error("two devices write under one id")
	}
	second := t.TempDir()
	d.swap(second, first) // the first goes on
	if d.replica() != one {
		t.Fatal("the first lost its id")
	}
	d.sync()
	other.sync()
	same(t, d, other)
	d.swap(first, second)
	d.sync()
	same(t, d, other)
	// They share a device key; the operator's report has what each of them proved.
	report, err := c.Store.Report(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	copies := map[string]bool{}
	for _, r := range report.Accounts[0].Replicas {
		copies[r.Replica] = r.Device == d.id.Device().String()
	}
	if !copies[one] || !copies[d.replica()] {
		t.Errorf("the report does not have both copies: %v", copies)
	}
	r := other.get("ada")
	for _, want := range []string{"FN:Ada", "NOTE:on the first", "ORG:on the first, offline", "TITLE:on the clone"} {
		if line(&r, want) == "" {
			t.Errorf("%s is lost: %+v", want, r.Fields)
		}
	}
}

// swap keeps the handset's files as they are in one folder, and writes those of
// another one, if any, into the same inodes: a raw image that was put back.
func (d *device) swap(keep, image string) {
	d.t.Helper()
	d.stop()
	if err := d.store.Close(); err != nil {
		d.t.Fatal(err)
	}
	for _, at := range []struct{ dir, name string }{{d.dir, "data"}, {d.home, "home"}} {
		entries, err := os.ReadDir(at.dir)
		if err != nil {
			d.t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(keep, at.name), 0o700); err != nil {
			d.t.Fatal(err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() {
				continue
			}
			path := filepath.Join(at.dir, e.Name())
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(filepath.Join(keep, at.name, e.Name()), b, 0o600)
			}
			if err == nil && image != "" {
				if b, err = os.ReadFile(filepath.Join(image, at.name, e.Name())); err == nil {
					err = os.WriteFile(path, b, 0o600)
				} else if os.IsNotExist(err) {
					err = os.Remove(path)
				}
			}
			if err != nil {
				d.t.Fatal(err)
			}
		}
	}
	d.open()
}
