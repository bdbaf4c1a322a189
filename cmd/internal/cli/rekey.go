package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/localstore"
	"sidekeep/syncproto/seal"
)

// rekeyJSON is what rekey prints with --json; the words come before the switch.
type rekeyJSON struct {
	madeHome
	Replaced string `json:"replaced"` // the account id from before
}

func (a *app) rekeyCommand() *cobra.Command {
	var missing bool
	cmd := &cobra.Command{
		Use:     "rekey",
		GroupID: "care",
		Short:   "Replace the account's keys: new words, a new account, the same data",
		Long: `rekey is for when somebody else has, or may have, the keys of this account: a
lost device that was not locked, words that were seen. It makes a new account
with new words, and writes all that is on this device under its keys: the same
records with the same ids and history of edits. The new words are shown once.

Sync all devices first if you can: what only they have comes over with them, but
pieces of pictures that are not here keep rekey from going on, unless you give
--missing. End 'sidekeep run', and close programs that use the database: they
can not write into the old one any more.

Then:
  1. 'sidekeep sync' here uploads everything once. A cloud that admits accounts
     by a token wants a new one for the new account.
  2. On each other device that you trust: 'sidekeep join --code - --keep-data',
     with a code of 'sidekeep devices invite' here. It keeps what it has, too.
     If the cloud can be reached, their 'sidekeep status' says that it is time;
     nobody follows by itself.

What was before, the old keys included, is kept in folders replaced-TIME in the
home and data folder; delete them when all is well. The sealed data of the old
account stay at the cloud: who has the old keys and what the cloud stores can
read them as they were. Rollback does not reach behind a rekey.

With --json it prints {"home", "account", "device", "words", "replaced"}.`,
		Example: "  sidekeep sync; sidekeep rekey",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.rekey(cmd.Context(), missing) },
	}
	cmd.Flags().BoolVar(&missing, "missing", false, "go on though pieces of pictures are not on this device")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) rekey(ctx context.Context, missing bool) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	if h.lock, err = takeLock(h.dir, "rekey"); err != nil {
		return lockError(h, err)
	}
	defer h.lock.release()
	secret, id, err := a.newAccount()
	if err != nil {
		return err
	}
	cfg := h.config
	cfg.Create, cfg.Admission = true, "" // the token was the old account's
	shown := false
	_, err = a.replaceKeys(ctx, h, id, cfg, localstore.RekeyOptions{Missing: missing}, func() error {
		// As in init: words without an account can be thrown away, an account
		// whose words nobody has seen can not be joined.
		shown = true
		return a.printRekeyed(h, id, secret)
	})
	if err != nil && shown {
		return &Error{Op: "rekey", Cause: err, Hint: "the words above mean nothing, unless 'sidekeep status' shows the account with them; run rekey again"}
	}
	if err == nil {
		a.tellMoved(ctx, h)
	}
	return err
}

// movedWait is how long rekey tries to tell the other devices.
const movedWait = 10 * time.Second

// tellMoved leaves word in the account that h was of, for its other devices.
func (a *app) tellMoved(ctx context.Context, h *home) {
	ctx, cancel := context.WithTimeout(ctx, movedWait)
	defer cancel()
	moved := seal.SignMoved(ed25519.NewKeyFromSeed(h.identity.Seed[:]), h.identity.Account, uint64(max(time.Now().Unix(), 0)))
	cfg := h.agentConfig(nil, "", nil)
	cfg.Rand = rand.Reader
	err := agent.Tell(ctx, cfg, append(seal.StatementsOf(h.identity.Chain), seal.Statement{Moved: &moved})...)
	switch {
	case err == nil:
		fmt.Fprintln(a.stderr, "sidekeep: the other devices hear of it when they next sync")
	case !errors.Is(err, agent.ErrUnknownAccount): // one that never synced has no other devices
		fmt.Fprintf(a.stderr, "sidekeep: the other devices could not be told: %s; tell whoever has them\n", escape(err.Error()))
	}
}

// movedText says that the account's data got new keys, and what to do.
func movedText(m *agent.Move) string {
	by := "the words"
	if m.By != "" {
		by = fmt.Sprintf("device %.*s", idDigits, m.By)
	}
	return fmt.Sprintf("%s gave all data new keys, in another account, on %s ('sidekeep devices' shows whose that is); to follow, "+
		"'sidekeep devices invite' there and 'sidekeep join --code - --keep-data' here", by, m.At.Local().Format(time.DateTime))
}

// replaceKeys puts everything of a home under the keys of id. before is called
// when all is made and proven, right before the switch. The caller has the lock.
func (a *app) replaceKeys(ctx context.Context, h *home, id *seal.Identity, cfg config, o localstore.RekeyOptions, before func() error) (localstore.Rekeyed, error) {
	data, err := stageRekey(h, id, cfg)
	if err != nil {
		return localstore.Rekeyed{}, &Error{Op: "rekey", Cause: err, Hint: "nothing was changed"}
	}
	defer abandonRekey(h)
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return localstore.Rekeyed{}, err
	}
	o.Store = storeOptions(&home{dir: h.dir, config: cfg, identity: id}, nil)
	o.Commit = func() error {
		if err := before(); err != nil {
			return err
		}
		return switchRekey(h)
	}
	report, err := s.Rekey(ctx, data, o)
	if cerr := s.Close(); err == nil && cerr != nil {
		err = cerr
	}
	if err == nil || exists(filepath.Join(h.dir, rekeyedDir)) {
		err = errors.Join(err, finishRekey(h.dir))
	}
	switch {
	case errors.Is(err, localstore.ErrUndecided):
		return report, &Error{Cause: err, Code: ExitHeld, Hint: "look at 'sidekeep held' and accept or reject, or run 'sidekeep sync' if there is nothing; nothing was changed"}
	case errors.Is(err, localstore.ErrIncomplete):
		return report, &Error{Cause: err, Code: ExitNotInSync, Hint: "run 'sidekeep sync' first, or go on without them with --missing; nothing was changed"}
	case err != nil:
		return report, explain("rekey", err)
	}
	return report, nil
}

func (a *app) printRekeyed(h *home, id *seal.Identity, secret seal.Secret) error {
	if a.json {
		return a.printJSON(rekeyJSON{madeHome{Home: h.dir, Account: id.Account.String(), Device: id.Device().String(), Words: secret.Words()}, h.identity.Account.String()})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "home     %s\naccount  %s\ndevice   %s\nbefore   %s\n\n", escape(h.dir), id.Account, id.Device(), h.identity.Account)
	writeWords(&b, secret)
	b.WriteString("The words from before are those of the old account, and open nothing that is written from now on.\n" +
		"Next: 'sidekeep sync' here, then 'sidekeep devices invite' here and 'sidekeep join --code - --keep-data'\n" +
		"on each other device that you trust. The old account's sealed data stay at the cloud.\n")
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// takeOver is join by a code in a home that has an account and data: the account
// that replaced its own.
func (a *app) takeOver(ctx context.Context, cfg config, codeFile string) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	if h.lock, err = takeLock(h.dir, "join"); err != nil {
		return lockError(h, err)
	}
	defer h.lock.release()
	next := h.config
	next.Cloud, next.AllowPlain, next.Create, next.Admission = cfg.Cloud, cfg.AllowPlain || h.config.AllowPlain, false, cfg.Admission
	if cfg.Name != "" {
		next.Name = cfg.Name
	}
	if len(cfg.Pins) > 0 {
		next.Pins = cfg.Pins
	}
	e, err := a.enter(ctx, &next, codeFile)
	if err != nil {
		return err
	}
	defer e.Close()
	if e.Identity.Account == h.identity.Account {
		return &Error{Op: "join", Object: h.dir, Code: ExitRefused, Cause: errors.New("this home is a device of that account already")}
	}
	report, err := a.replaceKeys(ctx, h, e.Identity, next, localstore.RekeyOptions{Leave: true}, func() error { return nil })
	if err != nil {
		return err
	}
	a.taken(ctx, e)
	if !a.json && report.Left > 0 {
		fmt.Fprintf(a.stderr, "sidekeep: %s of which pieces were not here come from the cloud\n", count(report.Left, "record"))
	}
	return a.printJoined(h.dir, e.Identity)
}
