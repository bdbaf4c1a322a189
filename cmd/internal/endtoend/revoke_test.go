package endtoend

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// The cases of the security rules about devices that are not trusted any more,
// by their numbers.

func serial(t testing.TB) uint64 {
	t.Helper()
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint64(b[:])
}

// revoke is what `sidekeep devices revoke` says, by a device's key.
func (d *device) revoke(others ...*device) {
	d.t.Helper()
	var keys []seal.DeviceKey
	for _, o := range others {
		keys = append(keys, o.id.Device())
	}
	r := d.id.Revoke(keys, serial(d.t))
	d.tell(seal.Statement{Revoke: &r})
}

// revokeByWords is the same, with the words.
func (d *device) revokeByWords(a *account, others ...*device) {
	d.t.Helper()
	var keys []seal.DeviceKey
	for _, o := range others {
		keys = append(keys, o.id.Device())
	}
	r := seal.SignRevoke(a.secret.Root(), a.secret.Account(), keys, serial(d.t))
	d.tell(seal.Statement{Revoke: &r})
}

func (d *device) tell(list ...seal.Statement) {
	d.t.Helper()
	if err := d.agent.Tell(list...); err != nil {
		d.t.Fatal(err)
	}
}

// invited makes a device that another one certified.
func (a *account) invited(t testing.TB, by *device, name, url string) *device {
	t.Helper()
	var seed seal.DeviceSeed
	if _, err := rand.Read(seed[:]); err != nil {
		t.Fatal(err)
	}
	return a.join(t, name, url, func(c *agent.Config) {
		id := &seal.Identity{Account: a.secret.Account(), Data: a.secret.Data(), Seed: seed}
		chain, err := by.id.Certify(id.Device(), serial(t))
		if err != nil {
			t.Fatal(err)
		}
		id.Chain = chain
		c.Identity = id
	})
}

func (d *device) status() agent.Status {
	d.t.Helper()
	s, err := d.agent.Status(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// awaits waits until the status is as asked for.
func (d *device) awaits(what string, is func(*agent.Status) bool) agent.Status {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var last agent.Status
	ok := false
	if err := d.agent.Watch(ctx, func(s agent.Status) bool { last, ok = s, is(&s); return !ok }); err != nil {
		d.t.Fatal(err)
	}
	if !ok {
		d.t.Fatalf("%s: never %s; cloud %+v, revoked %+v", d.name, what, last.Cloud, last.Revoked)
	}
	return last
}

func isLive(s *agent.Status) bool    { return s.Cloud.State == agent.StateLive }
func isRevoked(s *agent.Status) bool { return s.Cloud.State == agent.StateRevoked }

func (d *device) refused(want error) {
	d.t.Helper()
	if err := d.trySync(20 * time.Second); !errors.Is(err, want) {
		d.t.Fatalf("%s: sync: %v, want %v", d.name, err, want)
	}
}

// TestCase14RevokeLive: the session of a device that is revoked while it is
// connected ends at once; the device has the proof, and all that it had.
func TestCase14RevokeLive(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	one, two, three := a.join(t, "one", c.URL), a.join(t, "two", c.URL), a.join(t, "three", c.URL)
	one.add(record.Contacts, "ada", "FN", "Ada")
	for _, d := range []*device{one, two, three} {
		d.sync()
		d.run()
		d.awaits("live", isLive)
	}
	one.revoke(two)
	s := two.awaits("revoked", isRevoked)
	if s.Revoked == nil || s.Revoked.By != one.id.Device().String() || s.Cloud.Error == "" {
		t.Errorf("the revoked device says %+v, %+v", s.Revoked, s.Cloud)
	}
	two.add(record.Contacts, "bob", "FN", "Bob") // it goes on as a book of its own
	two.get("ada")
	two.stop()
	two.refused(agent.ErrRevoked)
	// The others go on, and know: live, or with the first session after it.
	one.set("ada", "FN", "Countess")
	three.has("ada", "FN:Countess", 20*time.Second)
	three.awaits("aware", func(*agent.Status) bool {
		return !three.agent.Devices().Statements().Trust().Trusted(two.id.Device())
	})
	if three.store == nil || one.status().Revoked != nil || three.status().Revoked != nil {
		t.Error("another device calls itself revoked")
	}
	two.reopen() // and after a restart of the handset
	if s := two.status(); s.Revoked == nil {
		t.Error("the proof is forgotten")
	}
	if r, err := agent.ReadStatus(context.Background(), two.conf); err != nil || r.Revoked == nil || r.Cloud.State != agent.StateRevoked {
		t.Errorf("without an agent: %+v, %v", r.Cloud, err)
	}
	two.get("bob")
	two.get("ada")
}

// TestCase15RevokeAmnesia: a cloud that lost everything learns who was revoked
// from the first honest device, before it serves the thief.
func TestCase15RevokeAmnesia(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	owner, other, thief := a.join(t, "owner", c.URL), a.join(t, "other", c.URL), a.join(t, "thief", c.URL)
	owner.add(record.Contacts, "ada", "FN", "Ada")
	for _, d := range []*device{owner, other, thief} {
		d.sync()
	}
	owner.revoke(thief)
	owner.sync()
	other.sync() // hears of it
	c = c.Destroy()
	other.sync() // the first honest device, not the one that revoked
	thief.refused(agent.ErrRevoked)
	c = c.Restart() // the cloud keeps it
	thief.refused(agent.ErrRevoked)
	owner.sync()
	same(t, owner, other)

	// The thief comes first: it is let in, until an honest device is there.
	c.Destroy()
	thief.forget()
	thief.sync()
	thief.run()
	thief.awaits("live", isLive)
	owner.sync()
	thief.awaits("revoked", isRevoked)
}

// forget is a thief that takes the proof away from its own home.
func (d *device) forget() {
	d.t.Helper()
	d.stop()
	d.home = d.t.TempDir()
	d.conf.Home = d.home
	d.reopen()
}

// TestCase16ThiefWar: a thief with a handset that is still trusted certifies
// another and revokes the owner's. The words end that, and nothing that either
// says brings them back.
func TestCase16ThiefWar(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	owner, thief := a.join(t, "owner", c.URL), a.join(t, "thief", c.URL)
	invited := a.invited(t, owner, "invited", c.URL)
	owner.add(record.Contacts, "ada", "FN", "Ada")
	owner.sync()
	thief.sync()
	invited.sync()
	accomplice := a.invited(t, thief, "accomplice", c.URL)
	accomplice.sync()
	thief.revoke(owner)
	thief.sync()
	owner.refused(agent.ErrRevoked)
	invited.refused(agent.ErrRevoked) // the owner had certified it
	owner.get("ada")
	if by := owner.status().Revoked; by == nil || by.By != thief.id.Device().String() {
		t.Errorf("the owner's device says %+v", by)
	}
	if by := invited.status().Revoked; by == nil || by.With != owner.id.Device().String() {
		t.Errorf("the invited device says %+v", by)
	}

	// The words, on the owner's own handset: it contests, and is heard.
	owner.revokeByWords(a, thief)
	owner.sync()
	invited.sync()
	thief.refused(agent.ErrRevoked)
	accomplice.refused(agent.ErrRevoked)
	// They strike back, each, and with a cloud that knows nothing before.
	thief.revoke(owner, invited)
	thief.refused(agent.ErrRevoked)
	accomplice.revoke(owner, invited)
	accomplice.refused(agent.ErrRevoked)
	owner.sync()
	c.Destroy()
	thief.refusedOrIn()
	accomplice.refusedOrIn()
	owner.sync()
	invited.sync()
	thief.refused(agent.ErrRevoked)
	accomplice.refused(agent.ErrRevoked)
	same(t, owner, invited)
}

func (d *device) refusedOrIn() {
	d.t.Helper()
	if err := d.trySync(20 * time.Second); err != nil && !errors.Is(err, agent.ErrRevoked) {
		d.t.Fatal(err)
	}
}

// TestCase16WordsUsedAgain: the owner's device joins anew with the words; the
// thief, whom nobody has revoked yet, can not end that.
func TestCase16WordsUsedAgain(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	owner, thief := a.join(t, "owner", c.URL), a.join(t, "thief", c.URL)
	owner.sync()
	thief.sync()
	thief.revoke(owner)
	thief.sync()
	owner.refused(agent.ErrRevoked)
	back := a.join(t, "back", c.URL)
	again := seal.SignCert(a.secret.Root(), a.secret.Account(), back.id.Device(), serial(t))
	back.tell(seal.Statement{Cert: &again})
	back.sync()
	thief.revoke(back)
	thief.sync()
	back.sync()
	// Without the words it now ends the thief.
	back.revoke(thief)
	back.sync()
	thief.refused(agent.ErrRevoked)
}

// TestRevokeKeeps: what a revoked device certified ends with it, but for those
// that the one who revokes certifies, too.
func TestRevokeKeeps(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	one, lost := a.join(t, "one", c.URL), a.join(t, "lost", c.URL)
	one.sync()
	lost.sync()
	kept, gone := a.invited(t, lost, "kept", c.URL), a.invited(t, lost, "gone", c.URL)
	kept.sync()
	gone.sync()
	cert := seal.SignCert(ed25519.NewKeyFromSeed(one.id.Seed[:]), one.id.Account, kept.id.Device(), serial(t))
	one.revoke(lost)
	one.tell(seal.Statement{Cert: &cert})
	one.sync()
	kept.sync()
	gone.refused(agent.ErrRevoked)
	lost.refused(agent.ErrRevoked)
}

// TestRevokeOffline: a revocation is kept when no cloud can be reached, also over
// a restart, and is the first thing that the next one hears.
func TestRevokeOffline(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t)
	one, two := a.join(t, "one", c.URL), a.join(t, "two", c.URL)
	one.sync()
	two.sync()
	c.Stop()
	one.revoke(two)
	one.refused(agent.ErrNotReachable)
	one.reopen()
	c.Restart()
	one.sync()
	two.refused(agent.ErrRevoked)
}
