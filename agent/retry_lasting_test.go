package agent

import (
	"errors"
	"fmt"
	"testing"

	"sidekeep/syncproto"
)

// TestWhatLasts: only what a cloud or a handset without room says outlives the next
// welcome; a cloud that restarts, or was not reached, is well again with it.
func TestWhatLasts(t *testing.T) {
	said := func(c syncproto.Code) error { return &syncproto.Error{Code: c, Detail: "said by the cloud"} }
	for _, c := range []struct {
		end  ending
		want bool
	}{
		{ending{welcomed: true, err: said(syncproto.CodeDiskFull)}, true},
		{ending{welcomed: true, err: fmt.Errorf("%w: %w", ErrCloudFails, said(syncproto.CodeStorage))}, true},
		{ending{welcomed: true, err: said(syncproto.CodeQuota)}, true},
		{ending{welcomed: true, err: said(syncproto.CodeReadOnly)}, true},
		{ending{welcomed: true, local: errors.New("no space left on device")}, true},
		{ending{local: errors.New("no space left on device")}, false},
		{ending{err: said(syncproto.CodeDiskFull)}, false}, // it did not let the device in: the next welcome is news
		{ending{welcomed: true, err: said(syncproto.CodeShutdown)}, false},
		{ending{welcomed: true, err: said(syncproto.CodeSuperseded)}, false},
		{ending{welcomed: true, err: said(syncproto.CodeBusy)}, false},
		{ending{welcomed: true, err: fmt.Errorf("%w: %w", ErrNotReachable, errors.New("reset"))}, false},
		{ending{welcomed: true}, false},
	} {
		if got := c.end.lasting(); got != c.want {
			t.Errorf("%+v lasts: %v", c.end, got)
		}
	}
}
