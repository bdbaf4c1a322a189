package lab

import "syscall"

// attributes keep a started process out of reach of the terminal's Ctrl-C,
// which is the lab's to handle, and end it should the lab itself be killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
