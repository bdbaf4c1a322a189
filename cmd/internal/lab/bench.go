package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long the lab waits before it calls something stuck.
const (
	commandLimit = 30 * time.Second // for a command that does one thing and ends
	stopLimit    = 10 * time.Second // for a process asked to end
)

// bench is a folder and the processes that run in it. Close ends all of them.
type bench struct {
	dir  string
	exe  string
	fork chan func()

	device string   // the handsets' program; "": exe
	trace  []string // command before every process that is measured; its last argument, a file, is left out
	traces int      // such files so far
	disks  []*disk  // mounted below dir

	mu    sync.Mutex
	procs []*process
}

// newBench makes a bench in a new folder of the system's temporary folder.
func newBench(name string) (*bench, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the lab's own program: %w", err)
	}
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, exe: exe, fork: make(chan func())}
	if err := os.Mkdir(b.path("logs"), 0o755); err != nil {
		return nil, err
	}
	go func() {
		// Linux ties "end with your parent" to the thread that forked, so one
		// thread does it for all.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range b.fork {
			start()
		}
	}()
	return b, nil
}

func (b *bench) path(elements ...string) string {
	return filepath.Join(append([]string{b.dir}, elements...)...)
}

// Close kills what still runs and, unless keep is set, removes the folder.
func (b *bench) Close(keep bool) error {
	b.mu.Lock()
	procs := b.procs
	b.procs = nil
	b.mu.Unlock()
	for _, p := range procs {
		p.kill()
	}
	close(b.fork)
	if keep { // small disks stay mounted, too
		return nil
	}
	for _, d := range b.disks {
		if err := d.unmount(); err != nil {
			return err
		}
	}
	return os.RemoveAll(b.dir)
}

// program is the executable of a role.
func (b *bench) program(role string) string {
	if role == roleHandset && b.device != "" {
		return b.device
	}
	return b.exe
}

// command is the executable of a role with args, under the tracer if there is one,
// and the file that the tracer writes.
func (b *bench) command(ctx context.Context, role, name string, args ...string) (*exec.Cmd, string) {
	if b.trace == nil {
		return exec.CommandContext(ctx, b.program(role), args...), ""
	}
	b.traces++
	file := b.path("logs", fmt.Sprintf("%s-%d.trace", name, b.traces))
	line := append(append(b.trace[:len(b.trace):len(b.trace)], file, b.program(role)), args...)
	return exec.CommandContext(ctx, line[0], line[1:]...), file
}

func (b *bench) spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = attributes()
	done := make(chan error, 1)
	b.fork <- func() { done <- cmd.Start() }
	return <-done
}

// commandError is a command that ended with another code than 0.
type commandError struct {
	what   string
	code   int // -1: killed
	output string
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: exit code %d: %s", e.what, e.code, strings.TrimSpace(e.output))
}

// run starts a command in a role, waits for its end and returns what it wrote
// to standard output. Another exit code than 0 is a *commandError.
func (b *bench) run(ctx context.Context, role string, args ...string) ([]byte, error) {
	return b.runWith(ctx, nil, role, args...)
}

// runWith is run with more variables in the environment.
func (b *bench) runWith(ctx context.Context, env []string, role string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, b.program(role), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(roleEnvironment(role), env...), &stdout, &stderr
	what := role + " " + strings.Join(args, " ")
	if err := b.spawn(cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.As(err, &exit):
		return stdout.Bytes(), &commandError{what, exit.ExitCode(), stderr.String()}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return stdout.Bytes(), nil
}

// process is a command that runs until it is ended.
type process struct {
	name  string
	log   string
	trace string // file of the tracer, if there is one
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended
}

// start starts a process whose output goes to logs/NAME.log, appended, with more
// variables in its environment.
func (b *bench) start(name, role string, env []string, args ...string) (*process, error) {
	p := &process{name: name, log: b.path("logs", name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd, p.trace = b.command(context.Background(), role, name, args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(roleEnvironment(role), env...), out, out
	if err := b.spawn(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.cmd.Wait() // how it ended is seen from ended and from the log
		close(p.done)
	}()
	b.mu.Lock()
	b.procs = append(b.procs, p)
	b.mu.Unlock()
	return p, nil
}

// kill ends the process as a pulled battery would, and waits for it.
func (p *process) kill() {
	if p != nil {
		p.cmd.Process.Kill()
		<-p.done
	}
}

// stop asks the process to end, and returns an error if it does not do so in
// time or not with exit code 0.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(stopLimit):
		p.kill()
		return fmt.Errorf("stop %s: it still ran after %v", p.name, stopLimit)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("stop %s: exit code %d: %s", p.name, code, p.lastLines())
	}
	return nil
}

// ended returns an error if the process has ended though nobody asked it to.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended by itself (%v): %s", p.name, p.cmd.ProcessState, p.lastLines())
	default:
		return nil
	}
}

func (p *process) lastLines() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}

// until calls check until it says yes. An error of check ends the waiting; a
// no that lasts for limit is an error that tells what was waited for, and why
// it was no at last.
func until(ctx context.Context, what string, limit time.Duration, check func() (no string, err error)) error {
	deadline := time.Now().Add(limit)
	for {
		no, err := check()
		if err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if no == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v until %s: %s", limit, what, no)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
