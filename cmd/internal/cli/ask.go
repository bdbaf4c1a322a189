package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
)

// errNoAnswer is returned by askYes when standard input ends without an answer.
var errNoAnswer = errors.New("no answer came on standard input")

// askYes reads a person's answer to a question. Only yes is a yes. The error is
// errNoAnswer, that of an interrupted command, or that of the read.
func (a *app) askYes() (bool, error) {
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
		if line == "" {
			err = errNoAnswer
		}
	}
	return err == nil && strings.EqualFold(strings.TrimSpace(line), "yes"), err
}

// input is standard input for a command that can be interrupted while it waits
// for a person.
type input struct {
	ctx context.Context
	in  io.Reader
}

// Read reads until there is something or the command is interrupted. Nothing can
// take a read of a terminal back: one is left behind then, and the process ends
// with it.
func (i *input) Read(p []byte) (int, error) {
	type got struct {
		b   []byte
		err error
	}
	done := make(chan got, 1)
	go func() {
		b := make([]byte, len(p))
		n, err := i.in.Read(b)
		done <- got{b[:n], err}
	}()
	select {
	case g := <-done:
		return copy(p, g.b), g.err
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	}
}
