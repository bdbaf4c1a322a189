package hostile

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/cmd/internal/liar"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// TestCase17FakeRevoked: a cloud that says "revoked" without a proof gets what
// any cloud gets that refuses: the device comes back later, and goes on as soon
// as it is honest.
func TestCase17FakeRevoked(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	stranger, err := seal.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	thief, err := seal.NewIdentity(stranger, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := a.join(t, "d", c.URL)
	d.add(record.Contacts, "ada", "FN", "Ada")
	d.sync()
	device := []seal.DeviceKey{d.id.Device()}
	said := func(r seal.Revoke) []byte { return r.Marshal() }
	byAnotherRoot := seal.SignRevoke(stranger.Root(), a.secret.Account(), device, 1)
	asTheRoot := byAnotherRoot
	asTheRoot.Issuer = seal.DeviceKey(a.secret.Account())
	ofAnother := seal.SignRevoke(a.secret.Root(), a.secret.Account(), []seal.DeviceKey{{1}}, 1)
	ofAnother.Devices = device // what was signed named another device
	pretend := thief.Revoke(device, 1)
	pretend.Account = a.secret.Account()
	lies := map[string][][]byte{
		"nothing":                           {},
		"by another root":                   {said(byAnotherRoot)},
		"by another, in the root's name":    {said(asTheRoot)},
		"of another account":                {said(seal.SignRevoke(stranger.Root(), stranger.Account(), device, 1))},
		"of another device, changed":        {said(ofAnother)},
		"by a device that nobody certified": {thief.Chain[0].Marshal(), said(pretend)},
		"by itself, not signed by it":       {said(seal.Revoke{Account: a.secret.Account(), Devices: device, Issuer: device[0], Serial: 1})},
	}
	for name, list := range lies {
		for _, when := range []syncproto.Type{syncproto.TypeWelcome, syncproto.TypeProof} {
			t.Run(name+", instead of "+when.String(), func(t *testing.T) {
				before := d.contents()
				l := newRelay(t, c.Addr, liar.Script{Down: func(k *liar.Talk, m syncproto.Message) bool {
					if m.Type() != when {
						return true
					}
					k.ToDevice(&syncproto.Statements{List: list, Set: seal.StatementsDigest{9}})
					k.ToDevice(&syncproto.ErrorMessage{Code: syncproto.CodeRevoked})
					return false
				}})
				d.through(l.through)
				err := d.trySync(5 * time.Second)
				if err == nil || errors.Is(err, agent.ErrRevoked) {
					t.Errorf("sync: %v", err)
				}
				s, err := d.agent.Status(context.Background())
				if err != nil || s.Revoked != nil || s.Cloud.State == agent.StateRevoked {
					t.Errorf("status %+v, %+v, %v", s.Cloud, s.Revoked, err)
				}
				if after := d.contents(); !slices.Equal(before, after) {
					t.Errorf("the lie changed what is here: %q, then %q", before, after)
				}
			})
		}
	}
	t.Run("without end", func(t *testing.T) {
		l := newRelay(t, c.Addr, liar.Script{Down: func(k *liar.Talk, m syncproto.Message) bool {
			if m.Type() == syncproto.TypeWelcome {
				k.ToDevice(m)
				k.Flood(func(i int) syncproto.Message {
					return &syncproto.Statements{List: slices.Repeat([][]byte{said(byAnotherRoot)}, syncproto.StatementsMax), Set: seal.StatementsDigest{byte(i)}}
				})
			}
			return false
		}})
		d.through(l.through)
		if err := d.trySync(5 * time.Second); err == nil || errors.Is(err, agent.ErrRevoked) {
			t.Errorf("sync: %v", err)
		}
		if n := l.Counts(); n.Down > n.Sessions*200 {
			t.Errorf("%d messages were heard in %d sessions", n.Down, n.Sessions)
		}
	})
	d.through(func(c *agent.Config) { c.DialContext = nil })
	d.sync()
	d.get("ada")
}
