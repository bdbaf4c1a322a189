package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sidekeep/localstore"
	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

func (a *app) exportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:     "export KIND [-o FILE|DIR]",
		GroupID: "data",
		Short:   "Write the living records of a kind as files other programs read",
		Long: `export writes the living records of a kind: contacts as vCards; events, tasks
and notes as iCalendar. What was not edited comes out byte for byte as it came
in, but for line ends and folding. A record that came without a UID and was
edited gets one, so that importing the export again finds it.

Without -o, or with -o -, one file goes to standard output. With -o FILE the
file is replaced as a whole when the export is complete, and untouched if it
fails. With -o DIR (one that exists, or a name that ends in /) each record
becomes a file of its own, named by its id: pictures with their original bytes,
notes as Markdown. Pictures need a folder; notes and pictures get one also when
the name is new and has no ending like .ics.`,
		Example: `  sidekeep export contacts > contacts.vcf
  sidekeep export events -o calendar.ics
  sidekeep export pictures -o ~/pictures`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeKind,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(_ *home, s *localstore.Store) error {
				kind, err := parseKind(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				x := &exporter{app: a, store: s, kind: kind, options: pim.ExportOptions{
					OpenBlob: func(b *record.Blob) (io.ReadCloser, error) { return s.OpenBlob(cmd.Context(), *b) },
					Named:    s.Named,
					Stamp:    exportStamp,
				}}
				return explain("export "+string(kind), x.export(cmd.Context(), out))
			})
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "-", "`FILE|DIR` to write; - for standard output")
	return cmd
}

// exportStamp is the DTSTAMP, which RFC 5545 demands, of entries that have none
// of their own: one moment for ever, so that equal data exports to equal bytes
// on every device and every day.
var exportStamp = time.Unix(0, 0).UTC()

// exporter carries one export.
type exporter struct {
	app     *app
	store   *localstore.Store
	kind    record.Kind
	options pim.ExportOptions
}

func (x *exporter) export(ctx context.Context, out string) error {
	folder, err := x.toFolder(out)
	switch {
	case err != nil:
		return err
	case folder:
		return x.folder(ctx, out)
	case out == "-":
		w := bufio.NewWriterSize(x.app.stdout, 64<<10)
		if isTerminal(x.app.stdout) {
			w.Reset(escapeWriter{x.app.stdout})
		}
		if err := pim.Export(w, x.kind, x.items(ctx), x.options); err != nil {
			w.Flush()
			return err
		}
		return w.Flush()
	}
	n := 0
	err = writeDurably(out, func(w io.Writer) error {
		return pim.Export(w, x.kind, counted(x.items(ctx), &n), x.options)
	})
	if err == nil {
		fmt.Fprintf(x.app.stderr, "%s written to %s\n", count(n, "record"), escape(out))
	}
	return err
}

// toFolder decides whether out means a folder.
func (x *exporter) toFolder(out string) (bool, error) {
	if out == "-" {
		if x.kind == record.Pictures {
			return false, usagef("pictures are files of their own: name a folder with -o")
		}
		return false, nil
	}
	info, err := os.Stat(out)
	switch {
	case err == nil && info.IsDir():
		return true, nil
	case err == nil && x.kind == record.Pictures:
		return false, usagef("%s is not a folder, and pictures need one", out)
	case err == nil && !info.Mode().IsRegular():
		return false, usagef("%s is neither a file nor a folder", out)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case err == nil:
		return false, nil
	}
	return strings.HasSuffix(out, "/") || x.kind == record.Pictures ||
		x.kind == record.Notes && filepath.Ext(out) == "", nil
}

// items gives the living records of the kind.
func (x *exporter) items(ctx context.Context) iter.Seq2[pim.Item, error] {
	return func(yield func(pim.Item, error) bool) {
		for r, err := range x.store.List(ctx, x.kind, localstore.ListOptions{}) {
			if !yield(pim.Item{ID: r.ID, Fields: r.Fields}, err) || err != nil {
				return
			}
		}
	}
}

func counted(items iter.Seq2[pim.Item, error], n *int) iter.Seq2[pim.Item, error] {
	return func(yield func(pim.Item, error) bool) {
		for item, err := range items {
			*n++
			if !yield(item, err) {
				return
			}
		}
	}
}

// folder writes one file a record. Files appear whole or not at all; a record
// that can not be written, such as a picture that has not arrived, is named and
// the others are written.
func (x *exporter) folder(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	p := newProgress(x.app.stderr)
	written, failed := 0, 0
	var unwritten error
	for item, err := range x.items(ctx) {
		if err != nil {
			return err
		}
		name := filepath.Base(pim.FileName(x.kind, item))
		err := writeWhole(filepath.Join(dir, name), func(w io.Writer) error {
			return pim.ExportFile(w, x.kind, item, x.options)
		})
		var disk *fs.PathError
		switch {
		case errors.As(err, &disk), ctx.Err() != nil:
			return err
		case err != nil:
			failed++
			unwritten = errors.Join(unwritten, err)
			p.line("%s: not written: %v", shortID(item.ID), err)
			continue
		}
		written++
		p.show("exporting: %s", count(written, "file"))
	}
	p.clear()
	if err := syncTree(dir); err != nil {
		return err
	}
	fmt.Fprintf(x.app.stderr, "%s written to %s\n", count(written, "file"), escape(dir))
	if failed > 0 {
		e := &Error{Op: "export", Object: string(x.kind), Cause: fmt.Errorf("%s of %d not written", count(failed, "record"), written+failed)}
		if errors.Is(unwritten, localstore.ErrChunk) {
			e.Hint = "'sidekeep sync' fetches pieces that have not arrived yet"
		}
		return e
	}
	return nil
}

// syncTree makes all that was written below dir durable with one call.
func syncTree(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
