package lab

import (
	"io"
	"os"
	"strings"

	"sidekeep/cmd/internal/cli"
	"sidekeep/cmd/internal/cloud/cloudcmd"
)

// roleVariable tells a started copy of the lab's executable which command it is.
const roleVariable = "SIDEKEEP_LAB_ROLE"

const (
	roleHandset = "sidekeep"
	roleCloud   = "sidekeep-cloud"
	roleFloor   = "floor" // the other end of the bare websocket that bench measures
	roleFleet   = "fleet" // the handsets of the fleet that bench measures
)

// actRole runs the command that the environment names, if any.
func actRole(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, ok bool) {
	switch os.Getenv(roleVariable) {
	case roleHandset:
		return cli.Main(args, stdin, stdout, stderr), true
	case roleCloud:
		return cloudcmd.Main(args, stdin, stdout, stderr), true
	case roleFloor:
		return floorMain(stdout, stderr), true
	case roleFleet:
		return fleetMain(args, stdout, stderr), true
	}
	return 0, false
}

// roleEnvironment is this process's environment for a copy in another role,
// without anything that would change where sidekeep keeps its data.
func roleEnvironment(role string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SIDEKEEP_") {
			env = append(env, v)
		}
	}
	return append(env, roleVariable+"="+role)
}
