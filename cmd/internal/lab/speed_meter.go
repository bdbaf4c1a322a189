package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tracer is the command that a process is started with to have its fsyncs
// counted; nil if there is none. The process keeps its id and its parent.
func tracer() []string {
	args := []string{"strace", "-D", "-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o"}
	probe := exec.Command(args[0], append(args[1:], os.DevNull, "true")...)
	if probe.Run() != nil {
		return nil
	}
	return args
}

// fsyncs counts what a tracer wrote down.
func fsyncs(file string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	return int64(bytes.Count(b, []byte("sync(")))
}

// usage is what a command that has ended had spent.
type usage struct {
	seconds, cpu float64
	rss, own     int64 // peaks: all resident memory, and what is no page of a file
	fsyncs       int64
}

func (u *usage) add(o usage) {
	u.seconds, u.cpu, u.fsyncs = u.seconds+o.seconds, u.cpu+o.cpu, u.fsyncs+o.fsyncs
	u.rss, u.own = max(u.rss, o.rss), max(u.own, o.own)
}

// memoryEvery is how often a command is asked for its memory while it runs; more
// often would take a part of the processors that it is measured on.
const memoryEvery = 10 * time.Millisecond

// spend runs a sidekeep command of h to its end, however long that takes.
func (h *handset) spend(ctx context.Context, args ...string) (usage, error) {
	var out bytes.Buffer
	cmd, trace := h.b.command(ctx, roleHandset, h.name, append([]string{"--home", h.home}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = roleEnvironment(roleHandset), &out, &out
	begun := time.Now()
	if err := h.b.spawn(cmd); err != nil {
		return usage{}, err
	}
	// The kernel's figure of an ended process counts its parent's memory, too,
	// from before it became another program: so it is read while it runs.
	done, peak := make(chan struct{}), make(chan [2]int64)
	go func() {
		var rss, own int64
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(memoryEvery):
			}
			m := meter{&process{cmd: cmd}}
			rss, own = max(rss, m.rss()), max(own, m.own())
		}
		peak <- [2]int64{rss, own}
	}()
	err := cmd.Wait()
	u := usage{seconds: time.Since(begun).Seconds()}
	close(done)
	memory := <-peak
	u.rss, u.own = memory[0], memory[1]
	if err != nil {
		return u, fmt.Errorf("%s: %s: %w: %s", h.name, strings.Join(args, " "), err, lastOf(out.String()))
	}
	u.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if trace != "" {
		u.fsyncs = fsyncs(trace)
	}
	return u, nil
}

func lastOf(text string) string { return text[max(0, len(text)-500):] }

// meter reads what a running process has spent, from /proc. Where there is
// none, all is 0.
type meter struct{ p *process }

// cpu is the processor time so far, in seconds.
func (m meter) cpu() float64 { return cpuOf(m.p.cmd.Process.Pid) }

func cpuOf(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // USER_HZ, which is 100 on every Linux that Go runs on
}

// resetRSS makes peak count from now.
func (m meter) resetRSS() {
	// Without the right to do so, peak is the process's whole life.
	os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.p.cmd.Process.Pid), []byte("5"), 0)
}

// rss is the largest resident memory since resetRSS, in bytes.
func (m meter) rss() int64 { return m.status("VmHWM") }

// own is the resident memory that is no page of a file, in bytes: the rest the
// system can take back and read again.
func (m meter) own() int64 { return m.status("RssAnon") }

func (m meter) status(field string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "\n"+field+":")
	value, _, _ := strings.Cut(rest, " kB\n")
	kilobytes, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	return kilobytes * 1024
}

func (m meter) fsyncs() int64 {
	if m.p.trace == "" {
		return 0
	}
	time.Sleep(50 * time.Millisecond) // the tracer writes from another process
	return fsyncs(m.p.trace)
}

// diskBytes is the size of all files in a folder.
func diskBytes(folder string) (n int64) {
	filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a file that is gone needs no place
		}
		info, err := d.Info()
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	return n
}
