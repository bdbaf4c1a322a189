package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/liar"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// echo is a cloud that acknowledges everything, stores nothing, and says that it
// holds whatever the device says that it holds.
func echo() liar.Script {
	var held []syncproto.KindState
	hear := func(hs []syncproto.Held) {
		held = nil
		for _, h := range hs {
			if h.Count > 0 {
				held = append(held, syncproto.KindState{Kind: h.Kind, Count: h.Count, Sum: h.Sum, Head: 1})
			}
		}
	}
	return liar.Script{
		Up: func(k *liar.Talk, m syncproto.Message) bool {
			switch m := m.(type) {
			case *syncproto.Push:
				k.ToDevice(&syncproto.Ack{ID: m.ID, Kinds: []syncproto.KindState{}})
			case *syncproto.Have:
				k.ToDevice(&syncproto.Need{ID: m.ID})
			case *syncproto.Live:
				hear(m.Kinds)
				k.ToDevice(&syncproto.Proof{ID: m.ID, Head: 1, Kinds: held})
			case *syncproto.Prove:
				hear(m.Kinds)
				k.ToDevice(&syncproto.Proof{ID: m.ID, Head: 1, Kinds: held})
			default:
				return true
			}
			return false
		},
	}
}

// onlyChunks is a cloud that is honest but for the pieces of pictures: it takes
// none, and says that it has all.
func onlyChunks() liar.Script {
	return liar.Script{
		Up: func(k *liar.Talk, m syncproto.Message) bool {
			h, ok := m.(*syncproto.Have)
			if ok {
				k.ToDevice(&syncproto.Need{ID: h.ID})
			}
			return !ok
		},
		Down: func(_ *liar.Talk, m syncproto.Message) bool {
			if p, ok := m.(*syncproto.Proof); ok {
				p.Lost = nil
			}
			return true
		},
	}
}

func (d *device) trust() agent.TrustStatus {
	d.t.Helper()
	s, err := d.agent.Status(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	return s.Trust
}

// A cloud that keeps nothing, or no pieces of pictures, is found by a sample,
// "in sync" is withdrawn, also after a restart; and as soon as it is honest, with
// the same epoch, it is given everything and believed again.
func TestCase12EchoDigest(t *testing.T) {
	for name, lie := range map[string]func() liar.Script{"everything": echo, "pieces of pictures": onlyChunks} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := cloudtest.Start(t, cloudtest.Options{})
			person := newAccount(t)
			a := person.join(t, "a", cloud.URL, newRelay(t, cloud.Addr, lie()).through)
			for i := range 30 {
				a.add(record.Contacts, fmt.Sprint("contact-", i), "FN", fmt.Sprint("Person ", i))
			}
			picture := a.picture("beach", 300_000)
			err := a.trySync(30 * time.Second)
			if !errors.Is(err, agent.ErrNotKept) || !errors.Is(err, agent.ErrNotInSync) {
				t.Errorf("synced with a cloud that keeps nothing: %v", err)
			}
			a.reopen()
			s, err := a.agent.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.Trust.State != agent.TrustNotKept || s.Trust.Missing == 0 || s.InSync() || s.Kinds[record.Contacts].InSync {
				t.Errorf("after a restart: %+v", s.Trust)
			}
			a.through(nil)
			a.sync()
			if tr := a.trust(); tr.State != agent.TrustKept || tr.Versions == 0 || tr.Chunks == 0 || tr.FailedAt != nil {
				t.Errorf("with an honest cloud: %+v", tr)
			}
			b := person.join(t, "b", cloud.URL)
			b.sync()
			a.sync()
			same(t, a, b)
			sameBytes(t, "the picture", b.pictureBytes("beach"), picture)
		})
	}
}

// A cloud that begins to lie about new pieces is believed until the next day.
func TestCase12DayLater(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	clock := time.Now()
	now := func() time.Time { return clock }
	a := person.join(t, "a", cloud.URL, func(c *agent.Config) { c.Now = now })
	a.add(record.Notes, "note", "SUMMARY", "first")
	a.sync()
	a.through(newRelay(t, cloud.Addr, onlyChunks()).through)
	a.picture("beach", 200_000)
	a.sync() // nothing shows it yet
	clock = clock.Add(25 * time.Hour)
	a.store.Now = now
	if err := a.trySync(30 * time.Second); !errors.Is(err, agent.ErrNotKept) {
		t.Errorf("a day later: %v", err)
	}
	a.agent.Prove()
	if err := a.trySync(30 * time.Second); !errors.Is(err, agent.ErrNotKept) {
		t.Errorf("asked for at once: %v", err)
	}
}

// Two clouds that show two devices of one account different states, each of them
// in sync. Then what each stated crosses, and both know.
func TestCase13ForkView(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	other := cloudtest.Start(t, cloudtest.Options{Origins: []string{cloud.URL}, Dir: filepath.Join(t.TempDir(), "other")})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "shared", "FN", "Known to both")
	a.sync()
	b.sync()
	a.sync()
	codes := func() (string, string) {
		sa, err := a.agent.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sb, err := b.agent.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sa.Code, sb.Code
	}
	if ca, cb := codes(); ca != cb || strings.Count(ca, " ") != 2 {
		t.Errorf("codes of two devices that hold the same: %q, %q", ca, cb)
	}

	b.through(func(c *agent.Config) {
		c.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", other.Addr)
		}
	})
	b.sync() // it takes the other view for a cloud that lost everything
	a.set("shared", "NOTE", "only in a's view")
	b.add(record.Contacts, "hidden", "FN", "Only in b's view")
	a.sync()
	b.sync()
	if ta, tb := a.trust(), b.trust(); ta.State != agent.TrustKept || tb.State != agent.TrustKept {
		t.Errorf("before anything crossed: %+v, %+v", ta, tb)
	}
	if ca, cb := codes(); ca == cb {
		t.Errorf("codes of two devices that hold different things: %q", ca)
	}

	cross(t, person.secret.Account(), cloud.Store, other.Store)
	cross(t, person.secret.Account(), other.Store, cloud.Store)
	for d, accused := range map[*device]string{a: "b", b: "a"} {
		err := d.trySync(30 * time.Second)
		if !errors.Is(err, agent.ErrWithholds) || !errors.Is(err, agent.ErrNotInSync) || !strings.Contains(err.Error(), "(sync "+accused+")") {
			t.Errorf("%s: %v", d.name, err)
		}
		if tr := d.trust(); tr.State != agent.TrustWithholds || len(tr.Withheld) != 1 || tr.Withheld[0].Name != accused || !slices.Equal(tr.Withheld[0].Authors, []string{accused}) {
			t.Errorf("%s: %+v", d.name, tr)
		}
	}

	b.through(nil) // b gets past the one that lies
	b.sync()
	a.sync()
	b.sync()
	same(t, a, b)
	if ta, tb := a.trust(), b.trust(); ta.State != agent.TrustKept || tb.State != agent.TrustKept {
		t.Errorf("after what was missing came: %+v, %+v", ta, tb)
	}
	if ca, cb := codes(); ca != cb {
		t.Errorf("codes: %q, %q", ca, cb)
	}
}

// cross gives one cloud what devices stated to another.
func cross(t *testing.T, account seal.Account, from, to cloudstore.Store) {
	t.Helper()
	b, err := from.ReadLog(t.Context(), account, record.Witness, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var vs []syncproto.CloudVersion
	for i, it := range b.Items {
		h, err := seal.ParseHeader(it.Header)
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, syncproto.CloudVersion{Index: i, Kind: h.Kind, Ref: syncproto.NewRef(h.ID, h.VersionID), Vector: h.Vector, Header: it.Header, Body: it.Body})
	}
	if len(vs) == 0 {
		t.Fatal("nothing was stated")
	}
	if _, err := to.Commit(t.Context(), account, vs); err != nil {
		t.Fatal(err)
	}
}
