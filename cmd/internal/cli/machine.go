package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// machineID names this hardware and installation, so that a store that wakes on
// another machine (an image of one handset written to a second) notices. It is a
// hash of what every user of the machine can read and what stays through
// reboots and updates: the installation's machine id, the board's serial number,
// the id of built-in (not removable) flash. It is "" if there is none of them.
func machineID() string {
	parts := []string{"/etc/machine-id", "/proc/device-tree/serial-number"}
	types, _ := filepath.Glob("/sys/block/mmcblk*/device/type")
	for _, t := range types {
		if readTrimmed(t) == "MMC" {
			parts = append(parts, filepath.Join(filepath.Dir(t), "cid"))
		}
	}
	h := sha256.New()
	some := false
	for _, p := range parts {
		text := readTrimmed(p)
		some = some || text != ""
		h.Write([]byte(text + "\x00"))
	}
	if !some {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

func readTrimmed(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.Trim(string(b), "\x00 \n")
}
