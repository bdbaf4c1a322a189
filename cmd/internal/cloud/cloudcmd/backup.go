package cloudcmd

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sidekeep/cmd/internal/cloudstore/sqlitestore"
)

func backupCommand() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup DIR --data DATA",
		Short: "Write a back-up, and prove it",
		Long: `backup writes everything in DATA, as of one moment, into the new folder DIR. A
server may serve meanwhile. It says done only after it opened what it wrote,
verified every row and compared the digests of all accounts. The back-up is as
blind as the cloud: it holds sealed data, and whoever has it reads nothing.` + exitHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return fmt.Errorf("%w: --data is required", errUsage)
			}
			m, err := sqlitestore.Backup(cmd.Context(), data, args[0])
			if errors.Is(err, os.ErrNotExist) {
				return hinted{err, "there is no cloud's data in this folder"}
			}
			if err != nil {
				return err
			}
			return printManifest(cmd, m, "backed up and verified", asJSON)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder of the cloud's data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func restoreCommand() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore DIR --data NEW",
		Short: "Make a new data folder of a back-up",
		Long: `restore verifies the back-up in DIR, and makes the new folder NEW of it, from which
serve starts in another epoch: devices compare everything, and give back what
they have since. A damaged back-up is refused before anything is written.` + exitHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return fmt.Errorf("%w: --data is required", errUsage)
			}
			m, err := sqlitestore.Restore(cmd.Context(), args[0], data)
			if err != nil {
				return err
			}
			return printManifest(cmd, m, "verified and restored", asJSON)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder to be made")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printManifest(cmd *cobra.Command, m sqlitestore.Manifest, done string, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), m)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d accounts, %d versions, %d chunks, %d bytes, sha256 %s\n",
		done, len(m.Accounts), m.Versions, m.Chunks, m.Bytes, m.SHA256)
	return err
}
