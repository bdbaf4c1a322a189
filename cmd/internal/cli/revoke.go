package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/syncproto/seal"
)

type revokeFlags struct {
	keep  []string
	words string
	yes   bool
	self  bool // this device may be ended, too
}

func (a *app) revokeCommand() *cobra.Command {
	var f revokeFlags
	cmd := &cobra.Command{
		Use:   "revoke NAME|ID...",
		Short: "End the trust in a device that was lost, and in what it let in",
		Long: `devices revoke ends the trust in a device: the cloud closes its session at once
and gives it no other. Devices that it had let in end with it, but for those that
you name with --keep: this device, or the words, then stand for them. Nothing is
deleted anywhere. What the device knows already it goes on knowing.

A device can revoke those that it or others let in, and its equals; not one that
stands nearer to the words, such as the one that invited it. If two equals revoke
each other, the one that the cloud hears first stays: it hears no device that was
revoked. With --words-file the words do it: that counts for good, and undoes
whatever the revoked device said about others.

It works without the cloud, too: the cloud hears it first thing in the next session.
If that could not be now, the exit code is 3.

With --json it prints {"revoked": [ID], "ended": [ID], "kept": [ID], "delivered"}.`,
		Example: "  sidekeep devices revoke 'old phone'\n  sidekeep devices revoke 3f9c --keep tablet --words-file -",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.revoke(cmd.Context(), args, f) },
	}
	cmd.Flags().StringArrayVar(&f.keep, "keep", nil, "a device that stays, although the revoked one let it in (repeat for more)")
	cmd.Flags().StringVar(&f.words, "words-file", "", "revoke by the words: `file` with the account's 24 words, - for standard input")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&f.self, "this-device", false, "go on even if it ends this device, which only the 24 words can bring back")
	a.jsonFlag(cmd)
	return cmd
}

type revokeJSON struct {
	Revoked   []string `json:"revoked"`
	Ended     []string `json:"ended"`
	Kept      []string `json:"kept"`
	Delivered bool     `json:"delivered"`
}

// revocation is what is about to be said, and what comes of it.
type revocation struct {
	roster      *roster
	key         ed25519.PrivateKey // of this device, or the root
	said        []seal.Statement
	targets     []*deviceJSON
	ended, kept []*deviceJSON
}

func (a *app) revoke(ctx context.Context, names []string, f revokeFlags) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	roster, err := a.readRoster(ctx, h)
	if err != nil {
		return err
	}
	v := &revocation{roster: roster, key: ed25519.NewKeyFromSeed(h.identity.Seed[:])}
	for _, name := range names {
		d, err := roster.find(name)
		if err != nil {
			return err
		}
		v.targets = append(v.targets, d)
	}
	for _, name := range f.keep {
		d, err := roster.find(name)
		if err != nil {
			return err
		}
		v.kept = append(v.kept, d)
	}
	if f.words == "-" && !f.yes {
		return usagef("--words-file - takes standard input, so that you can not be asked: add --yes, or give a file")
	}
	if f.words != "" {
		secret, err := a.readWords(f.words)
		if err != nil {
			return err
		}
		if secret.Account() != h.identity.Account {
			return &Error{Op: "revoke", Code: ExitRefused, Cause: errors.New("these are the words of another account"), Hint: "give the 24 words of this device's account"}
		}
		v.key = secret.Root()
	}
	if err := v.decide(f.words != ""); err != nil {
		return err
	}
	if v.endsSelf() && !f.self {
		return &Error{Op: "revoke", Code: ExitRefused, Cause: errors.New("that would end this device itself: it would sync no more, and only the 24 words could bring it back; nothing was changed"),
			Hint: "if you mean it, add --this-device; its data stay on it"}
	}
	if !f.yes {
		if err := a.confirmRevoke(v); err != nil {
			return err
		}
	}
	return a.sayRevoke(ctx, h, v)
}

// decide makes the statements, and looks what they come to before they are said.
func (v *revocation) decide(byRoot bool) error {
	account := v.roster.set.Account()
	var keys []seal.DeviceKey
	for _, d := range v.targets {
		keys = append(keys, d.key)
	}
	for len(keys) > 0 {
		n := min(len(keys), seal.RevokedMax)
		serial, err := randomSerial()
		if err != nil {
			return err
		}
		r := seal.SignRevoke(v.key, account, keys[:n], serial)
		v.said, keys = append(v.said, seal.Statement{Revoke: &r}), keys[n:]
	}
	if self := v.self(); byRoot && self != nil && !v.isTarget(self) && !v.after().Trusted(self.key) {
		v.kept = append(v.kept, self) // the words would not throw out the device in the person's hand
	}
	for _, d := range v.kept {
		serial, err := randomSerial()
		if err != nil {
			return err
		}
		c := seal.SignCert(v.key, account, d.key, serial)
		v.said = append(v.said, seal.Statement{Cert: &c})
	}
	after := v.after()
	for _, d := range v.targets {
		if after.Trusted(d.key) {
			return &Error{Op: "revoke", Object: v.roster.name(d.ID), Code: ExitRefused,
				Cause: errors.New("it stands nearer to the words than this device"), Hint: "revoke it with the words: --words-file"}
		}
	}
	for _, d := range v.kept {
		if !after.Trusted(d.key) {
			return &Error{Op: "keep", Object: v.roster.name(d.ID), Code: ExitRefused,
				Cause: errors.New("it was revoked itself, or this device is not trusted to keep it"), Hint: "use the words: --words-file"}
		}
	}
	for i := range v.roster.list {
		if d := &v.roster.list[i]; d.Trusted && !after.Trusted(d.key) && !v.isTarget(d) {
			v.ended = append(v.ended, d)
		}
	}
	return nil
}

func (v *revocation) after() *seal.Trust {
	set := v.roster.set.Clone()
	_, _ = set.Add(v.said...) // what is left out shows in who is trusted
	return set.Trust()
}

func (v *revocation) self() *deviceJSON {
	for i := range v.roster.list {
		if v.roster.list[i].This {
			return &v.roster.list[i]
		}
	}
	return nil
}

// endsSelf reports whether this device loses its trust by what is about to be said.
func (v *revocation) endsSelf() bool {
	self := v.self()
	return self != nil && self.Trusted && !v.after().Trusted(self.key)
}

func (v *revocation) isTarget(d *deviceJSON) bool {
	for _, t := range v.targets {
		if t.key == d.key {
			return true
		}
	}
	return false
}

func randomSerial() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a serial: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// confirmRevoke says what ends and asks. Only yes is a yes.
func (a *app) confirmRevoke(v *revocation) error {
	line := func(what string, list []*deviceJSON) {
		for _, d := range list {
			this := ""
			if d.This {
				this = ", this device"
			}
			fmt.Fprintf(a.stderr, "%-9s %s  %s%s\n", what, shorten(d.ID, idDigits+1), escape(orDash(d.Name)), this)
		}
	}
	line("revoked", v.targets)
	line("ends too", v.ended)
	line("kept", v.kept)
	fmt.Fprint(a.stderr, "They get nothing new from the cloud any more; nothing is deleted. yes or no: ")
	yes, err := a.askYes()
	switch {
	case errors.Is(err, errNoAnswer):
		return &Error{Op: "revoke", Cause: fmt.Errorf("%w; nothing was changed", err), Code: ExitRefused, Hint: "run it in a terminal, or add --yes"}
	case err != nil:
		return err
	case !yes:
		return &Error{Op: "revoke", Cause: errors.New("not confirmed; nothing was changed"), Code: ExitRefused}
	}
	return nil
}

// revokeWait is how long revoke waits for the cloud to hear it.
const revokeWait = 20 * time.Second

// sayRevoke keeps the statements in this home, then gives them to the cloud.
func (a *app) sayRevoke(ctx context.Context, h *home, v *revocation) error {
	if err := a.tell(ctx, h, v.said); err != nil {
		return explain("revoke", err)
	}
	p := newProgress(a.stderr)
	wait, cancel := context.WithTimeout(ctx, revokeWait)
	_, err := a.syncHome(wait, h, p, false)
	cancel()
	p.clear()
	// If this device ended itself, the cloud's refusal shows that it heard it.
	delivered := err == nil || errors.Is(err, agent.ErrNotInSync) || errors.Is(err, agent.ErrHeld) || v.endsSelf() && errors.Is(err, agent.ErrRevoked)
	ids := func(list []*deviceJSON) []string {
		out := []string{}
		for _, d := range list {
			out = append(out, d.ID)
		}
		return out
	}
	if a.json {
		if err := a.printJSON(revokeJSON{ids(v.targets), ids(v.ended), ids(v.kept), delivered}); err != nil {
			return err
		}
	} else {
		for _, d := range append(v.targets, v.ended...) {
			fmt.Fprintf(a.stdout, "%s is not trusted any more\n", escape(v.roster.name(d.ID)))
		}
	}
	if errors.Is(err, agent.ErrRevoked) && !delivered {
		return &Error{Op: "tell the cloud", Cause: errors.New("this device was revoked before, and the cloud hears no device that was revoked: nobody else learns of this"), Code: ExitRefused,
			Hint: "revoke with the words, on a device that is trusted or joined by them: 'sidekeep devices revoke NAME --words-file FILE'"}
	}
	if !delivered {
		return &Error{Op: "tell the cloud", Cause: err, Code: ExitUnreachable,
			Hint: "the revocation is kept here and is the first that the cloud hears; 'sidekeep sync' tells it"}
	}
	return nil
}

// tell keeps statements in a home: by itself, or through the agent that runs.
func (a *app) tell(ctx context.Context, h *home, list []seal.Statement) error {
	for {
		l, err := takeLock(h.dir, "devices")
		if err == nil {
			defer l.release()
			known, err := agent.OpenDevices(h.dir, h.identity.Account)
			if err != nil {
				return err
			}
			_, err = known.Add(append(seal.StatementsOf(h.identity.Chain), list...)...)
			return err
		}
		var held *lockedError
		if !errors.As(err, &held) {
			return lockError(h, err)
		}
		client, err := agent.Connect(ctx, h.dir)
		if err == nil {
			err = client.Tell(ctx, list...)
		}
		if !errors.Is(err, agent.ErrNoAgent) {
			return err
		}
		select { // another command that syncs, or an agent that starts or ends
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
}
