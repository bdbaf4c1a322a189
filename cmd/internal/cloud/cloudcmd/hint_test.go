package cloudcmd

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"sidekeep/syncproto"
)

// TestHintOfTheDisk: an error of the disk says what is to be done; others get no such hint.
func TestHintOfTheDisk(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&os.PathError{Op: "open", Path: "cloud.lock", Err: syscall.ENOSPC}, "make some space"},
		{fmt.Errorf("open store: %w", &syncproto.Error{Code: syncproto.CodeDiskFull}), "make some space"},
		{&os.PathError{Op: "open", Path: "cloud.lock", Err: syscall.EROFS}, "mounted read-only"},
		{fmt.Errorf("open store: %w", &syncproto.Error{Code: syncproto.CodeReadOnly}), "mounted read-only"},
		{&os.PathError{Op: "open", Path: "key.pem", Err: syscall.EACCES}, ""},
	} {
		if got := hintOf(c.err); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%v: %q", c.err, got)
		}
	}
}
