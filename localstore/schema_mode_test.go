package localstore

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFileModeFollowsTheFolder(t *testing.T) {
	for _, c := range []struct{ folder, file fs.FileMode }{
		{0o700, 0o600},
		{0o770, 0o600},
		{0o770 | fs.ModeSetgid, 0o660},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, c.folder); err != nil {
			t.Fatal(err)
		}
		s := openTest(t, dir, Options{})
		info, err := os.Stat(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != c.file {
			t.Errorf("folder %v: the database has mode %v, want %v", c.folder, got, c.file)
		}
	}
}

// What a power cut left beside a database gets the mode that it has now.
func TestLeftOverLogGetsTheMode(t *testing.T) {
	a := openTest(t, filepath.Join(t.TempDir(), "a"), Options{})
	must(t, a.write(t.Context(), false, func(x *tx) error { return x.setMeta("test", 1) }))
	dir := filepath.Join(t.TempDir(), "b")
	must(t, os.Mkdir(dir, 0o700))
	suffixes := []string{"", "-wal", "-shm"}
	for i, x := range suffixes {
		b, err := os.ReadFile(a.path + x)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, FileName+x), b, []fs.FileMode{0o660, 0o600, 0o644}[i]))
		must(t, os.Chmod(filepath.Join(dir, FileName+x), []fs.FileMode{0o660, 0o600, 0o644}[i]))
	}
	b := openTest(t, dir, Options{})
	for _, x := range suffixes {
		info, err := os.Stat(b.path + x)
		must(t, err)
		if info.Mode().Perm() != 0o660 {
			t.Errorf("%s has mode %v", FileName+x, info.Mode())
		}
	}
	must(t, b.read(t.Context(), func(c *session) error {
		n, err := c.metaInt("test")
		if n != 1 {
			t.Errorf("what the log held is %d, %v", n, err)
		}
		return err
	}))
}
