package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// ErrInviting is returned by Invite while another invite is under way.
var ErrInviting = errors.New("an invite is under way on this device already")

// ErrUntaken is returned by Invite when the keys were sent and the new device
// did not say that it keeps them: it may have them or not.
var ErrUntaken = errors.New("the keys were sent, and the new device did not say that it has kept them")

const (
	inviteSession = 30 * time.Second                                     // for a session to come about
	inviteMax     = (syncproto.MailboxSeconds + 10) * time.Second        // whatever the cloud says
	takenMax      = time.Minute                                          // for the new device to keep what it got
	inviteArrived = syncproto.PostsMax + 4                               // what can come for one mailbox
	guestMax      = (syncproto.MailboxSeconds + 60) * time.Second        // for all that a guest waits
	guestRead     = syncproto.PostBytesMax + syncproto.PreAuthBytesMax/2 // bytes of a message to a guest
)

// InviteStep tells a person how far an invite is. Each has what is new.
type InviteStep struct {
	Words   string `json:"words,omitempty"` // the one-time code: 8 words
	Seconds int    `json:"seconds,omitempty"`
	// Name is what the new device calls itself, Device its public key, and Check
	// the code that it must show, too. AnswerInvite is due.
	Name   string `json:"name,omitempty"`
	Device string `json:"device,omitempty"`
	Check  string `json:"check,omitempty"`
}

// inviting is an invite under way.
type inviting struct {
	arrived chan inbound
	answer  chan bool // holds one
}

// Invite opens a mailbox in the session that Run has, lets one new device in if
// AnswerInvite says so, and returns nil when that device has kept the keys. The
// error is ErrNotReachable, ErrInviting, ErrUntaken, seal.ErrChain, one of the
// ErrInvite errors of syncproto, a *syncproto.Error, or that of ctx.
func (a *Agent) Invite(ctx context.Context, tell func(InviteStep)) error {
	in := &inviting{arrived: make(chan inbound, inviteArrived), answer: make(chan bool, 1)}
	a.mu.Lock()
	if a.invite != nil {
		a.mu.Unlock()
		return ErrInviting
	}
	a.invite = in
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.invite = nil
		a.mu.Unlock()
	}()
	m, words, err := a.newInviter()
	if err != nil {
		return err
	}
	if err := a.mail(ctx, m.Offer()); err != nil {
		return err
	}
	err = a.invited(ctx, m, in, words, tell)
	if m.State() < syncproto.InviteDone && err != nil {
		if withdrawn := a.mail(context.WithoutCancel(ctx), &syncproto.Shut{}); withdrawn != nil {
			a.cfg.Log.Debug("withdraw an invite", "error", withdrawn)
		}
	}
	return err
}

func (a *Agent) newInviter() (*syncproto.Inviter, string, error) {
	code, err := seal.NewInviteCode(a.cfg.Rand)
	if err != nil {
		return nil, "", err
	}
	key, err := seal.NewInviteKey(a.cfg.Rand)
	if err != nil {
		return nil, "", err
	}
	var serial [8]byte
	if _, err := io.ReadFull(a.cfg.Rand, serial[:]); err != nil {
		return nil, "", fmt.Errorf("draw a serial: %w", err)
	}
	pins := make([][32]byte, len(a.cfg.Pins))
	for i, p := range a.cfg.Pins {
		pins[i] = p
	}
	m, err := syncproto.NewInviter(syncproto.InviterConfig{
		Identity: a.cfg.Identity, Code: code, Key: key, Serial: binary.BigEndian.Uint64(serial[:]), Address: a.cfg.CloudURL,
		Admission: a.cfg.Admission, Pins: pins,
	})
	return m, code.Words(), err
}

// invited drives the machine from the offer to its end.
func (a *Agent) invited(ctx context.Context, m *syncproto.Inviter, in *inviting, words string, tell func(InviteStep)) error {
	limit := time.NewTimer(inviteMax)
	defer limit.Stop()
	for {
		var reply syncproto.Message
		before := m.State()
		select {
		case got := <-in.arrived:
			if got.err != nil {
				return got.err
			}
			reply = m.Receive(got.m)
			if o, ok := got.m.(*syncproto.Opened); ok && m.State() == syncproto.InviteOpen {
				tell(InviteStep{Words: words, Seconds: int(o.Seconds)})
			}
		case yes := <-in.answer:
			var err error
			if reply, err = m.Answer(yes); err != nil {
				return err
			}
			// Before the keys leave: who got them can be revoked from then on,
			// whatever becomes of the rest.
			if _, err := a.known.Add(seal.StatementsOf(m.Certs())...); err != nil && !leftOut(err) {
				return err
			}
			limit.Reset(takenMax)
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			if m.State() == syncproto.InviteGiven {
				return ErrUntaken
			}
			return &syncproto.Error{Code: syncproto.CodeTimeout}
		}
		if reply != nil {
			if err := a.mail(ctx, reply); err != nil {
				return err
			}
		}
		switch now := m.State(); {
		case now == syncproto.InviteChecks && before != now:
			g := m.Guest()
			tell(InviteStep{Name: g.Name, Device: g.Device.String(), Check: m.Check()})
		case now == syncproto.InviteFailed && before == syncproto.InviteGiven && errors.Is(m.Err(), syncproto.ErrInviteLeft):
			return ErrUntaken
		case now >= syncproto.InviteDone:
			return m.Err()
		}
	}
}

// AnswerInvite says whether the device that asks may come in. The error is
// ErrNoInvite when none is under way.
func (a *Agent) AnswerInvite(yes bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.invite == nil {
		return ErrNoInvite
	}
	select {
	case a.invite.answer <- yes:
	default: // answered already
	}
	return nil
}

// ErrNoInvite is returned by AnswerInvite when no invite is under way.
var ErrNoInvite = errors.New("no invite is under way")

// mail hands a message to the session that is open, and waits for one a while.
func (a *Agent) mail(ctx context.Context, m syncproto.Message) error {
	t := time.NewTimer(inviteSession)
	defer t.Stop()
	select {
	case a.mailOut <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return unserved(a.lastErr)
}

// mailed hands what the session got for a mailbox, or its end, to the invite.
func (a *Agent) mailed(in inbound) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.invite == nil {
		return
	}
	select {
	case a.invite.arrived <- in:
	default: // more than the protocol allows: the invite fails by what is missing
	}
}

// GuestConfig is what a device without an account brings to an invite. CloudURL,
// Code and Seed are required.
type GuestConfig struct {
	Config // of it: CloudURL, AllowPlain, Pins, TLS, DialContext, Now, Rand, Log
	Code   seal.InviteCode
	Seed   seal.DeviceSeed
	Name   string // shown to the person on the other device
}

// Enrolment is what an invite brought a new device.
type Enrolment struct {
	Identity *seal.Identity
	Address  string // of the cloud, as the other device has it
	// Admission is the token that the cloud's operator gave the account.
	Admission syncproto.Admission
	Pins      []ws.Pin // by which the other device knows the cloud, if it does
	guest     *syncproto.Guest
	conn      guestConn
}

// Enter uses an invite's code: it enters the mailbox, has check show the check
// code, and waits until the person on the other device has said yes. The caller
// keeps the identity, calls Taken, and closes. Errors are those of Invite, and
// CodeRefused: the code is wrong, was used, or its time is over.
func Enter(ctx context.Context, c GuestConfig, check func(string)) (e *Enrolment, err error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, guestMax)
	defer cancel()
	defer func() {
		switch { // an end that was asked for is no fault of the network
		case err != nil && caller.Err() != nil:
			err = caller.Err()
		case err != nil && ctx.Err() != nil:
			err = &syncproto.Error{Code: syncproto.CodeTimeout}
		}
	}()
	key, err := seal.NewInviteKey(c.Rand)
	if err != nil {
		return nil, err
	}
	conn, _, err := dialGuest(ctx, c.Config, guestRead)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.CloseNow()
		}
	}()
	g := syncproto.NewGuest(c.Code, key, c.Seed.Device(), c.Name)
	if err := conn.send(ctx, g.Enter()); err != nil {
		return nil, err
	}
	for g.State() < syncproto.InviteGiven {
		before := g.State()
		m, err := conn.receive(ctx)
		if err != nil {
			return nil, err
		}
		if reply := g.Receive(m); reply != nil {
			if err := conn.send(ctx, reply); err != nil && g.State() != syncproto.InviteFailed {
				return nil, err
			}
		}
		if g.State() == syncproto.InviteChecks && before != g.State() {
			check(g.Check())
		}
	}
	if g.State() == syncproto.InviteFailed {
		return nil, g.Err()
	}
	got := g.Grant()
	id := &seal.Identity{Account: got.Account, Data: got.Data, Seed: c.Seed, Chain: got.Chain}
	e = &Enrolment{Identity: id, Address: got.Address, Admission: got.Admission, guest: g, conn: conn}
	for _, p := range got.Pins {
		e.Pins = append(e.Pins, p)
	}
	return e, nil
}

// Taken tells the other device that the identity is kept, durably. An error is
// no reason to throw it away.
func (e *Enrolment) Taken(ctx context.Context) error { return e.conn.send(ctx, e.guest.Taken()) }

// Close ends the connection.
func (e *Enrolment) Close() { e.conn.leave() }
