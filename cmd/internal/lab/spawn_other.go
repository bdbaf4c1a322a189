//go:build !linux

package lab

import "syscall"

// attributes are only needed, and only exist, on Linux.
func attributes() *syscall.SysProcAttr { return nil }
