package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/testdata"
)

// drillBrake has an app destroy contacts on one handset in several ways. They
// are held on their way out, and, when its person agrees by mistake, on their
// way into the others; one rejects, and everyone has every contact again.
func drillBrake(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2", "handset 3")
	if err != nil {
		return err
	}
	mad, two, three := hs[0], hs[1], hs[2]
	ways := []string{
		"DELETE FROM contacts",
		"DELETE FROM contact_phones; DELETE FROM contact_emails; UPDATE contacts SET name = '', given_name = NULL, family_name = NULL, note = '', organisation = NULL",
	}
	if s.long {
		ways = append(ways, ways...)
	}
	all := testdata.SampleCounts["contacts"]
	for i, way := range ways {
		want, err := two.list(ctx, record.Contacts)
		if err != nil {
			return err
		}
		if err := mad.app(ctx, way); err != nil {
			return err
		}
		held, err := waitHeld(ctx, mad, all/2)
		if err != nil {
			return err
		}
		for _, h := range []*handset{two, three} {
			if st, err := h.live(ctx); err != nil || st.Kinds[record.Contacts].Live != all || st.Kinds[record.Contacts].Held != 0 {
				return fmt.Errorf("%s while handset 1 holds: %+v, %v", h.name, st.Kinds[record.Contacts], err)
			}
		}
		if _, err := mad.do(ctx, "sync"); exitCodeOf(err) != 5 {
			return fmt.Errorf("sync while something is held ends with %v", err)
		}
		if _, err := mad.do(ctx, "held", "accept"); err != nil {
			return err
		}
		for _, h := range []*handset{two, three} {
			n, err := waitHeld(ctx, h, held)
			if err != nil {
				return err
			}
			if n != held {
				return fmt.Errorf("%s holds %d, %d were let out", h.name, n, held)
			}
		}
		var waiting []struct{ ID, Direction string }
		if err := two.ask(ctx, &waiting, "held"); err != nil {
			return err
		}
		inHeld := map[string]bool{}
		for _, w := range waiting {
			inHeld[w.ID] = w.Direction == "in"
		}
		if err := settled(ctx, mad, two, three); err != nil {
			return err
		}
		s.say("an app destroyed contacts; %d are held by both other handsets, which are in sync", held)
		if i%2 == 1 { // the cloud is lost meanwhile, and given back by one that holds
			for _, h := range []*handset{mad, three} {
				if err := h.off(); err != nil {
					return err
				}
			}
			two.crash()
			s.cloud.crash()
			if err := errors.Join(s.cloud.destroy(), s.cloud.on(ctx), two.on()); err != nil {
				return err
			}
			if err := settled(ctx, two); err != nil {
				return err
			}
			if err := errors.Join(mad.on(), three.on()); err != nil {
				return err
			}
			if err := settled(ctx, mad, two, three); err != nil {
				return err
			}
			if n, err := waitHeld(ctx, two, held); err != nil || n != held {
				return fmt.Errorf("after a lost cloud handset 2 holds %d, %v", n, err)
			}
			s.say("the cloud was lost and given back; they are still held")
		}
		if _, err := two.do(ctx, "held", "reject"); err != nil {
			return err
		}
		for _, h := range []*handset{mad, two, three} {
			err := until(ctx, h.name+" has all contacts again", 30*time.Second, func() (string, error) {
				st, err := h.live(ctx)
				if k := st.Kinds[record.Contacts]; err != nil || k.Live != all || k.Held != 0 {
					return fmt.Sprintf("%d live, %d held %v", k.Live, k.Held, err), nil
				}
				return "", nil
			})
			if err != nil {
				return err
			}
		}
		if err := settled(ctx, mad, two, three); err != nil {
			return err
		}
		for _, h := range []*handset{mad, two, three} {
			list, err := h.list(ctx, record.Contacts)
			if err != nil {
				return err
			}
			now := map[string]item{}
			for _, c := range list {
				now[c.ID] = c
			}
			for _, w := range want {
				if !inHeld[w.ID] { // it lost too little to be held
					continue
				}
				got := now[w.ID]
				if !reflect.DeepEqual(got.Fields, w.Fields) || got.Deleted {
					return fmt.Errorf("%s after the reject: contact %s is not what it was", h.name, w.ID)
				}
			}
		}
		s.say("one rejected: all three have the %d as they were, line by line", len(inHeld))
	}
	// A clean-up of 15 is no catastrophe.
	contacts, err := three.list(ctx, record.Contacts)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range contacts[:15] {
		ids = append(ids, c.ID)
	}
	if err := three.remove(ctx, ids...); err != nil {
		return err
	}
	for _, h := range []*handset{two, mad, three} {
		err := until(ctx, h.name+" applies a clean-up", 20*time.Second, func() (string, error) {
			st, err := h.live(ctx)
			if k := st.Kinds[record.Contacts]; err != nil || k.Live != all-15 || k.Held != 0 {
				return fmt.Sprintf("%d live, %d held %v", k.Live, k.Held, err), nil
			}
			return "", nil
		})
		if err != nil {
			return err
		}
	}
	if err := settled(ctx, mad, two, three); err != nil {
		return err
	}
	s.say("a clean-up of 15 contacts passed")
	return s.verifyAll(ctx, mad, two, three)
}

// app does something in the handset's database as another program would.
func (h *handset) app(ctx context.Context, statements string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(h.home, "data", "sidekeep.db"))+"?_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// waitHeld waits until a running handset holds at least so many contacts, and
// the number stays, and returns it.
func waitHeld(ctx context.Context, h *handset, least int) (n int, err error) {
	last := -1
	err = until(ctx, h.name+" holds contacts", 30*time.Second, func() (string, error) {
		st, err := h.live(ctx)
		if err != nil {
			return err.Error(), nil
		}
		last, n = n, st.Kinds[record.Contacts].Held
		if n < least || n != last {
			return fmt.Sprintf("%d of at least %d", n, least), nil
		}
		return "", nil
	})
	return n, err
}

func exitCodeOf(err error) int {
	var c *commandError
	if errors.As(err, &c) {
		return c.code
	}
	return 0
}
