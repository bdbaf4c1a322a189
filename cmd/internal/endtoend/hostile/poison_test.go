package hostile

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/liar"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// TestCase05PoisonVector fills the cloud with versions of every record whose vectors
// dominate all that is there and whose bodies are garbage: a blind cloud can not
// tell, takes the true ones out of its log, and devices that open get them back.
func TestCase05PoisonVector(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	for i := range 150 {
		a.add(record.Contacts, fmt.Sprint("contact-", i), "FN", fmt.Sprint("Person ", i))
	}
	a.sync()
	b.sync()
	before := a.shown()

	var stranger seal.Secret
	rand.Read(stranger[:])
	keys := newKeys(t, stranger)
	var garbage []syncproto.CloudVersion
	for i := range 150 {
		o, err := a.store.Version(t.Context(), uid(fmt.Sprint("contact-", i)))
		if err != nil {
			t.Fatal(err)
		}
		v := record.New()
		for r, c := range o.Version.Vector {
			v.Vector[r] = c + 1<<30
		}
		if i%2 == 0 {
			v = record.Delete(v, &liar.Forger{})
		}
		sealed, err := keys.SealVersion(o.Kind, o.ID, v)
		if err != nil {
			t.Fatal(err)
		}
		h, err := seal.ParseHeader(sealed.Header)
		if err != nil {
			t.Fatal(err)
		}
		garbage = append(garbage, syncproto.CloudVersion{Index: i, Kind: h.Kind, Ref: syncproto.NewRef(h.ID, h.VersionID), Vector: h.Vector,
			Dead: v.Dead(), Header: sealed.Header, Body: sealed.Body})
	}
	if _, err := cloud.Store.Commit(t.Context(), a.id.Account, garbage); err != nil {
		t.Fatal(err)
	}

	c := person.join(t, "c", cloud.URL) // knows nothing, and clears the way for all
	c.trySync(30 * time.Second)
	a.trySync(30 * time.Second)
	a.set("contact-7", "NOTE", "written after the poison")
	a.sync()
	b.sync()
	c.sync()
	a.sync()
	same(t, a, b, c)
	if lost := missing(before, c.shown()); len(lost) != 1 { // contact-7
		t.Errorf("lost: %v", lost)
	}
}
