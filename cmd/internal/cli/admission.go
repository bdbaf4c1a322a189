package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/syncproto"
)

// parseAdmission reads a token of 32 hex digits; "" is none.
func parseAdmission(text string) (token syncproto.Admission, err error) {
	if text == "" {
		return token, nil
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(token) {
		return token, usagef("an admission token is %d hex digits, as 'sidekeep-cloud admit' prints them", 2*len(token))
	}
	return syncproto.Admission(b), nil
}

func (a *app) admissionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "admission TOKEN|-",
		GroupID: "device",
		Short:   "Tell the cloud's operator's token for this account",
		Long: `admission keeps the token with which the cloud's operator admits this account;
'-' reads it from standard input. Each device of the account needs it. An agent
that runs must be started again. An empty token takes it away.`,
		Example: "  sidekeep admission 6d0a3f5c2b1e4a7788c1d2e3f4a5b6c7",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.admission(args[0]) },
	}
}

func (a *app) admission(token string) error {
	if token == "-" {
		b, err := io.ReadAll(io.LimitReader(a.stdin, 1024))
		if err != nil {
			return &Error{Op: "read the token", Cause: err}
		}
		token = string(b)
	}
	token = strings.TrimSpace(token)
	if _, err := parseAdmission(token); err != nil {
		return err
	}
	h, err := a.openHome()
	if err != nil {
		return err
	}
	h.config.Admission = token
	if err := writeConfig(h.dir, h.config); err != nil {
		return &Error{Op: "keep the token", Object: h.dir, Cause: err, Hint: "the one from before holds"}
	}
	l, err := takeLock(h.dir, "admission")
	var held *lockedError
	if errors.As(err, &held) {
		_, err = fmt.Fprintf(a.stderr, "kept; %v: start it again, so that it shows the token\n", held)
		return err
	}
	if err != nil {
		return lockError(h, err)
	}
	return l.release()
}
