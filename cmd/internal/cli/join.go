package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/syncproto/seal"
)

// wordsBytesMax bounds what is read of a file that should hold 24 words.
const wordsBytesMax = 4096

func (a *app) joinCommand() *cobra.Command {
	var flags cloudFlags
	var wordsFile string
	cmd := &cobra.Command{
		Use:     "join --cloud URL --words-file FILE|-",
		GroupID: "device",
		Short:   "Add this device to an account you have the words of",
		Long: `join makes a home folder for this device in an account that exists already. It
reads the account's 24 words from a file, or from standard input for '-', and
keeps none of them. Numbers between the words are ignored.

It asks the cloud whether it knows the account: words with a slip can be the
words of another, empty account. Afterwards 'sidekeep sync' or 'sidekeep run'
fetches the data.`,
		Example: `  sidekeep join --cloud wss://cloud.example.org --words-file -
  sidekeep --home /tmp/two join --cloud ws://127.0.0.1:8080 --words-file words.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.join(cmd.Context(), flags, wordsFile) },
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&wordsFile, "words-file", "", "`file` with the account's 24 words, - for standard input (required)")
	_ = cmd.MarkFlagRequired("words-file")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) join(ctx context.Context, flags cloudFlags, wordsFile string) error {
	cfg, err := flags.config(false)
	if err != nil {
		return err
	}
	dir, err := a.homeDir()
	if err != nil {
		return err
	}
	s, err := a.beginStage(dir, "join")
	if err != nil {
		return err
	}
	defer s.abandon()
	secret, err := a.readWords(wordsFile)
	if err != nil {
		return err
	}
	if err := a.awaitRandomness(); err != nil {
		return err
	}
	id, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		return err
	}
	if err := s.write(id, cfg); err != nil {
		return &Error{Op: "make home", Object: dir, Cause: err}
	}
	if err := a.askCloud(ctx, &home{dir: s.path(), config: cfg, identity: id}); err != nil {
		return err
	}
	if err := s.commit(); err != nil {
		return &Error{Op: "make home", Object: dir, Cause: err, Hint: "run join again"}
	}
	if err := a.moveData(ctx, dir, flags.share); err != nil {
		return err
	}
	made := madeHome{Home: dir, Account: id.Account.String(), Device: id.Device().String()}
	if a.json {
		return a.printJSON(made)
	}
	_, err = fmt.Fprintf(a.stdout, "home     %s\naccount  %s\ndevice   %s\n\nThis device has joined. 'sidekeep sync' fetches the data once, 'sidekeep run' keeps it up to date.\n",
		escape(dir), made.Account, made.Device)
	return err
}

// readWords reads the account's words from a file or, for "-", standard input:
// until there are 24 on a terminal, else to the end.
func (a *app) readWords(path string) (seal.Secret, error) {
	in := a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return seal.Secret{}, &Error{Op: "read the words", Cause: err}
		}
		defer f.Close()
		in = f
	}
	var text strings.Builder
	terminal := isTerminal(in)
	if terminal {
		fmt.Fprintln(a.stderr, "The account's 24 words, on one line or several:")
	}
	lines := bufio.NewReader(io.LimitReader(in, wordsBytesMax+1))
	for {
		line, err := lines.ReadString('\n')
		text.WriteString(line)
		if errors.Is(err, io.EOF) || terminal && countWords(text.String()) >= 24 {
			break
		}
		if err != nil {
			return seal.Secret{}, &Error{Op: "read the words", Cause: err}
		}
	}
	if text.Len() > wordsBytesMax {
		return seal.Secret{}, &Error{Op: "read the words", Object: path, Code: ExitUsage,
			Cause: errors.New("far too long for 24 words")}
	}
	secret, err := seal.ParseWords(text.String())
	if err != nil {
		return seal.Secret{}, &Error{Op: "read the words", Cause: err, Code: ExitRefused,
			Hint: "give the 24 words in their order, with nothing else but numbers between them"}
	}
	return secret, nil
}

// countWords counts what is not a number.
func countWords(text string) int {
	n := 0
	for _, w := range strings.Fields(text) {
		if strings.Trim(w, "0123456789.)") != "" {
			n++
		}
	}
	return n
}
