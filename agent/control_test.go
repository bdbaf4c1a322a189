package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestControlSocketIsNeverOpenToOthers looks at the socket all the time while it
// is made again and again: from the first moment it has its mode.
func TestControlSocketIsNeverOpenToOthers(t *testing.T) {
	for name, home := range map[string]string{
		"short": t.TempDir(),
		"long":  filepath.Join(t.TempDir(), strings.Repeat("long/", 30)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(home, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(home, SocketName)
			stop, seen := make(chan struct{}), 0
			var looker sync.WaitGroup
			looker.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					fi, err := os.Lstat(path)
					if errors.Is(err, fs.ErrNotExist) {
						continue
					}
					seen++
					if err != nil || fi.Mode() != fs.ModeSocket|0o600 {
						t.Errorf("the socket: %v, %v", fi.Mode(), err)
						return
					}
				}
			})
			for range 300 {
				l, err := listenControl(home)
				if err != nil {
					t.Fatal(err)
				}
				c, err := Connect(t.Context(), home)
				if err != nil || c == nil {
					t.Fatalf("nobody answers: %v", err)
				}
				l.Close()
			}
			close(stop)
			looker.Wait()
			if seen == 0 {
				t.Error("the socket was never seen")
			}
			left, err := os.ReadDir(home)
			if err != nil || len(left) != 1 {
				t.Errorf("in the folder: %v, %v", left, err)
			}
		})
	}
}
