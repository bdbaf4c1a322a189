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
