package endtoend

import (
	"fmt"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/localstore/record"
)

// coverage reads the operator's report of one kind.
func coverage(t *testing.T, c *cloudtest.Cloud, kind record.Kind, gone ...string) (cloudstore.KindReport, cloudstore.Coverage) {
	t.Helper()
	r, err := c.Store.Report(t.Context(), nil)
	if err != nil || len(r.Accounts) != 1 {
		t.Fatalf("report %+v, %v", r, err)
	}
	names := map[string]bool{}
	for _, g := range gone {
		names[g] = true
	}
	for _, k := range r.Accounts[0].Kinds {
		if k.Kind == string(kind) {
			cloudstore.Cover(&k, r.Accounts[0].Replicas, names)
			return k, k.Coverage
		}
	}
	t.Fatalf("no %s in %+v", kind, r)
	return cloudstore.KindReport{}, cloudstore.Coverage{}
}

// TestReportAfterAPartialLoss: the numbers of the report at each step equal what
// the rows say.
func TestReportAfterAPartialLoss(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprint("third device returns ", back), func(t *testing.T) {
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			a, b, c := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL), person.join(t, "c", cloud.URL)
			for i := range 35 {
				a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
			}
			settle(a, b)
			c.sync()
			for i := range 5 {
				c.add(record.Contacts, fmt.Sprintf("only-%d", i), "FN", fmt.Sprintf("Only on c %d", i))
			}
			c.sync()
			if k, cov := coverage(t, cloud, record.Contacts); !cov.Proven || !cov.Final || cov.Lost != 0 || k.Versions != 40 || len(cov.ToCome) != 0 {
				t.Errorf("before: %+v", k)
			}
			cloud.Stop()
			cloudSQL(t, cloud.Dir, "DELETE FROM version WHERE seq > 35 OR seq <= 10")
			cloud = cloud.Restart()
			a.sync()
			rows := cloudCount(t, cloud.Dir, "SELECT count(*) FROM version WHERE kind = 'contacts'")
			k, cov := coverage(t, cloud, record.Contacts)
			device := c.id.Device().String()
			if rows != 35 || k.Versions != 35 || cov.Had != 40 || cov.Final || cov.LossAt == nil || !cov.Proven {
				t.Errorf("after a: %d rows, %+v", rows, k)
			}
			fromC := false
			for _, from := range cov.ToCome {
				if from.Device == device {
					fromC = from.Versions == 5 && !from.Back && from.Count == 40
				}
			}
			if !fromC {
				t.Errorf("still to come: %+v", cov.ToCome)
			}
			b.sync()
			// What is made and edited after the loss neither hides nor makes one.
			for i := range 7 {
				a.add(record.Contacts, fmt.Sprintf("later-%d", i), "FN", fmt.Sprintf("Made later %d", i))
			}
			a.set("contact-3", "NOTE", "lost, given back, and edited")
			settle(a, b)
			if k, cov := coverage(t, cloud, record.Contacts); k.Versions != 42 || cov.Missing != 5 || cov.Final || len(cov.ToCome) != 1 || cov.ToCome[0].Versions != 5 {
				t.Errorf("after new ones: %+v", k)
			}
			if !back {
				if _, cov := coverage(t, cloud, record.Contacts, device); !cov.Final || cov.Lost != 5 {
					t.Errorf("without c: %+v", cov)
				}
				return
			}
			c.sync()
			rows = cloudCount(t, cloud.Dir, "SELECT count(*) FROM version WHERE kind = 'contacts'")
			if k, cov := coverage(t, cloud, record.Contacts); rows != 47 || k.Versions != 47 || cov.Missing != 0 || !cov.Final || cov.Lost != 0 || !cov.Proven {
				t.Errorf("at the end: %d rows, %+v", rows, k)
			}
		})
	}
}

// TestReportMovesDuringAReseed: a cloud that lost everything hears from the
// device what is to come, and the number falls to nothing.
func TestReportMovesDuringAReseed(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t).join(t, "a", cloud.URL)
	a.phonebook(3000)
	a.sync()
	records := uint64(cloudCount(t, cloud.Dir, "SELECT count(*) FROM version WHERE kind = 'contacts'"))
	cloud = cloud.Destroy()
	a.run()
	var steps []uint64
	for end := time.Now().Add(60 * time.Second); ; {
		if time.Now().After(end) {
			t.Fatalf("no end: %v", steps)
		}
		r, err := cloud.Store.Report(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var k *cloudstore.KindReport
		for _, acc := range r.Accounts {
			for i := range acc.Kinds {
				if acc.Kinds[i].Kind == string(record.Contacts) {
					k = &acc.Kinds[i]
				}
			}
		}
		if k == nil {
			continue
		}
		if len(k.Coverage.ToCome) == 1 {
			n := k.Coverage.ToCome[0].Versions
			if len(steps) == 0 || steps[len(steps)-1] != n {
				steps = append(steps, n)
			}
			if k.Coverage.Had != records {
				t.Errorf("had %d", k.Coverage.Had)
			}
		}
		if k.Coverage.Proven && k.Coverage.Final && k.Versions == records {
			if k.Coverage.Lost != 0 || cloudCount(t, cloud.Dir, "SELECT count(*) FROM version WHERE kind = 'contacts'") != int(records) {
				t.Errorf("at the end %+v", k)
			}
			break
		}
	}
	for i := 1; i < len(steps); i++ {
		if steps[i] > steps[0] {
			t.Errorf("what is to come is more than there was: %v", steps)
			break
		}
	}
	if len(steps) < 2 {
		t.Errorf("what was to come did not move: %v", steps)
	}
}
