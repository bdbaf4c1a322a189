package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) wordsCommand() *cobra.Command {
	var backupKey bool
	cmd := &cobra.Command{
		Use:     "words --backup-key",
		GroupID: "care",
		Short:   "Print the passphrase of this account's back-ups",
		Long: `words --backup-key prints the passphrase with which stock age opens the back-ups
of this account: 'age -d FILE > sidekeep.db' asks for it. It follows from the 24
words and is the same on every device. Whoever has it can read every back-up of
the account; it lets nobody join or sync.

The 24 words themselves can not be printed: no device keeps them.`,
		Example: "  sidekeep words --backup-key",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !backupKey {
				return &Error{Op: "print the words", Cause: fmt.Errorf("they were shown once, at init, and no device keeps them"),
					Hint: "'sidekeep words --backup-key' prints the passphrase of back-ups", Code: ExitUsage}
			}
			h, err := a.openHome()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, h.identity.Keys().BackupPassphrase())
			return err
		},
	}
	cmd.Flags().BoolVar(&backupKey, "backup-key", false, "print the passphrase of the account's back-ups")
	return cmd
}
