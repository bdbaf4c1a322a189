package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/localstore/backup"
	"sidekeep/syncproto/seal"
)

// restoredHome is what restore prints with --json.
type restoredHome struct {
	madeHome
	Cloud   string `json:"cloud"`
	At      string `json:"at"` // when the back-up was made, RFC 3339
	Records int    `json:"records"`
	Chunks  int    `json:"chunks"`
	Missing int    `json:"missing"` // pieces of pictures that were not in the back-up
}

func (a *app) restoreCommand() *cobra.Command {
	var flags cloudFlags
	var wordsFile string
	cmd := &cobra.Command{
		Use:     "restore FILE --words-file FILE|-",
		GroupID: "care",
		Short:   "Make this device from a back-up and the account's words, without network",
		Long: `restore makes a home folder for this device from a back-up that 'sidekeep
backup' wrote. It reads the account's 24 words from a file, or from standard
input for '-', and needs no network: the data can be read and edited at once.

The whole back-up is opened and checked first: every record, every piece of
every picture, every digest. One that is damaged, cut short or made with other
words is refused (exit code 7, or 6 if it is damaged) and nothing is touched.

This device gets a key and an identity of its own. When it meets the cloud, what
happened since the back-up comes from there, and nothing that was deleted since
returns. The address of the cloud is the one in the back-up, unless --cloud
names another. A home that has data is never replaced: restore into another
folder with --home, and let both sync.`,
		Example: `  sidekeep restore /media/card/sidekeep.age --words-file -
  sidekeep --home /tmp/two restore sidekeep.age --words-file words.txt --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.restore(cmd.Context(), args[0], flags, wordsFile)
		},
	}
	flags.register(cmd)
	delete(cmd.Flags().Lookup("cloud").Annotations, cobra.BashCompOneRequiredFlag)
	cmd.Flags().Lookup("cloud").Usage = "`address` of the cloud, if not the one in the back-up"
	cmd.Flags().StringVar(&wordsFile, "words-file", "", "`file` with the account's 24 words, - for standard input (required)")
	_ = cmd.MarkFlagRequired("words-file")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) restore(ctx context.Context, path string, flags cloudFlags, wordsFile string) error {
	if flags.cloud != "" {
		if _, err := flags.config(true); err != nil {
			return err
		}
	} else if err := flags.share.check(); err != nil {
		return err
	}
	dir, err := a.homeDir()
	if err != nil {
		return err
	}
	if exists(filepath.Join(dir, identityFile)) || exists(filepath.Join(dir, dataDir)) {
		return &Error{Op: "restore to", Object: dir, Code: ExitRefused, Cause: errors.New("this home has data already, and nothing there was touched"),
			Hint: "restore into a new folder with --home and run 'sidekeep sync' in both: that brings the back-up's records here; or move this folder away first"}
	}
	f, err := os.Open(path)
	if err != nil {
		return &Error{Op: "restore", Cause: err}
	}
	defer f.Close()
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
	made, err := a.restoreHome(ctx, dir, f, id, flags)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(made)
	}
	_, err = fmt.Fprintf(a.stdout, "home     %s\naccount  %s\ndevice   %s\ncloud    %s\n\n%s and %s of pictures as of %s are here. 'sidekeep sync' brings what happened since.\n",
		escape(dir), made.Account, made.Device, escape(made.Cloud), count(made.Records, "record"), count(made.Chunks, "piece"), made.At)
	return err
}

// restoreHome opens the back-up beside the home folder, and makes the home only
// when all of it is proven.
func (a *app) restoreHome(ctx context.Context, dir string, f *os.File, id *seal.Identity, flags cloudFlags) (*restoredHome, error) {
	parent, base := filepath.Split(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, &Error{Op: "restore", Cause: err}
	}
	l, err := takeLockFile(filepath.Join(parent, "."+base+".restore.lock"), "restore")
	if err != nil {
		return nil, &Error{Op: "restore to", Object: dir, Cause: err, Hint: "wait until it has ended"}
	}
	defer l.release()
	defer os.Remove(l.f.Name())
	p := newProgress(a.stderr)
	o := backup.Options{
		Passphrase: id.Keys().BackupPassphrase(),
		Work:       filepath.Join(parent, "."+base+".restore"),
		Store:      storeOptions(&home{identity: id}, nil),
		Progress:   func(what string, part float64) { p.show("restoring: %s, %3.0f %%", what, 100*part) },
	}
	defer os.RemoveAll(o.Work)
	store, note, err := backup.Open(ctx, f, o)
	p.clear()
	if err != nil {
		return nil, refuseBackup(f.Name(), err)
	}
	st, err := store.Status(ctx)
	if e := store.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, explain("restore", err)
	}
	if flags.cloud == "" {
		flags.cloud, flags.allowPlain = note.Cloud, flags.allowPlain || note.AllowPlain
		flags.admission = cmp.Or(flags.admission, note.Admission)
		if len(flags.pins) == 0 {
			flags.pins = note.Pins
		}
	}
	cfg, err := flags.config(true) // it holds data that a cloud may have lost
	if err != nil {
		return nil, err
	}
	s, err := a.beginStage(dir, "restore")
	if err != nil {
		return nil, err
	}
	defer s.abandon()
	err = errors.Join(s.write(id, cfg), os.Rename(o.Data(), s.path(dataDir)), syncDir(s.path()), syncDir(parent))
	if err == nil {
		err = s.commit()
	}
	if err != nil {
		return nil, &Error{Op: "make home", Object: dir, Cause: err, Hint: "run restore again"}
	}
	if err := a.moveData(ctx, dir, flags.share); err != nil {
		return nil, err
	}
	return &restoredHome{
		madeHome: madeHome{Home: dir, Account: id.Account.String(), Device: id.Device().String()},
		Cloud:    cfg.Cloud, At: note.At.Format("2006-01-02T15:04:05Z07:00"), Records: note.Records, Chunks: note.Chunks, Missing: st.Blobs.Missing,
	}, nil
}

// refuseBackup says why a back-up is refused.
func refuseBackup(path string, err error) error {
	e := &Error{Op: "restore", Object: path, Cause: err, Code: ExitRefused}
	switch {
	case errors.Is(err, backup.ErrKey):
		e.Hint = "give the words of the account it belongs to; if they are right, its first bytes are damaged; nothing was touched"
	case errors.Is(err, backup.ErrWork):
		e.Hint = "it was not made by sidekeep; decrypt it with age on a larger machine, and look at what it is; nothing was touched"
	case errors.Is(err, localstore.ErrForeign):
		e.Hint = "name a file that 'sidekeep backup' wrote; nothing was touched"
	case errors.Is(err, localstore.ErrDamaged):
		e.Code = ExitDamaged
		e.Hint = "take another copy of it, or an older back-up; nothing was touched"
	default:
		return explain("restore "+path, err)
	}
	return e
}
