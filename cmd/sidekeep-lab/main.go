// Command sidekeep-lab breaks handsets and clouds and counts what is left.
package main

import (
	"os"

	"sidekeep/cmd/internal/lab"
)

func main() { os.Exit(lab.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
