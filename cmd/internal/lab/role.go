package lab

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

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
	roleDate    = "date"  // prints the seconds since 1970, to see what clock a process has
	roleLiar    = "hostile-cloud"
)

// actRole runs the command that the environment names, if any.
func actRole(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, ok bool) {
	if clock := os.Getenv(clockVariable); clock != "" {
		if err := bendClock(clock); err != nil {
			fmt.Fprintln(stderr, "sidekeep-lab: give this process a clock of its own:", err)
			return 1, true
		}
	}
	switch os.Getenv(roleVariable) {
	case roleHandset:
		return cli.Main(args, stdin, stdout, stderr), true
	case roleCloud:
		return cloudcmd.Main(args, stdin, stdout, stderr), true
	case roleFloor:
		return floorMain(stdout, stderr), true
	case roleFleet:
		return fleetMain(args, stdout, stderr), true
	case roleLiar:
		return liarMain(args, stderr), true
	case roleDate:
		fmt.Fprintln(stdout, time.Now().Unix())
		return 0, true
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
