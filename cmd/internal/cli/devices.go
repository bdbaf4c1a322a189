package cli

import "github.com/spf13/cobra"

func (a *app) devicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "devices",
		GroupID: "device",
		Short:   "Invite devices to the account",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.inviteCommand())
	return cmd
}
