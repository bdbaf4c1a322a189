package syncproto

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"sidekeep/syncproto/seal"
)

// inviteEnds are both ends of one invite, and what each sent.
type inviteEnds struct {
	t       *testing.T
	inviter *Inviter
	guest   *Guest
	seed    seal.DeviceSeed
}

func newInviteEnds(t *testing.T) *inviteEnds {
	t.Helper()
	code, err := seal.NewInviteCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newInviteEndsOf(t, code)
}

func newInviteEndsOf(t *testing.T, code seal.InviteCode) *inviteEnds {
	t.Helper()
	e := &inviteEnds{t: t}
	key := func() seal.InviteKey {
		k, err := seal.NewInviteKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	var err error
	if e.inviter, err = NewInviter(InviterConfig{Identity: vectorIdentity(t), Code: code, Key: key(), Serial: 5, Address: vectorOrigin}); err != nil {
		t.Fatal(err)
	}
	if e.seed, err = seal.NewDeviceSeed(rand.Reader); err != nil {
		t.Fatal(err)
	}
	e.guest = NewGuest(code, key(), e.seed.Device(), "new")
	return e
}

// wire changes a post on its way, as whoever sits between may; n counts all
// posts from 0: commitment, guest, reveal, grant, taken.
type wire func(n int, sealed []byte) []byte

// run carries messages until nothing more is said. yes is the person's answer.
func (e *inviteEnds) run(w wire, yes bool) {
	e.t.Helper()
	n := 0
	carry := func(m Message) Message {
		p, ok := m.(*Post)
		if !ok {
			return m
		}
		n++
		return &Post{w(n-1, bytes.Clone(p.Sealed))}
	}
	toGuest := []Message{carry(&Post{e.inviter.Offer().Note})}
	e.inviter.Receive(&Opened{Seconds: MailboxSeconds})
	var toInviter []Message
	asked, taken := false, false
	for len(toGuest)+len(toInviter) > 0 {
		for _, m := range toGuest {
			if _, shut := m.(*Shut); shut {
				m = &Bye{} // as the cloud tells a guest
			}
			if r := e.guest.Receive(m); r != nil {
				toInviter = append(toInviter, carry(r))
			}
		}
		toGuest = nil
		if e.guest.State() == InviteGiven && !taken {
			taken = true
			toInviter = append(toInviter, carry(e.guest.Taken()))
		}
		for _, m := range toInviter {
			if _, bye := m.(*Bye); bye {
				m = &Shut{}
			}
			if r := e.inviter.Receive(m); r != nil {
				toGuest = append(toGuest, carry(r))
			}
		}
		toInviter = nil
		if e.inviter.State() == InviteChecks && e.guest.State() == InviteOpen {
			continue // the reveal is on its way
		}
		if e.inviter.State() == InviteChecks && !asked {
			asked = true
			m, err := e.inviter.Answer(yes)
			if err != nil {
				e.t.Fatal(err)
			}
			toGuest = append(toGuest, carry(m))
		}
	}
}

func honest(_ int, b []byte) []byte { return b }

func TestInvite(t *testing.T) {
	e := newInviteEnds(t)
	e.run(honest, true)
	if e.inviter.State() != InviteDone || e.guest.State() != InviteGiven {
		t.Fatalf("inviter %d %v, guest %d %v", e.inviter.State(), e.inviter.Err(), e.guest.State(), e.guest.Err())
	}
	g, id := e.guest.Grant(), vectorIdentity(t)
	if g.Account != id.Account || g.Data != id.Data || g.Address != vectorOrigin || len(g.Chain) != 2 {
		t.Errorf("got a grant of %v with %d certificates", g, len(g.Chain))
	}
	if e.inviter.Check() != e.guest.Check() || e.inviter.Guest().Name != "new" || e.inviter.Guest().Device != e.seed.Device() {
		t.Errorf("the ends show %s and %s", e.inviter.Check(), e.guest.Check())
	}
}

func TestInviteDeclined(t *testing.T) {
	e := newInviteEnds(t)
	e.run(honest, false)
	if !errors.Is(e.inviter.Err(), ErrInviteDeclined) || !errors.Is(e.guest.Err(), ErrInviteLeft) {
		t.Errorf("inviter %v, guest %v", e.inviter.Err(), e.guest.Err())
	}
}

func TestInviteDepth(t *testing.T) {
	id := vectorIdentity(t)
	for n := 1; ; n++ {
		_, err := NewInviter(InviterConfig{Identity: id})
		if len(id.Chain) == seal.ChainMax {
			if !errors.Is(err, seal.ErrChain) {
				t.Errorf("%d certificates: %v", n, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("%d certificates: %v", n, err)
		}
		seed, err := seal.NewDeviceSeed(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := id.Certify(seed.Device(), uint64(n))
		if err != nil {
			t.Fatal(err)
		}
		id = &seal.Identity{Account: id.Account, Data: id.Data, Seed: seed, Chain: chain}
	}
}

// TestCase19InviteMITM: whoever carries the posts, the cloud say, can not change,
// swap, repeat or make up one without both ends ending the invite; the guest gets
// nothing, and nobody is certified.
func TestCase19InviteMITM(t *testing.T) {
	refuses := func(t *testing.T, e *inviteEnds) {
		t.Helper()
		if e.guest.State() != InviteFailed || e.guest.Err() == nil {
			t.Errorf("the guest is in state %d: %v", e.guest.State(), e.guest.Err())
		}
		if e.inviter.State() != InviteFailed || e.inviter.Err() == nil {
			t.Errorf("the inviter is in state %d: %v", e.inviter.State(), e.inviter.Err())
		}
		if e.guest.Grant().Chain != nil {
			t.Error("the guest was given keys")
		}
	}
	names := []string{"commitment", "guest", "reveal", "grant"}
	for at, name := range names {
		t.Run("changed "+name, func(t *testing.T) {
			e := newInviteEnds(t)
			e.run(func(n int, b []byte) []byte {
				if n == at {
					b[len(b)/2] ^= 1
				}
				return b
			}, true)
			if name == "grant" { // the keys left, and did not open: the inviter learns that the guest is gone
				if e.guest.State() != InviteFailed || e.inviter.State() != InviteFailed {
					t.Errorf("guest %d, inviter %d", e.guest.State(), e.inviter.State())
				}
				return
			}
			refuses(t, e)
		})
		t.Run("swapped "+name+" of another invite", func(t *testing.T) {
			var theirs [5][]byte
			newInviteEnds(t).run(func(n int, b []byte) []byte { theirs[n] = b; return b }, true)
			e := newInviteEnds(t)
			e.run(func(n int, b []byte) []byte {
				if n == at {
					return theirs[n]
				}
				return b
			}, true)
			refuses(t, e)
		})
	}
	// Posts of an earlier use of the same code, which a program with a fault would
	// show twice, do not open to anything: the ends have other keys.
	t.Run("replayed", func(t *testing.T) {
		code, err := seal.NewInviteCode(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var before [5][]byte
		newInviteEndsOf(t, code).run(func(n int, b []byte) []byte { before[n] = b; return b }, true)
		for at := 2; at < 4; at++ {
			e := newInviteEndsOf(t, code)
			e.run(func(n int, b []byte) []byte {
				if n == at {
					return before[n]
				}
				return b
			}, true)
			refuses(t, e)
		}
	})
	t.Run("reflected", func(t *testing.T) {
		e := newInviteEnds(t)
		var first []byte
		e.run(func(n int, b []byte) []byte {
			if n == 0 {
				first = b
			}
			if n == 1 {
				return first // the inviter's own post
			}
			return b
		}, true)
		refuses(t, e)
	})
}

// TestInviteOverheardCode: somebody who has the code and carries the posts runs an
// invite with each end. The check codes differ, so the person says no.
func TestInviteOverheardCode(t *testing.T) {
	code, err := seal.NewInviteCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		real, thief := newInviteEndsOf(t, code), newInviteEndsOf(t, code)
		thief.guest = NewGuest(code, mustKey(t), thief.seed.Device(), "new")
		// The thief's guest meets the true inviter, the true guest the thief's inviter.
		left := &inviteEnds{t: t, inviter: real.inviter, guest: thief.guest}
		left.inviter.Receive(&Opened{Seconds: 1})
		right := &inviteEnds{t: t, inviter: thief.inviter, guest: real.guest}
		right.inviter.Receive(&Opened{Seconds: 1})
		for _, e := range []*inviteEnds{left, right} {
			hello := e.guest.Receive(&Post{e.inviter.Offer().Note})
			e.guest.Receive(e.inviter.Receive(hello))
			if e.guest.State() != InviteChecks {
				t.Fatal(e.guest.Err())
			}
		}
		if real.inviter.Check() != real.guest.Check() {
			return // what the person sees
		}
	}
	t.Error("the check codes agree again and again")
}

func mustKey(t *testing.T) seal.InviteKey {
	t.Helper()
	k, err := seal.NewInviteKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
