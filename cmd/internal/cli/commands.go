package cli

import "github.com/spf13/cobra"

// commands lists every command, in the order that help shows them.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.initCommand(),
		a.joinCommand(),
		a.versionCommand(),
		exitCodesTopic(),
	}
}

// exitCodesTopic is a help topic, not a command: it has nothing to run.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesHelp}
}
