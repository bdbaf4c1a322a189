//go:build !linux || !amd64

package lab

import "errors"

// bendClock would give this process a wall clock of its own.
func bendClock(string) error {
	return errors.New("a process can have a clock of its own on Linux with amd64 only")
}
