package cloudcmd

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"sidekeep/cmd/internal/cloud"
	"sidekeep/syncproto/seal"
)

// admitted is what admit prints with --json, one for each account.
type admitted struct {
	Account string `json:"account"`
	Token   string `json:"token"` // 32 hex digits
}

func admitCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "admit --admit-key FILE ACCOUNT...",
		Short: "Print the admission token of an account",
		Long: `admit prints the token that admits an account (the id that 'sidekeep init' and
'sidekeep status' print) to a server with the same --admit-key. Each device of
the account is told it once: 'sidekeep admission TOKEN', or --admission at init,
join and restore. It is a password for the room on this cloud; it opens nothing.

Tokens are computed from the key file and the account alone. They are stored
nowhere, and hold when the data folder is lost: keep a copy of the key file
somewhere else. It is made, for its owner only, if it does not exist. Another
key file ends all tokens.

With --json it prints {"account", "token"}, one line each.` + exitHelp,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return admit(cmd, path, args, asJSON) },
	}
	cmd.Flags().StringVar(&path, "admit-key", "", "key file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func admit(cmd *cobra.Command, path string, args []string, asJSON bool) error {
	if path == "" {
		return fmt.Errorf("%w: --admit-key is required", errUsage)
	}
	accounts := make([]seal.Account, len(args))
	for i, arg := range args {
		var err error
		if accounts[i], err = seal.ParseAccount(arg); err != nil {
			return fmt.Errorf("%w: account %d: %w", errUsage, i+1, err)
		}
	}
	key, made, err := cloud.MakeAdmitKey(path, rand.Reader)
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintf(cmd.ErrOrStderr(), "made %s; keep a copy of it outside this machine\n", path)
	}
	for _, account := range accounts {
		token := key.Token(account)
		a := admitted{account.String(), hex.EncodeToString(token[:])}
		if asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(a)
		} else if len(accounts) == 1 {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), a.Token)
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), a.Account, a.Token)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
