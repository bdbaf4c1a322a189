// Package lab proves sidekeep on real processes: it starts handsets and clouds,
// breaks them, and counts what is left. Its commands are those of sidekeep-lab.
//
// The lab's own executable plays every role: started again with the variable
// SIDEKEEP_LAB_ROLE it is sidekeep or sidekeep-cloud, with the very main
// functions of those commands, or a hostile cloud before a real one (liar.go). A
// process may have a wall clock of its own (wallclock.go), a folder a small disk
// of its own (disk_linux.go). What it knows of a handset or a cloud it learns
// as any program would: from their output, their exit codes and their files.
//
// Start reading at Main (main.go), then Outage (outage.go). Nothing here is
// meant to be imported by anything but cmd/sidekeep-lab and tests.
package lab
