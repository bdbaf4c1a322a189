package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/syncproto/seal"
)

// wordsBytesMax bounds what is read of a file that should hold words.
const wordsBytesMax = 4096

func (a *app) joinCommand() *cobra.Command {
	var flags cloudFlags
	var wordsFile, codeFile string
	var keepData bool
	cmd := &cobra.Command{
		Use:     "join --cloud URL {--words-file FILE|- | --code FILE|-}",
		GroupID: "device",
		Short:   "Add this device to an account, by its words or by a code from another device",
		Long: `join makes a home folder for this device in an account that exists already.

With --words-file it reads the account's 24 words from a file, or from standard
input for '-', and keeps none of them. Numbers between the words are ignored. It
asks the cloud whether it knows the account: words with a slip can be the words
of another, empty account.

With --code it reads the 8 words that 'sidekeep devices invite' shows on a device
of the account. Both devices then show a check code of six digits, and the person
there lets this device in if they are the same.

Afterwards 'sidekeep sync' or 'sidekeep run' fetches the data.`,
		Example: `  sidekeep join --cloud wss://cloud.example.org --code - --name kitchen-phone
  sidekeep --home /tmp/two join --cloud ws://127.0.0.1:8080 --words-file words.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if codeFile != "" {
				return a.joinByCode(cmd.Context(), flags, codeFile, keepData)
			}
			if keepData {
				return usagef("--keep-data goes with --code")
			}
			return a.join(cmd.Context(), flags, wordsFile)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&wordsFile, "words-file", "", "`file` with the account's 24 words, - for standard input")
	cmd.Flags().StringVar(&codeFile, "code", "", "`file` with the 8 words that another device shows, - for standard input")
	cmd.Flags().BoolVar(&keepData, "keep-data", false, "take over the account that replaced this home's, and keep what is here")
	cmd.MarkFlagsOneRequired("words-file", "code")
	cmd.MarkFlagsMutuallyExclusive("words-file", "code")
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
	if exists(filepath.Join(dir, identityFile)) {
		return a.rejoin(dir, wordsFile)
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
	return a.printJoined(dir, id)
}

func (a *app) printJoined(dir string, id *seal.Identity) error {
	made := madeHome{Home: dir, Account: id.Account.String(), Device: id.Device().String()}
	if a.json {
		return a.printJSON(made)
	}
	_, err := fmt.Fprintf(a.stdout, "home     %s\naccount  %s\ndevice   %s\n\nThis device has joined. 'sidekeep sync' fetches the data once, 'sidekeep run' keeps it up to date.\n",
		escape(dir), made.Account, made.Device)
	return err
}

// readWords reads the account's words from a file or, for "-", standard input.
func (a *app) readWords(path string) (seal.Secret, error) {
	text, err := a.readWordText(path, "The account's 24 words", seal.WordCount)
	if err != nil {
		return seal.Secret{}, err
	}
	secret, err := seal.ParseWords(text)
	if err != nil {
		return seal.Secret{}, &Error{Op: "read the words", Cause: err, Code: ExitRefused,
			Hint: "give the 24 words in their order, with nothing else but numbers between them"}
	}
	return secret, nil
}

// readWordText reads n words from a file or, for "-", standard input: until
// there are so many on a terminal, else to the end.
func (a *app) readWordText(path, what string, n int) (string, error) {
	in := a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", &Error{Op: "read the words", Cause: err}
		}
		defer f.Close()
		in = f
	}
	var text strings.Builder
	terminal := isTerminal(in)
	if terminal {
		fmt.Fprintf(a.stderr, "%s, on one line or several:\n", what)
	}
	lines := bufio.NewReader(io.LimitReader(in, wordsBytesMax+1))
	for {
		line, err := lines.ReadString('\n')
		text.WriteString(line)
		if errors.Is(err, io.EOF) || terminal && countWords(text.String()) >= n {
			break
		}
		if err != nil {
			return "", &Error{Op: "read the words", Cause: err}
		}
	}
	if text.Len() > wordsBytesMax {
		return "", &Error{Op: "read the words", Object: path, Code: ExitUsage,
			Cause: fmt.Errorf("far too long for %d words", n)}
	}
	return text.String(), nil
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
