package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	"sidekeep/agent"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// joinByCode is join with the code of an invite.
func (a *app) joinByCode(ctx context.Context, flags cloudFlags, codeFile string, keepData bool) error {
	cfg, err := flags.config(false)
	if err != nil {
		return err
	}
	if len(cfg.Name) > seal.InviteNameBytesMax || !utf8.ValidString(cfg.Name) {
		return usagef("--name: at most %d bytes of text", seal.InviteNameBytesMax)
	}
	if keepData {
		return a.takeOver(ctx, cfg, codeFile)
	}
	dir, err := a.homeDir()
	if err != nil {
		return err
	}
	s, err := a.beginStage(dir, "join")
	if err != nil {
		return err
	}
	defer s.abandon()
	e, err := a.enter(ctx, &cfg, codeFile)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := s.write(e.Identity, cfg); err != nil {
		return &Error{Op: "make home", Object: dir, Cause: err}
	}
	store, err := a.openStore(ctx, &home{dir: s.path(), config: cfg, identity: e.Identity}, nil)
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return explain("make the database", err)
	}
	if err := s.commit(); err != nil {
		return &Error{Op: "make home", Object: dir, Cause: err, Hint: "begin again with 'sidekeep devices invite' on the other device"}
	}
	a.taken(ctx, e)
	if err := a.moveData(ctx, dir, flags.share); err != nil {
		return err
	}
	return a.printJoined(dir, e.Identity)
}

// taken tells the other device that what it gave is kept.
func (a *app) taken(ctx context.Context, e *agent.Enrolment) {
	if err := e.Taken(ctx); err != nil {
		fmt.Fprintln(a.stderr, "sidekeep: this device has joined, but the other one could not be told")
	}
	e.Close()
}

// enter reads the code, uses it, shows the check code meanwhile, and puts into cfg
// what the other device knows of the cloud.
func (a *app) enter(ctx context.Context, cfg *config, codeFile string) (*agent.Enrolment, error) {
	text, err := a.readWordText(codeFile, "The 8 words that the other device shows", seal.InviteWordCount)
	if err != nil {
		return nil, err
	}
	code, err := seal.ParseInviteCode(text)
	if err != nil {
		return nil, &Error{Op: "read the code", Cause: err, Code: ExitRefused,
			Hint: "give the 8 words that 'sidekeep devices invite' shows, in their order"}
	}
	if err := a.awaitRandomness(); err != nil {
		return nil, err
	}
	pins, err := cfg.pins()
	if err != nil {
		return nil, err
	}
	seed, err := seal.NewDeviceSeed(rand.Reader)
	if err != nil {
		return nil, err
	}
	e, err := agent.Enter(ctx, agent.GuestConfig{
		Config: agent.Config{CloudURL: cfg.Cloud, AllowPlain: cfg.AllowPlain, Pins: pins, Rand: rand.Reader},
		Code:   code, Seed: seed, Name: cfg.Name,
	}, func(check string) {
		fmt.Fprintf(a.stderr, "The check code is  %s\nSay yes on the other device only if it shows the same.\n", check)
	})
	if ctx.Err() != nil && err != nil {
		return nil, &Error{Op: "join", Cause: errors.New("interrupted"), Hint: "nothing was changed; ask the other device for a new code to begin again"}
	}
	if err != nil {
		return nil, explainInvite("join", err)
	}
	if err := a.takeAddress(cfg, e.Address); err != nil {
		e.Close()
		return nil, err
	}
	if e.Admission != (syncproto.Admission{}) {
		cfg.Admission = hex.EncodeToString(e.Admission[:])
	}
	if len(cfg.Pins) == 0 && len(e.Pins) > 0 {
		for _, p := range e.Pins {
			cfg.Pins = append(cfg.Pins, p.String())
		}
		fmt.Fprintln(a.stderr, "sidekeep: the other device knows the cloud by a pinned key; this one does, too, from now on")
	}
	return e, nil
}

// takeAddress puts the address that the other device has for the cloud into the
// configuration: that one is known to be the cloud's, what was typed here only led
// to a mailbox. A loopback address means nothing on another machine.
func (a *app) takeAddress(cfg *config, address string) error {
	u, err := url.Parse(address)
	if err == nil && loopback(u.Hostname()) || address == cfg.Cloud {
		return nil
	}
	cloud, err := cloudURL(address, cfg.AllowPlain)
	if err != nil {
		return &Error{Op: "join", Object: address, Code: ExitRefused, Cause: errors.New("the other device has an address of the cloud that can not be used here"),
			Hint: "begin again with --allow-plain, after reading in --help what it risks, or give the other device a wss:// address"}
	}
	fmt.Fprintf(a.stderr, "sidekeep: the other device knows the cloud as %s; using that\n", escape(cloud))
	cfg.Cloud = cloud
	return nil
}
