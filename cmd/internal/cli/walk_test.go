package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFindFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.vcf", "a/deep/c.ics", ".hidden/d.vcf", ".e.vcf"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	// A loop and a pipe that nobody writes to must neither be followed nor opened.
	if err := errors.Join(os.Symlink(dir, filepath.Join(dir, "loop")), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	files, err := findFiles(context.Background(), []string{dir, filepath.Join(dir, ".e.vcf"), filepath.Join(dir, "none"), filepath.Join(dir, "pipe")})
	if err != nil {
		t.Fatal(err)
	}
	want := []found{
		{path: "a/deep/c.ics"},
		{path: "b.vcf"},
		{path: "loop", skip: "a link; import what it leads to by its own name"},
		{path: "pipe", skip: "not a regular file"},
		{path: ".e.vcf", named: true},
		{path: "none", named: true, skip: "no such file or directory", lost: true},
		{path: "pipe", named: true, skip: "not a regular file"},
	}
	if len(files) != len(want) {
		t.Fatalf("got %+v", files)
	}
	for i, f := range files {
		f.path, _ = filepath.Rel(dir, f.path)
		if f != want[i] {
			t.Errorf("%d: got %+v, want %+v", i, f, want[i])
		}
	}
}

func TestWriteDurablyKeepsOldOnError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := writeDurably(path, func(w io.Writer) error {
		io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := writeDurably(path, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	entries, _ := os.ReadDir(dir)
	if string(b) != "new" || len(entries) != 1 {
		t.Errorf("file %q, %d entries", b, len(entries))
	}
}
