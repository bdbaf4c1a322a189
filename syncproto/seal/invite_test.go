package seal

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
)

// invited is one invite with fixed keys.
type invited struct {
	code       InviteCode
	y, x       InviteKey
	guest      Guest
	grant      Grant
	ofInviter  *InviteSecret
	ofGuest    *InviteSecret
	commitment [32]byte
}

func inviteOf(t *testing.T) *invited {
	t.Helper()
	i := &invited{}
	draw := func(n byte) *bytes.Reader {
		b := make([]byte, 64)
		for i := range b {
			b[i] = n + byte(i)
		}
		return bytes.NewReader(b)
	}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	i.code, err = NewInviteCode(draw(1))
	check()
	i.y, err = NewInviteKey(draw(40))
	check()
	i.x, err = NewInviteKey(draw(80))
	check()
	inviter, err := NewIdentity(secretOf(1), draw(120))
	check()
	seed, err := NewDeviceSeed(draw(160))
	check()
	i.guest = Guest{Device: seed.Device(), Public: i.x.Public(), Name: "kitchen phone"}
	i.grant = Grant{Account: inviter.Account, Data: inviter.Data, Address: "wss://cloud.example.org", Admission: [16]byte{7}, Pins: [][32]byte{{8}, {9}}}
	i.grant.Chain, err = inviter.Certify(i.guest.Device, 77)
	check()
	i.commitment = i.y.Commitment()
	i.ofInviter, err = NewInviteSecret(i.code, i.y, i.guest.Public, i.y.Public(), i.guest)
	check()
	i.ofGuest, err = NewInviteSecret(i.code, i.x, i.y.Public(), i.y.Public(), i.guest)
	check()
	return i
}

// TestGoldenInvites makes an invite with fixed keys, and opens what it posts as
// the other end does.
func TestGoldenInvites(t *testing.T) {
	type vector struct{ Name, Sealed, Plain, Expect string }
	type vectors struct {
		Code, Words, Mailbox, InviterKey, GuestKey, Transcript, Check string
		Posts                                                         []vector
	}
	i := inviteOf(t)
	m := i.code.Mailbox()
	all := vectors{Code: hex.EncodeToString(i.code[:]), Words: i.code.Words(), Mailbox: hex.EncodeToString(m[:]),
		InviterKey: hex.EncodeToString(i.y.k.Bytes()), GuestKey: hex.EncodeToString(i.x.k.Bytes()),
		Transcript: hex.EncodeToString(i.ofInviter.transcript[:]), Check: i.ofInviter.Check()}
	opened := func(name string, sealed []byte) ([]byte, error) {
		switch name {
		case "commitment":
			c, err := i.code.OpenCommitment(sealed)
			return c[:], err
		case "guest":
			g, err := i.code.OpenGuest(sealed)
			return g.marshal(), err
		case "reveal":
			y, err := i.code.OpenReveal(sealed, i.commitment)
			return y[:], err
		case "grant":
			g, err := i.ofGuest.OpenGrant(sealed, i.guest.Device)
			if err == nil && !slices.Equal(g.Pins, i.grant.Pins) {
				t.Errorf("the pins came as %x", g.Pins)
			}
			return []byte(g.Address), err
		}
		return nil, i.ofInviter.OpenTaken(sealed)
	}
	for _, p := range []struct {
		name   string
		sealed []byte
	}{
		{"commitment", i.code.SealCommitment(i.commitment)}, {"guest", i.code.SealGuest(i.guest)}, {"reveal", i.code.SealReveal(i.y.Public())},
		{"grant", i.ofInviter.SealGrant(i.grant)}, {"taken", i.ofGuest.SealTaken()},
	} {
		plain, err := opened(p.name, p.sealed)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		all.Posts = append(all.Posts, vector{p.name, hex.EncodeToString(p.sealed), hex.EncodeToString(plain), opens})
		bad := bytes.Clone(p.sealed)
		bad[len(bad)-1] ^= 1
		all.Posts = append(all.Posts, vector{p.name, hex.EncodeToString(bad), "", doesNot})
	}
	var read vectors
	golden(t, "invites.json", all, &read)
	if c, err := ParseInviteCode(read.Words); err != nil || c != i.code {
		t.Errorf("the words give %v, %v", err, c == i.code)
	}
	if i.ofGuest.Check() != read.Check {
		t.Errorf("the guest shows %s, the inviter %s", i.ofGuest.Check(), read.Check)
	}
	for _, v := range read.Posts {
		_, err := opened(v.Name, unhex(t, v.Sealed))
		if (err == nil) != (v.Expect == opens) {
			t.Errorf("%s: %v, want it %s", v.Name, err, v.Expect)
		}
	}
}

// TestInvitePostsOpenInTheirPlaceOnly: each post opens as what it is, and as
// nothing else; not with another code; not when a byte is different.
func TestInvitePostsOpenInTheirPlaceOnly(t *testing.T) {
	i := inviteOf(t)
	other := i.code
	other[0] ^= 1
	posts := [][]byte{i.code.SealCommitment(i.commitment), i.code.SealGuest(i.guest), i.code.SealReveal(i.y.Public()),
		i.ofInviter.SealGrant(i.grant), i.ofGuest.SealTaken()}
	open := []func([]byte) error{
		func(b []byte) error { _, err := i.code.OpenCommitment(b); return err },
		func(b []byte) error { _, err := i.code.OpenGuest(b); return err },
		func(b []byte) error { _, err := i.code.OpenReveal(b, i.commitment); return err },
		func(b []byte) error { _, err := i.ofGuest.OpenGrant(b, i.guest.Device); return err },
		func(b []byte) error { return i.ofInviter.OpenTaken(b) },
	}
	for n, b := range posts {
		for m, o := range open {
			if err := o(b); (err == nil) != (n == m) {
				t.Errorf("post %d opened as %d: %v", n, m, err)
			}
		}
		for at := range b {
			bad := bytes.Clone(b)
			bad[at] ^= 0x10
			if open[n](bad) == nil {
				t.Errorf("post %d opens with byte %d changed", n, at)
			}
		}
		for at := range b {
			if open[n](b[:at]) == nil {
				t.Errorf("post %d opens cut to %d bytes", n, at)
			}
		}
	}
	if _, err := other.OpenGuest(posts[1]); err != ErrOpen {
		t.Errorf("another code: %v", err)
	}
	if _, err := i.ofGuest.OpenGrant(posts[3], DeviceKey{1}); err != ErrOpen {
		t.Errorf("a grant for another device: %v", err)
	}
	if _, err := i.code.OpenReveal(i.code.SealReveal(i.x.Public()), i.commitment); err != ErrOpen {
		t.Errorf("a key that was not committed to: %v", err)
	}
	if _, err := NewInviteSecret(i.code, i.y, [32]byte{}, i.y.Public(), i.guest); err != ErrOpen {
		t.Errorf("a public key of small order: %v", err)
	}
	if s := fmt.Sprintf("%v %v %+v %#v", i.code, i.y, i.ofGuest, i.grant); bytes.Contains([]byte(s), []byte(i.code.Words())) || len(s) > 200 {
		t.Errorf("secrets print: %s", s)
	}
}
