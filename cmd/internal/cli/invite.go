package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/localstore"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// inviteJSON is the last line of `devices invite --json`, after lines in the
// shape of agent.InviteStep.
type inviteJSON struct {
	Joined string `json:"joined"` // the new device's public key
	Name   string `json:"name"`
}

func (a *app) inviteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Let a new device into the account, without the 24 words",
		Long: `devices invite shows a code of 8 words for 'sidekeep join --code' on the new
device. It is good for ten minutes and one device. Both devices then show a check
code of six digits: say yes only if they are the same. The new device gets the
keys of your data, and never the 24 words.

If anybody else uses the code, the check codes differ or the invite ends with
exit code 7 on both devices; no device is let in then. It works beside
'sidekeep run', and without it. The answer is read from standard input; if that
ends without one, nobody is let in. Who was let in can be revoked at once.

With --json it prints a line {"words", "seconds"}, a line {"name", "device",
"check"} when a device asks, and at the end {"joined", "name"}.`,
		Example: "  sidekeep devices invite",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.invite(cmd.Context()) },
	}
	a.jsonFlag(cmd)
	return cmd
}

// inviter is a way to have the agent invite: the one that runs, or our own.
type inviter interface {
	Invite(ctx context.Context, tell func(agent.InviteStep)) error
	answer(ctx context.Context, yes bool) error
}

type inviteHere struct{ *agent.Agent }

func (i inviteHere) answer(_ context.Context, yes bool) error { return i.AnswerInvite(yes) }

type inviteThere struct{ *agent.Client }

func (i inviteThere) answer(ctx context.Context, yes bool) error { return i.AnswerInvite(ctx, yes) }

func (a *app) invite(ctx context.Context) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	p := newProgress(a.stderr)
	defer p.clear()
	for {
		l, err := takeLock(h.dir, "devices invite")
		if err == nil {
			defer l.release()
			h.lock = l
			return a.inviteHere(ctx, h)
		}
		var held *lockedError
		if !errors.As(err, &held) {
			return lockError(h, err)
		}
		client, err := agent.Connect(ctx, h.dir)
		if err == nil {
			return a.inviteBy(ctx, h, inviteThere{client})
		}
		if !errors.Is(err, agent.ErrNoAgent) {
			return explain("invite", err)
		}
		p.show("waiting: %v", held)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

// inviteHere runs an agent for as long as the invite takes.
func (a *app) inviteHere(ctx context.Context, h *home) error {
	return a.withAgent(ctx, h, func(ag *agent.Agent) error { return a.inviteBy(ctx, h, inviteHere{ag}) })
}

// withAgent runs an agent while use works. The caller has the home's lock.
func (a *app) withAgent(ctx context.Context, h *home, use func(*agent.Agent) error) (err error) {
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := s.Close(); err == nil && cerr != nil {
			err = explain("close the database", cerr)
		}
		err = a.afterDamage(ctx, h, err)
	}()
	ag, err := h.newAgent(s, h.dir, nil)
	if err != nil {
		return err
	}
	// Its own end: use ends by ctx, and then needs the agent to take an invite back.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- ag.Run(running) }()
	err = use(ag)
	stop()
	if rerr := <-ended; errors.Is(rerr, localstore.ErrDamaged) {
		return rerr
	}
	return err
}

func (a *app) inviteBy(ctx context.Context, h *home, by inviter) error {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var guest agent.InviteStep
	err := by.Invite(ctx, func(s agent.InviteStep) {
		if s.Check != "" {
			guest = s
			go a.answerInvite(ctx, by, cancel)
		}
		if err := a.tellInvite(h, s); err != nil {
			cancel(&Error{Op: "show the invite", Cause: err})
		}
	})
	switch {
	case err != nil && outer.Err() == nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, agent.ErrUntaken):
		return &Error{Op: "invite", Cause: err, Code: ExitRefused, Hint: fmt.Sprintf("if the new device does not work, treat it as lost: 'sidekeep devices revoke %.*s', and invite it anew", idDigits, guest.Device)}
	case err != nil:
		return explainInvite("invite", err)
	case guest.Device == "":
		return &Error{Op: "invite", Cause: errors.New("it ended before a device asked")}
	}
	if a.json {
		return a.printJSONLine(inviteJSON{Joined: guest.Device, Name: guest.Name})
	}
	_, err = fmt.Fprintf(a.stdout, "%s has joined, as device %.*s.\n", guestName(guest), idDigits, guest.Device)
	return err
}

func (a *app) tellInvite(h *home, s agent.InviteStep) error {
	if a.json {
		return a.printJSONLine(s)
	}
	var err error
	if s.Words != "" {
		_, err = fmt.Fprintf(a.stdout, `The code, good for one device and %d minutes:

  %s

On the new device:  sidekeep join --cloud %s%s --code -

`, (s.Seconds+59)/60, s.Words, escape(h.config.Cloud), pinFlags(h.config.Pins))
	}
	if s.Check != "" {
		_, err = fmt.Fprintf(a.stdout, `%s asks to join. It must show this check code:

  %s

Let it in, with all your data, only if it does. yes or no: `, guestName(s), s.Check)
	}
	return err
}

// pinFlags are the flags that a new device needs to know the cloud as this one does.
func pinFlags(pins []string) string {
	text := ""
	for _, p := range pins {
		text += " --pin " + escape(p)
	}
	return text
}

func guestName(s agent.InviteStep) string {
	if s.Name == "" {
		return "A device without a name"
	}
	return "'" + escape(s.Name) + "'"
}

// answerInvite reads the person's answer. Only yes is a yes, and without an
// answer the invite ends.
func (a *app) answerInvite(ctx context.Context, by inviter, end context.CancelCauseFunc) {
	yes, err := a.askYes()
	if err != nil {
		end(&Error{Op: "invite", Cause: fmt.Errorf("%w, so nobody was let in", err), Code: ExitRefused,
			Hint: "run it in a terminal, or write yes to its standard input when the check codes are the same"})
		return
	}
	if err := by.answer(ctx, yes); err != nil && ctx.Err() == nil {
		fmt.Fprintf(a.stderr, "sidekeep: answer the invite: %s\n", escape(err.Error()))
	}
}

// invites are the errors of an invite, at either end.
var invites = []struct {
	is   error
	text string // what to say instead of the error; "" for the error itself
	hint string
}{
	{&syncproto.Error{Code: syncproto.CodeIntercepted}, "a second device used the code, so nobody was let in",
		"somebody else has seen the code: make a new one, and let nobody see it"},
	{syncproto.ErrInviteForged, "", "nobody was let in; try again, and if it happens again, another network"},
	{syncproto.ErrInviteLeft, "", "nobody was let in; begin again with 'sidekeep devices invite'"},
	{&syncproto.Error{Code: syncproto.CodeTimeout}, "the time of the code is over, and nobody was let in", "begin again with 'sidekeep devices invite'"},
	{syncproto.ErrInviteDeclined, "", "nobody was let in; if the check codes differed, somebody else has the code: make a new one"},
	{seal.ErrChain, "this device was itself invited over eight others, and can invite no more",
		"invite from a device that joined earlier, or join with the 24 words"},
	{agent.ErrInviting, "", "end it first, or wait ten minutes"},
	{&syncproto.Error{Code: syncproto.CodeRefused}, "the cloud has no such code: a word is wrong, it was used, or its time is over",
		"ask for a new code; if this one was right and you did not use it, somebody else may have: look at what joined on the other device"},
}

// explainInvite is explain for the ends of an invite.
func explainInvite(op string, err error) error {
	for _, k := range invites {
		if !errors.Is(err, k.is) {
			continue
		}
		e := &Error{Op: op, Cause: err, Hint: k.hint, Code: ExitRefused}
		if k.text != "" {
			e.Cause = errors.New(k.text)
		}
		return e
	}
	return explain(op, err)
}
