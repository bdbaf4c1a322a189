package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// disk is a small file system of its own in memory.
type disk struct {
	path string
	size int // MiB
}

// smallDisk mounts an empty disk at path, until the bench is closed. That takes
// root.
func (b *bench) smallDisk(path string, size int) (*disk, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	d := &disk{path: path, size: size}
	if err := d.mount(0); err != nil {
		return nil, err
	}
	b.disks = append(b.disks, d)
	return d, nil
}

func (d *disk) mount(flags uintptr) error {
	options := fmt.Sprintf("size=%dm,mode=0700", d.size)
	err := syscall.Mount("tmpfs", d.path, "tmpfs", flags, options)
	// A file that was just closed may keep the disk busy for a moment.
	for end := time.Now().Add(mountWait); errors.Is(err, syscall.EBUSY) && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		err = syscall.Mount("tmpfs", d.path, "tmpfs", flags, options)
	}
	if err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	return nil
}

// mountWait is how long a disk may be busy.
const mountWait = 10 * time.Second

// readOnly makes the disk refuse writes, or take them again. Nothing on it may be
// open for writing.
func (d *disk) readOnly(yes bool) error {
	flags := uintptr(syscall.MS_REMOUNT)
	if yes {
		flags |= syscall.MS_RDONLY
	}
	return d.mount(flags)
}

func (d *disk) ballast() string { return filepath.Join(d.path, "ballast") }

// leave fills the disk until so many bytes are free.
func (d *disk) leave(free int64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.path, &st); err != nil {
		return err
	}
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	piece := make([]byte, st.Bsize)
	for have := int64(st.Bavail) * int64(st.Bsize); have > free; have -= int64(len(piece)) {
		if _, err := f.Write(piece); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return nil
			}
			return err
		}
	}
	return nil
}

// clear makes room again.
func (d *disk) clear() error { return os.Truncate(d.ballast(), 0) }

func (d *disk) unmount() error { return syscall.Unmount(d.path, syscall.MNT_DETACH) }
