//go:build linux

package cli

import (
	"bytes"
	"strings"
	"testing"
)

// TestLockOnAFullDisk: a lock that can not be written is nobody's; the disk is full.
func TestLockOnAFullDisk(t *testing.T) {
	_, err := takeLockFile("/dev/full", "backup")
	if err == nil {
		t.Fatal("written to a full disk")
	}
	var b bytes.Buffer
	printError(&b, lockError(&home{dir: "home"}, err))
	if got := b.String(); !strings.Contains(got, "sidekeep: use home home: lock /dev/full") || !strings.Contains(got, "hint: the disk is full: make some space") {
		t.Error(got)
	}
}
