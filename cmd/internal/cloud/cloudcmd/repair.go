package cloudcmd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

const hintRepairs = "sets the damage aside, keeps it, and carries over what opens; devices give back the rest when they connect"

// repaired is what verify --repair prints with --json.
type repaired struct {
	Verified cloudstore.Verified   `json:"verified"` // after the repair
	Problems []cloudstore.Problem  `json:"problems"` // found and mended
	Salvaged *sqlitestore.Salvaged `json:"salvaged,omitempty"`
	Left     []cloudstore.Problem  `json:"left"` // found after the repair
}

// repair mends a store that no server has open.
func repair(ctx context.Context, dir string) (r repaired, err error) {
	r.Problems, r.Left = []cloudstore.Problem{}, []cloudstore.Problem{}
	if _, err := os.Stat(dir); err != nil {
		return r, hinted{err, "there is no cloud's data in this folder"}
	}
	unlock, err := lock(dir)
	if err != nil {
		return r, err
	}
	defer unlock()
	opt := sqlitestore.Options{Rand: rand.Reader}
	salvage := func(why string) error {
		r.Problems = append(r.Problems, cloudstore.Problem{What: why})
		got, err := sqlitestore.Salvage(ctx, dir, opt)
		r.Salvaged = &got
		return err
	}
	if sound, err := checkPages(ctx, dir); err != nil {
		return r, err
	} else if sound != "" {
		if err := salvage(sound); err != nil {
			return r, err
		}
	}
	err = mend(ctx, dir, opt, &r)
	if errors.Is(err, sqlitestore.ErrDamaged) && r.Salvaged == nil {
		if err := salvage(err.Error()); err != nil {
			return r, err
		}
		err = mend(ctx, dir, opt, &r)
	}
	if err == nil && len(r.Left) > 0 && r.Salvaged == nil {
		// What can not be mended in its place is left behind.
		left := r.Left[0].What
		r.Left = []cloudstore.Problem{}
		if err := salvage(left); err != nil {
			return r, err
		}
		err = mend(ctx, dir, opt, &r)
	}
	return r, err
}

// checkPages returns what SQLite itself finds wrong first, or "".
func checkPages(ctx context.Context, dir string) (string, error) {
	store, err := sqlitestore.Open(ctx, dir, sqlitestore.Options{ReadOnly: true})
	switch {
	case errors.Is(err, sqlitestore.ErrDamaged):
		return err.Error(), nil
	case errors.Is(err, sqlitestore.ErrOlder), errors.Is(err, os.ErrNotExist):
		if _, serr := os.Stat(filepath.Join(dir, sqlitestore.FileName)); serr == nil {
			return "", nil
		}
		return "", hinted{err, "there is no cloud's data in this folder"}
	case err != nil:
		return "", err
	}
	defer store.Close()
	what, err := store.CheckPages(ctx)
	return what, err
}

// mend repairs account by account, then verifies.
func mend(ctx context.Context, dir string, opt sqlitestore.Options, r *repaired) error {
	store, err := sqlitestore.Open(ctx, dir, opt)
	if err != nil {
		return err
	}
	defer store.Close()
	accounts, err := store.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		_, err := store.Repair(ctx, a, func(int) error { return ctx.Err() }, func(p cloudstore.Problem) { r.Problems = append(r.Problems, p) })
		if err != nil {
			return err
		}
	}
	r.Verified, err = store.Verify(ctx, func(p cloudstore.Problem) { r.Left = append(r.Left, p) })
	return err
}

func verifyAndRepair(cmd *cobra.Command, data string, asJSON bool) error {
	r, err := repair(cmd.Context(), data)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if asJSON {
		err = printJSON(w, r)
	} else {
		err = printRepaired(w, r)
	}
	if err == nil && len(r.Left) > 0 {
		return fmt.Errorf("%w: %d problems are left", errDamaged, len(r.Left))
	}
	return err
}

func printRepaired(w io.Writer, r repaired) error {
	for _, p := range r.Problems {
		fmt.Fprintf(w, "mended: %s: %s\n", placeOf(p), p.What)
	}
	if r.Salvaged != nil {
		rows, err := json.Marshal(r.Salvaged.Rows)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "the damaged files are in %s; carried over: %s\n", r.Salvaged.Aside, rows)
	}
	return printVerified(w, r.Verified, r.Left, false)
}

func restoringCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "restoring ACCOUNT|all KIND on|off --data DIR",
		Short: "Declare that a kind is not complete yet",
		Long: `restoring declares a kind of one account, or of all, as "not yet complete" while
an operator brings data back, and later as complete again. Devices are told at
once, also by a running server: meanwhile they neither read the kind nor compare it nor call
it in sync, and say so in their status; their edits still go up.` + exitHelp,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := record.Kind(args[1])
			if !kind.Valid() {
				return fmt.Errorf("%w: %q is not a kind", errUsage, args[1])
			}
			if args[2] != "on" && args[2] != "off" {
				return fmt.Errorf("%w: %q is neither on nor off", errUsage, args[2])
			}
			if data == "" {
				return fmt.Errorf("%w: --data is required", errUsage)
			}
			var account *seal.Account
			if args[0] != "all" {
				a, err := seal.ParseAccount(args[0])
				if err != nil {
					return fmt.Errorf("%w: account: %w", errUsage, err)
				}
				account = &a
			}
			err := sqlitestore.SetRestoring(cmd.Context(), data, account, kind, args[2] == "on")
			if errors.Is(err, sqlitestore.ErrUnknownKind) {
				err = fmt.Errorf("%w: %w", errUsage, err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder of the cloud's data")
	return cmd
}
