package hostile

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/liar"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// TestInventedKindsFillNothing: a cloud names kinds that nobody has, and gives for
// each something that does not open, as the answer to a pull or a walk. Nothing of
// it stays in the device's file.
func TestInventedKindsFillNothing(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	var old []syncproto.BatchItem
	recorder := newRelay(t, cloud.Addr, liar.Script{Up: func(_ *liar.Talk, m syncproto.Message) bool {
		if p, ok := m.(*syncproto.Push); ok {
			for _, v := range p.Versions {
				old = append(old, syncproto.BatchItem{Seq: 1, Header: v.Header, Body: v.Body})
			}
		}
		return true
	}})
	b := person.join(t, "b", cloud.URL, recorder.through)
	b.add(record.Contacts, "d", "FN", "x")
	b.sync()
	a.sync()
	rows := func() (n int) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(a.dir, localstore.FileName))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow("SELECT (SELECT count(*) FROM meta) + (SELECT count(*) FROM cloud) + (SELECT count(*) FROM digest)").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rows()
	session, asked := 0, map[syncproto.Type]int{}
	invented := func(k record.Kind) bool { return strings.HasPrefix(string(k), "zz") }
	r := newRelay(t, cloud.Addr, liar.Script{
		Up: func(k *liar.Talk, m syncproto.Message) bool {
			state := &syncproto.KindState{Head: 5}
			switch m := m.(type) {
			case *syncproto.Pull:
				if invented(m.Kind) {
					asked[m.Type()]++
					state.Kind = m.Kind
					k.ToDevice(&syncproto.Batch{ID: m.ID, Kind: m.Kind, Items: old[:1], Next: 5, State: state})
					return false
				}
			case *syncproto.Walk:
				if invented(m.Kind) {
					asked[m.Type()]++
					b := &syncproto.Batch{ID: m.ID, Kind: m.Kind, Items: []syncproto.BatchItem{}}
					if m.After == (syncproto.Ref{}) {
						b.Items, b.More, b.Upto = old[:1], true, syncproto.Ref{1}
					} else {
						state.Kind = m.Kind
						b.State = state
					}
					k.ToDevice(b)
					return false
				}
			}
			return true
		},
		Down: func(_ *liar.Talk, m syncproto.Message) bool {
			if w, ok := m.(*syncproto.Welcome); ok && !w.Same {
				session++
				if delete(w.Limits, syncproto.LimitWalk); session%2 == 0 {
					w.Limits[syncproto.LimitWalk] = 1
				}
				for i := range 40 {
					w.Kinds = append(w.Kinds, syncproto.KindState{Kind: record.Kind(fmt.Sprintf("zz%d-%d", session, i)), Count: 5, Head: 5})
				}
			}
			return true
		},
	})
	a.through(r.through)
	for i := range 4 {
		a.add(record.Contacts, fmt.Sprint("more", i), "FN", "x") // so that the state is not the same
		a.trySync(2 * time.Second)
	}
	if after := rows(); after > before+10 { // numbers of its own, such as the memory of a sample
		t.Errorf("%d rows of meta, cloud and digest were %d", after, before)
	}
	if asked[syncproto.TypePull] == 0 || asked[syncproto.TypeWalk] == 0 {
		t.Errorf("the lie was not heard: %v", asked)
	}
	a.through(nil)
	a.sync()
	b.sync()
	same(t, a, b)
}
