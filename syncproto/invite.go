package syncproto

import (
	"errors"
	"fmt"

	"sidekeep/syncproto/seal"
)

// What an invite can end with beside an *Error: CodeTimeout (its time is over),
// CodeIntercepted (a second device used the code), CodeRefused (to a guest: the
// code is wrong, was used, or its time is over), CodeBusy.
var (
	// ErrInviteLeft: the other device withdrew, said no, or lost its connection.
	ErrInviteLeft = errors.New("the other device left before the invite was complete")
	// ErrInviteDeclined: the person on this device said no.
	ErrInviteDeclined = errors.New("you said no")
	// ErrInviteForged: something that was posted was not made with the code.
	ErrInviteForged = errors.New("what arrived was not sent by the other device: someone in between tried to change it")
)

// InviteState is how far an invite has come at one of its ends.
type InviteState uint8

// The states of both ends, in their order.
const (
	InviteBegun  InviteState = iota // asked the cloud
	InviteOpen                      // inviter: the code may be shown; guest: it has presented itself
	InviteChecks                    // both know the check code, and a person compares
	InviteGiven                     // inviter: the keys were posted; guest: it has them
	InviteDone                      // inviter: the guest has kept them
	InviteFailed
)

// Inviter is the trusted device's end of an invite, as a pure machine: SPEC.md
// section "Invites".
type Inviter struct {
	code   seal.InviteCode
	key    seal.InviteKey
	grant  seal.Grant
	cert   func(seal.DeviceKey) ([]seal.Cert, error)
	state  InviteState
	guest  seal.Guest
	secret *seal.InviteSecret
	err    error
}

// InviterConfig is what a trusted device brings. Code, Key and Serial are fresh
// randomness; Address is the cloud's, for the guest to keep.
type InviterConfig struct {
	Identity *seal.Identity
	Code     seal.InviteCode
	Key      seal.InviteKey
	Serial   uint64
	Address  string
	// Admission is the token of the cloud's operator, which the guest needs, too,
	// as it does Pins, the cloud's keys, if this device goes by them.
	Admission Admission
	Pins      [][32]byte
}

// NewInviter returns an inviter that is about to offer. The error is
// seal.ErrChain if too many invites lie between this device and the words.
func NewInviter(c InviterConfig) (*Inviter, error) {
	if len(c.Identity.Chain) >= seal.ChainMax {
		return nil, seal.ErrChain
	}
	if len(c.Address) > seal.OriginBytesMax {
		return nil, errorf(CodeTooLarge, "an address of %d bytes", len(c.Address))
	}
	if len(c.Pins) > seal.InvitePinsMax {
		return nil, errorf(CodeTooLarge, "%d pins", len(c.Pins))
	}
	return &Inviter{
		code: c.Code, key: c.Key,
		grant: seal.Grant{Account: c.Identity.Account, Data: c.Identity.Data, Address: c.Address, Admission: c.Admission, Pins: c.Pins},
		cert:  func(d seal.DeviceKey) ([]seal.Cert, error) { return c.Identity.Certify(d, c.Serial) },
	}, nil
}

// State tells how far the invite has come.
func (i *Inviter) State() InviteState { return i.state }

// Err says why the invite failed.
func (i *Inviter) Err() error { return i.err }

// Guest returns who asks, from InviteChecks on.
func (i *Inviter) Guest() seal.Guest { return i.guest }

// Check returns the code that the guest must show, too, from InviteChecks on.
func (i *Inviter) Check() string { return i.secret.Check() }

// Offer returns the first message.
func (i *Inviter) Offer() *Offer {
	return &Offer{Mailbox: i.code.Mailbox(), Note: i.code.SealCommitment(i.key.Commitment())}
}

// Receive takes what the cloud sent for the mailbox, and returns the message to
// answer with, or nil.
func (i *Inviter) Receive(m Message) Message {
	switch m := m.(type) {
	case *Opened:
		if i.state == InviteBegun {
			i.state = InviteOpen
			return nil
		}
	case *Post:
		return i.posted(m.Sealed)
	case *Shut:
		i.fail(shutError(m.Code))
		return nil
	}
	return i.forged()
}

func (i *Inviter) posted(sealed []byte) Message {
	switch i.state {
	case InviteOpen:
		g, err := i.code.OpenGuest(sealed)
		if err != nil {
			return i.forged()
		}
		public := i.key.Public()
		if i.secret, err = seal.NewInviteSecret(i.code, i.key, g.Public, public, g); err != nil {
			return i.forged()
		}
		i.guest, i.state = g, InviteChecks
		return &Post{i.code.SealReveal(public)}
	case InviteGiven:
		if i.secret.OpenTaken(sealed) == nil {
			i.state = InviteDone
			return &Shut{}
		}
	case InviteDone, InviteFailed:
		return nil
	}
	return i.forged()
}

// Answer takes the person's decision in state InviteChecks. The message to yes
// posts the keys: keep first what Certs returns.
func (i *Inviter) Answer(yes bool) (Message, error) {
	if i.state != InviteChecks {
		return nil, fmt.Errorf("nobody is to be let in: %w", i.err)
	}
	if !yes {
		i.fail(ErrInviteDeclined)
		return &Shut{}, nil
	}
	chain, err := i.cert(i.guest.Device)
	if err != nil {
		i.fail(err)
		return &Shut{}, err
	}
	i.grant.Chain = chain
	i.state = InviteGiven
	return &Post{i.secret.SealGrant(i.grant)}, nil
}

// Certs returns the certificates that lead to the guest, from InviteGiven on.
func (i *Inviter) Certs() []seal.Cert { return i.grant.Chain }

func (i *Inviter) forged() Message {
	i.fail(ErrInviteForged)
	return &Shut{}
}

func (i *Inviter) fail(err error) {
	if i.state < InviteDone {
		i.state, i.err = InviteFailed, err
	}
}

func shutError(c Code) error {
	if c == CodeNone {
		return ErrInviteLeft
	}
	return &Error{Code: c, Detail: "said by the cloud"}
}

// Guest is the new device's end of an invite, as a pure machine.
type Guest struct {
	code      seal.InviteCode
	key       seal.InviteKey
	self      seal.Guest
	state     InviteState
	committed [32]byte
	secret    *seal.InviteSecret
	grant     seal.Grant
	err       error
}

// NewGuest returns a guest that is about to enter. key is fresh randomness, name
// at most seal.InviteNameBytesMax bytes.
func NewGuest(code seal.InviteCode, key seal.InviteKey, device seal.DeviceKey, name string) *Guest {
	return &Guest{code: code, key: key, self: seal.Guest{Device: device, Public: key.Public(), Name: name}}
}

// State tells how far the invite has come.
func (g *Guest) State() InviteState { return g.state }

// Err says why the invite failed.
func (g *Guest) Err() error { return g.err }

// Check returns the code that the inviter must show, too, from InviteChecks on.
func (g *Guest) Check() string { return g.secret.Check() }

// Grant returns what was given, from InviteGiven on. Its certificates lead to
// this device.
func (g *Guest) Grant() seal.Grant { return g.grant }

// Enter returns the first message.
func (g *Guest) Enter() *Enter {
	return &Enter{Versions: []uint64{ProtocolVersion}, Mailbox: g.code.Mailbox()}
}

// Taken returns the last message, once what was given is kept.
func (g *Guest) Taken() *Post { return &Post{g.secret.SealTaken()} }

// Receive takes what the cloud sent, and returns the message to answer with, or
// nil.
func (g *Guest) Receive(m Message) Message {
	switch m := m.(type) {
	case *Post:
		return g.posted(m.Sealed)
	case *Bye:
		g.fail(ErrInviteLeft)
		return nil
	case *ErrorMessage:
		g.fail(shutError(m.Code))
		return nil
	case *Wait:
		g.fail(shutError(m.Code))
		return nil
	}
	return g.forged()
}

func (g *Guest) posted(sealed []byte) Message {
	var err error
	switch g.state {
	case InviteBegun:
		if g.committed, err = g.code.OpenCommitment(sealed); err != nil {
			return g.forged()
		}
		g.state = InviteOpen
		return &Post{g.code.SealGuest(g.self)}
	case InviteOpen:
		inviter, err := g.code.OpenReveal(sealed, g.committed)
		if err == nil {
			g.secret, err = seal.NewInviteSecret(g.code, g.key, inviter, inviter, g.self)
		}
		if err != nil {
			return g.forged()
		}
		g.state = InviteChecks
		return nil
	case InviteChecks:
		if g.grant, err = g.secret.OpenGrant(sealed, g.self.Device); err != nil {
			return g.forged()
		}
		g.state = InviteGiven
		return nil
	case InviteFailed:
		return nil
	}
	return g.forged()
}

func (g *Guest) forged() Message {
	g.fail(ErrInviteForged)
	return &Bye{}
}

func (g *Guest) fail(err error) {
	if g.state < InviteGiven {
		g.state, g.err = InviteFailed, err
	}
}
