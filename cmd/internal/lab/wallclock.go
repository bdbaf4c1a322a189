package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockVariable names the file by which the wall clock of a started copy of the
// lab's executable is wrong.
const clockVariable = "SIDEKEEP_LAB_CLOCK"

// wallClock is a wall clock of the processes of one handset or cloud. The
// commands know nothing of it: the clock of their process is another.
type wallClock struct{ path string }

// wallClock makes a clock that is right.
func (b *bench) wallClock(name string) (*wallClock, error) {
	c := &wallClock{b.path(name + ".clock")}
	return c, c.shift(0)
}

// env is what a process needs in its environment to have this clock.
func (c *wallClock) env() string { return clockVariable + "=" + c.path }

// set makes the clock say t now, and go on from there, in processes that run, too.
func (c *wallClock) set(t time.Time) error { return c.shift(t.Unix() - time.Now().Unix()) }

// shift sets the seconds that are added to the machine's clock. The file is
// written in place: it is mapped.
func (c *wallClock) shift(seconds int64) error {
	f, err := os.OpenFile(c.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(binary.LittleEndian.AppendUint64(nil, uint64(seconds)))
	return err
}

// clocksBend reports why processes can not have clocks of their own here, after
// having tried it; nil if they can.
func (b *bench) clocksBend(ctx context.Context) error {
	c, err := b.wallClock("trial")
	if err != nil {
		return err
	}
	want := time.Unix(1<<31, 0) // one second beyond 32 bits
	if err := c.set(want); err != nil {
		return err
	}
	out, err := b.runWith(ctx, []string{c.env()}, roleDate)
	if err != nil {
		return err
	}
	got, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return err
	}
	if off := got - want.Unix(); off < 0 || off > 60 {
		return fmt.Errorf("a process whose clock was set to %d read %d", want.Unix(), got)
	}
	return nil
}
