package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile is the agent's lock: at most one process syncs a home at a time.
const lockFile = "agent.lock"

// lock is a held agent lock. The kernel gives it up when the process ends,
// however it ends; the file stays and means nothing by itself.
type lock struct{ f *os.File }

// lockedError says who holds a lock.
type lockedError struct {
	pid  int // 0 if the holder has not written it yet
	what string
}

func (e *lockedError) Error() string {
	if e.pid == 0 {
		return "another process is using it"
	}
	return fmt.Sprintf("'sidekeep %s' with process id %d is using it", e.what, e.pid)
}

// takeLock takes the agent lock of the home folder dir for the command what, or
// returns a lockedError that tells who has it.
func takeLock(dir, what string) (*lock, error) {
	return takeLockFile(filepath.Join(dir, lockFile), what)
}

// takeLockFile is takeLock for any file.
func takeLockFile(path, what string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		text, _ := io.ReadAll(io.LimitReader(f, 64))
		pid, cmd, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		n, _ := strconv.Atoi(pid)
		return nil, &lockedError{pid: n, what: cmd}
	}
	text := fmt.Appendf(nil, "%d %s\n", os.Getpid(), what)
	err = errors.Join(f.Truncate(0), writeAt(f, text))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return &lock{f}, nil
}

func writeAt(f *os.File, p []byte) error {
	_, err := f.WriteAt(p, 0)
	return err
}

// release gives the lock up.
func (l *lock) release() error {
	return errors.Join(l.f.Truncate(0), l.f.Close())
}
