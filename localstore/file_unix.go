//go:build unix

package localstore

import (
	"fmt"
	"os"
	"syscall"
)

// fileIdentity names the file itself: a restored or copied one has another
// inode. The file is not opened: closing it would drop SQLite's locks.
func fileIdentity(path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("identify the database: %w", err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("inode %d", st.Ino), nil
	}
	return "", nil
}
