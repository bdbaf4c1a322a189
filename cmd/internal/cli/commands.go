package cli

import "github.com/spf13/cobra"

// commands lists every command.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.initCommand(),
		a.joinCommand(),
		a.runCommand(),
		a.syncCommand(),
		a.statusCommand(),
		a.importCommand(),
		a.exportCommand(),
		a.listCommand(),
		a.showCommand(),
		a.addCommand(),
		a.setCommand(),
		a.rmCommand(),
		a.undeleteCommand(),
		a.searchCommand(),
		a.conflictsCommand(),
		a.heldCommand(),
		a.historyCommand(),
		a.rollbackCommand(),
		a.devicesCommand(),
		a.verifyCommand(),
		a.backupCommand(),
		a.restoreCommand(),
		a.admissionCommand(),
		a.wordsCommand(),
		a.rekeyCommand(),
		a.versionCommand(),
		exitCodesTopic(),
	}
}

// exitCodesTopic is a help topic, not a command: it has nothing to run.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesHelp}
}
