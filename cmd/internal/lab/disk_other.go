//go:build !linux

package lab

import "errors"

var errNoDisk = errors.New("a small disk can be mounted on Linux only")

// disk would be a small file system of its own.
type disk struct{}

func (b *bench) smallDisk(string, int) (*disk, error) { return nil, errNoDisk }
func (d *disk) readOnly(bool) error                   { return errNoDisk }
func (d *disk) leave(int64) error                     { return errNoDisk }
func (d *disk) clear() error                          { return errNoDisk }
func (d *disk) unmount() error                        { return errNoDisk }
