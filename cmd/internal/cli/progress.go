package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// How often progress is shown: often where a line can be rewritten, seldom
// where every report stays (a log, a pipe).
const (
	progressTerminal = 100 * time.Millisecond
	progressLog      = 2 * time.Second
	// progressSilence is after how long without news a sync says that it waits.
	progressSilence = 10 * time.Second
)

// progress shows how far a long command is, on standard error. On a terminal it
// rewrites one line; elsewhere it prints a line now and then.
type progress struct {
	w        io.Writer
	terminal bool
	now      func() time.Time

	mu     sync.Mutex // guards what follows
	last   time.Time
	width  int // runes of the line that stands on the terminal
	text   string
	newest string    // given to show last, whether or not it was printed
	heard  time.Time // when that was
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, terminal: isTerminal(w), now: time.Now, heard: time.Now()}
	if !p.terminal {
		p.last = p.now() // a command that is soon done logs no progress
	}
	return p
}

// show reports the state; it prints at most as often as makes sense.
func (p *progress) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	text := escape(fmt.Sprintf(format, args...))
	p.newest, p.heard = text, now
	every := progressLog
	if p.terminal {
		every = progressTerminal
	}
	if now.Sub(p.last) < every {
		return
	}
	if text != p.text {
		p.print(now, text)
	}
}

// print prints the state, in place of the one before on a terminal. The caller
// holds mu.
func (p *progress) print(now time.Time, text string) {
	p.last, p.text = now, text
	if !p.terminal {
		fmt.Fprintln(p.w, text)
		return
	}
	text = shorten(text, 79)
	n := utf8.RuneCountInString(text)
	fmt.Fprint(p.w, "\r", text, strings.Repeat(" ", max(0, p.width-n)))
	p.width = n
}

// watch says now and then, until stop, that there is no news and since when.
func (p *progress) watch() (stop func()) {
	tick := time.NewTicker(progressSilence)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-tick.C:
				p.sayWaiting()
			case <-end:
				return
			}
		}
	}()
	return func() {
		tick.Stop()
		close(end)
		<-ended
	}
}

// sayWaiting prints that there is no news, if there was none for some time.
func (p *progress) sayWaiting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if silent := now.Sub(p.heard); silent >= progressSilence/2 {
		what := p.newest
		if what == "" {
			what = "waiting"
		}
		p.print(now, fmt.Sprintf("%s: no news for %s", what, silent.Round(time.Second)))
	}
}

// line prints a line that stays, above the progress.
func (p *progress) line(format string, args ...any) {
	p.clear()
	fmt.Fprintln(p.w, escape(fmt.Sprintf(format, args...)))
}

// clear removes what show has left on the terminal.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && p.width > 0 {
		fmt.Fprint(p.w, "\r", strings.Repeat(" ", p.width), "\r")
		p.width = 0
	}
}

// isTerminal reports whether w (or a reader) is a terminal.
func isTerminal(w any) bool {
	if i, ok := w.(*input); ok {
		w = i.in
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// count gives "1 contact", "2 contacts".
func count[N int | int64 | uint64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if rest, ok := strings.CutSuffix(one, "y"); ok {
		return fmt.Sprintf("%d %sies", n, rest)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
