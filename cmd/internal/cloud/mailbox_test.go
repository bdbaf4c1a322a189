package cloud_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

func newMailbox() (m seal.Mailbox) {
	rand.Read(m[:])
	return m
}

// offer opens a mailbox in the device's session.
func (d *device) offer(m seal.Mailbox) {
	d.t.Helper()
	d.send(&syncproto.Offer{Mailbox: m, Note: []byte("note")})
	if o := expect[*syncproto.Opened](d); o.Seconds == 0 {
		d.t.Error("open for no time")
	}
}

// shut expects the cloud to close the device's mailbox.
func (d *device) shut(code syncproto.Code) {
	d.t.Helper()
	if s := expect[*syncproto.Shut](d); s.Code != code {
		d.t.Errorf("shut with %s, want %s", s.Code, code)
	}
}

// guest enters a mailbox without an account.
func guest(t *testing.T, c *cloudtest.Cloud, m seal.Mailbox) *device {
	t.Helper()
	g := &device{t: t}
	g.dial(c)
	g.send(&syncproto.Enter{Versions: []uint64{syncproto.ProtocolVersion}, Mailbox: m})
	return g
}

func (d *device) gets(want string) {
	d.t.Helper()
	if p := expect[*syncproto.Post](d); string(p.Sealed) != want {
		d.t.Errorf("got %q, want %q", p.Sealed, want)
	}
}

func TestMailboxHandsOn(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t).enter(c)
	m := newMailbox()
	d.offer(m)
	g := guest(t, c, m)
	g.gets("note")
	g.send(&syncproto.Post{Sealed: []byte("one")})
	d.gets("one")
	big := bytes.Repeat([]byte("x"), syncproto.PostBytesMax)
	d.send(&syncproto.Post{Sealed: big})
	g.gets(string(big))
	g.send(&syncproto.Post{Sealed: []byte("two")})
	g.send(&syncproto.Bye{})
	d.gets("two")
	d.shut(syncproto.CodeNone)
	// The device's session goes on, and the mailbox is gone.
	d.push(d.seal("notes", [16]byte{1}, d.edit(record.New(), "x")))
	wantRefused(t, guest(t, c, m).recv(), syncproto.CodeRefused)
}

// TestCase19SecondUse: a second device in a mailbox ends the invite for both, and
// learns no more than one with a code that never was.
func TestCase19SecondUse(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t).enter(c)
	m := newMailbox()
	d.offer(m)
	first := guest(t, c, m)
	first.gets("note")
	second := guest(t, c, m).recv()
	wantRefused(t, second, syncproto.CodeRefused)
	never := guest(t, c, newMailbox()).recv()
	if !bytes.Equal(encoded(t, second), encoded(t, never)) {
		t.Error("a code in use and one that never was are answered differently")
	}
	d.shut(syncproto.CodeIntercepted)
	first.closed(syncproto.CodeIntercepted)
	wantRefused(t, guest(t, c, m).recv(), syncproto.CodeRefused)
	d.offer(newMailbox()) // the session is as good as before
}

func TestMailboxEndsWithItsTimeOrItsOwner(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{MailboxTime: 300 * time.Millisecond})
	d := newDevice(t).enter(c)
	m := newMailbox()
	d.offer(m)
	g := guest(t, c, m)
	g.gets("note")
	d.shut(syncproto.CodeTimeout)
	g.closed(syncproto.CodeTimeout)

	c = cloudtest.Start(t, cloudtest.Options{})
	d = newDevice(t).enter(c)
	d.offer(m)
	g = guest(t, c, m)
	g.gets("note")
	d.send(&syncproto.Shut{})
	if _, ok := g.recv().(*syncproto.Bye); !ok {
		t.Error("a guest whose invite was withdrawn is not told")
	}
	d.offer(m)
	g = guest(t, c, m)
	g.gets("note")
	d.conn.CloseNow()
	if _, ok := g.recv().(*syncproto.Bye); !ok {
		t.Error("a guest whose inviter vanished is not told")
	}
}

func TestMailboxLimits(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	d := newDevice(t).enter(c)
	m := newMailbox()
	d.offer(m)
	// Another account can not take the mailbox over, nor see that it is there.
	other := newDevice(t).enter(c)
	other.send(&syncproto.Offer{Mailbox: m, Note: []byte("mine")})
	other.shut(syncproto.CodeBusy)
	g := guest(t, c, m)
	g.gets("note")
	for range syncproto.PostsMax {
		g.send(&syncproto.Post{Sealed: []byte("x")})
		d.gets("x")
	}
	g.send(&syncproto.Post{Sealed: []byte("x")})
	d.shut(syncproto.CodeOutOfOrder)
	g.closed(syncproto.CodeOutOfOrder)

	d.offer(m)
	d.send(&syncproto.Post{Sealed: []byte("to nobody")})
	d.shut(syncproto.CodeOutOfOrder)
	d.send(&syncproto.Post{Sealed: []byte("late")}) // dropped
	d.offer(m)

	// A guest's messages are as small as those of anybody who has not signed.
	g = guest(t, c, m)
	g.gets("note")
	g.sendRaw(encoded(t, &syncproto.Post{Sealed: make([]byte, syncproto.PreAuthBytesMax)}))
	g.closed(syncproto.CodeTooLarge)
	d.shut(syncproto.CodeNone)

	// So many of one account, and a session has one: the last takes the place.
	d.offer(newMailbox())
	d.offer(newMailbox())
	var sessions []*device
	for range syncproto.AccountMailboxesMax - 1 {
		s := d.sibling().enter(c)
		s.offer(newMailbox())
		sessions = append(sessions, s)
	}
	s := d.sibling().enter(c)
	s.send(&syncproto.Offer{Mailbox: newMailbox(), Note: []byte("one more")})
	s.shut(syncproto.CodeBusy)
	other.offer(newMailbox()) // the limit is the account's
	sessions[0].send(&syncproto.Shut{})
	sessions[0].push(sessions[0].seal("notes", [16]byte{2}, sessions[0].edit(record.New(), "x")))
	s.offer(newMailbox())
}

// TestGuestOutlivesTheTimeOfStrangers: who is in a mailbox waits for a person, as
// long as the mailbox is open.
func TestGuestOutlivesTheTimeOfStrangers(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{MailboxTime: 700 * time.Millisecond, Limits: cloud.Limits{AuthTime: 200 * time.Millisecond}})
	d := newDevice(t).enter(c)
	m := newMailbox()
	d.offer(m)
	g := guest(t, c, m)
	g.gets("note")
	g.closed(syncproto.CodeTimeout) // the mailbox's end, told; not the front's, which says nothing
	d.shut(syncproto.CodeTimeout)
}
