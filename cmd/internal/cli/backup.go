package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/localstore/backup"
)

// Names in the home folder that a back-up uses while it runs.
const (
	backupDir  = "unfinished-backup"
	backupLock = "backup.lock"
)

// backupJSON is the shape of `backup --json` and of part of `restore --json`.
type backupJSON struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"`
	At      string `json:"at"` // RFC 3339
	Records int    `json:"records"`
	Chunks  int    `json:"chunks"`
	Missing int    `json:"missing"` // pieces of pictures that were not on this device
	Kinds   any    `json:"kinds"`   // kind to {"count", "digest"}
}

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backup FILE",
		GroupID: "care",
		Short:   "Write everything on this device into one encrypted file, and prove it",
		Long: `backup writes all records, their history and all pictures of this device, as of
one moment, into FILE. It may run while 'sidekeep run' and other programs work.
It ends with exit code 0 only if FILE was opened again and every record, every
piece of every picture and every digest in it was found to be right. An older
FILE of that name stays as it is until then.

FILE can be opened with the account's 24 words ('sidekeep restore'), or without
sidekeep: 'age -d FILE' asks for the passphrase that 'sidekeep words
--backup-key' prints, and gives an SQLite database. This device's own key is not
in it. While backup runs it needs as much free space in the home folder as the
database has, beside the space for FILE.

With --json it prints {"file", "bytes", "at", "records", "chunks", "missing",
"kinds": {KIND: {"count", "digest"}}}.`,
		Example: "  sidekeep backup /media/card/sidekeep-2026-11-22.age",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(h *home, s *localstore.Store) error {
				return a.backup(cmd.Context(), h, s, args[0])
			})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) backup(ctx context.Context, h *home, s *localstore.Store, path string) (err error) {
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return &Error{Op: "back up to", Object: path, Cause: errors.New("it is not a file"), Hint: "name a file", Code: ExitUsage}
	}
	l, err := takeLockFile(filepath.Join(h.dir, backupLock), "backup")
	var held *lockedError
	if errors.As(err, &held) {
		return &Error{Op: "back up", Cause: err, Hint: "wait until it has ended"}
	}
	if err != nil {
		return explain("back up", err)
	}
	defer l.release()
	f, err := os.CreateTemp(filepath.Dir(path), ".sidekeep-*") // mode 0600
	if err != nil {
		return explain("back up", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	p := newProgress(a.stderr)
	note, err := backup.Create(ctx, s, f, localstore.Note{
		Cloud: h.config.Cloud, AllowPlain: h.config.AllowPlain, Pins: h.config.Pins, Admission: h.config.Admission,
	}, backup.Options{
		Passphrase: h.identity.Keys().BackupPassphrase(),
		Work:       filepath.Join(h.dir, backupDir),
		Store:      storeOptions(h, nil),
		Progress:   func(what string, part float64) { p.show("backing up: %s, %3.0f %%", what, 100*part) },
	})
	p.clear()
	if err != nil {
		f.Close()
		return explain("back up to "+path, err)
	}
	fi, err := f.Stat()
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return explain("back up", err)
	}
	st, err := s.Status(ctx)
	if err != nil {
		return explain("back up", err)
	}
	return a.printBackup(path, fi.Size(), note, st.Blobs.Missing)
}

func (a *app) printBackup(path string, size int64, note localstore.Note, missing int) error {
	if a.json {
		return a.printJSON(backupJSON{File: path, Bytes: size, At: note.At.Format("2006-01-02T15:04:05Z07:00"),
			Records: note.Records, Chunks: note.Chunks, Missing: missing, Kinds: note.Kinds})
	}
	absent := ""
	if missing > 0 {
		absent = fmt.Sprintf("\n%s of pictures had not arrived here yet and are not in it.", count(missing, "piece"))
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %s, %s of pictures, %s; opened again and proven whole.%s\n",
		escape(path), count(note.Records, "record"), count(note.Chunks, "piece"), byteText(size), absent)
	return err
}
