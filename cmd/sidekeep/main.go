// Command sidekeep keeps a full copy of a person's contacts, events, notes,
// tasks and pictures on this device and syncs it with a cloud that can not read
// it. Run `sidekeep help` for the commands; their code is in cmd/internal/cli.
package main

import (
	"os"

	"sidekeep/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
