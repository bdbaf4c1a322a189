package lab

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"sidekeep/localstore/record"
)

// drillRollback has an app and another handset change contacts, events and
// notes; one handset is rolled back to before, and everyone is as before.
func drillRollback(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	one, two := hs[0], hs[1]
	kinds := []record.Kind{record.Contacts, record.Events, record.Notes, record.Tasks}
	rounds := 1
	if s.long {
		rounds = 5
	}
	for range rounds {
		want := map[record.Kind][]item{}
		for _, k := range kinds {
			if want[k], err = one.list(ctx, k); err != nil {
				return err
			}
		}
		time.Sleep(10 * time.Millisecond)
		to := time.Now().Format(time.RFC3339Nano)
		time.Sleep(10 * time.Millisecond)
		if err := one.app(ctx, "UPDATE contacts SET note = 'gone mad'; DELETE FROM events WHERE id IN (SELECT id FROM events LIMIT 10); INSERT INTO notes (title) VALUES ('spam')"); err != nil {
			return err
		}
		if _, err := two.add(ctx, record.Notes, "title=spam from elsewhere"); err != nil {
			return err
		}
		if err := settled(ctx, one, two); err != nil {
			return err
		}
		type counts struct{ Edited, Undeleted, Deleted, Unknown int }
		var plan, did, again counts
		if err := one.ask(ctx, &plan, "rollback", "--to", to, "--dry-run"); err != nil {
			return err
		}
		if err := one.ask(ctx, &did, "rollback", "--to", to); err != nil {
			return err
		}
		if err := one.ask(ctx, &again, "rollback", "--to", to); err != nil {
			return err
		}
		if plan != did || again != (counts{}) || did.Edited != len(want[record.Contacts]) || did.Undeleted != 10 || did.Deleted != 2 {
			return fmt.Errorf("rollback planned %+v, did %+v, did again %+v", plan, did, again)
		}
		if err := settled(ctx, one, two); err != nil {
			return err
		}
		for _, h := range hs {
			for _, k := range kinds {
				got, err := h.list(ctx, k)
				if err != nil {
					return err
				}
				if len(got) != len(want[k]) {
					return fmt.Errorf("%s has %d %s after the rollback, had %d", h.name, len(got), k, len(want[k]))
				}
				for i := range got {
					if got[i].ID != want[k][i].ID || !reflect.DeepEqual(got[i].Fields, want[k][i].Fields) {
						return fmt.Errorf("%s after the rollback: %s %s is not what it was", h.name, k, want[k][i].ID)
					}
				}
			}
		}
		s.say("rolled back: %d edited, %d undeleted, %d deleted, as planned; both handsets and the cloud are as before", did.Edited, did.Undeleted, did.Deleted)
	}
	return s.verifyAll(ctx, one, two)
}
