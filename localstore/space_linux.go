package localstore

import (
	"fmt"
	"path/filepath"
	"syscall"
)

// FreeBytes returns the space that this user may still fill on the file system
// of the database.
func (s *Store) FreeBytes() (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(s.path), &st); err != nil {
		return 0, fmt.Errorf("look at the space left: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
