// Command sidekeep-cloud is the cloud's side of sidekeep. See its --help.
package main

import (
	"os"

	"sidekeep/cmd/internal/cloud/cloudcmd"
)

func main() { os.Exit(cloudcmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
