// Package cli is the command line of sidekeep: it parses arguments, opens the
// home folder, calls localstore, localstore/pim and agent, and prints what they
// answer for people (tables, progress) or for programs (--json).
//
// It owns the layout of the home folder (home.go), the exit codes (exit.go) and
// the shapes of --json output (shape.go). It decides nothing about data: every
// rule about merging, sealing or syncing lives in the packages below.
//
// Main runs one command and returns its exit code. It sets the umask and
// catches SIGINT and SIGTERM, both of which belong to the whole process, so one
// process calls Main once.
//
// Everything that is printed for people passes through escape.go first: a card
// that was made to harm can carry terminal control sequences in a name.
//
// Start reading at Main (main.go), then home.go, then the command you care
// about: one file a command.
package cli
