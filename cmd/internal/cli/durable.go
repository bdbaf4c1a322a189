package cli

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// writeDurably replaces the file at path by what write produces: written beside
// it, fsynced, renamed over it, and the folder fsynced. Whoever reads path, also
// after a power cut, finds the old file or the whole new one. The file gets mode
// 0600; if write fails nothing is left behind.
func writeDurably(path string, write func(io.Writer) error) error {
	if err := replace(path, write, true); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeWhole is writeDurably without the fsyncs, for many files that are synced
// together at the end.
func writeWhole(path string, write func(io.Writer) error) error {
	return replace(path, write, false)
}

func replace(path string, write func(io.Writer) error, sync bool) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".sidekeep-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 64<<10)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncDir makes creations, renames and removals in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
