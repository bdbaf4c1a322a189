package localstore

import (
	"testing"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// What the cloud told is known again in the next session, until its epoch is
// another one.
func TestWhatTheCloudToldLastsAnEpoch(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	told := func() (e Epoch, c CloudState) {
		t.Helper()
		e, err := s.Epoch(t.Context())
		must(t, err)
		c, err = s.CloudState(t.Context(), record.Notes)
		must(t, err)
		return e, c
	}
	if e, c := told(); e != (Epoch{}) || c != (CloudState{}) {
		t.Errorf("before the first session: %x, %+v", e, c)
	}
	must(t, s.ResetEpoch(t.Context(), Epoch{1}))
	want := CloudState{Digest: rangeset.Digest{Count: 3, Sum: [16]byte{4}}, Epoch: Epoch{1}, Head: 9, ProvenAt: time.Unix(1_800_000_000, 0)}
	must(t, s.SetCloudState(t.Context(), record.Notes, want))
	if e, c := told(); e != want.Epoch || c != want {
		t.Errorf("%x, %+v, want %+v", e, c, want)
	}
	must(t, s.ResetEpoch(t.Context(), Epoch{1}))
	if _, c := told(); c != want {
		t.Errorf("the same epoch again: %+v", c)
	}
	must(t, s.ResetEpoch(t.Context(), Epoch{2}))
	if e, c := told(); e != (Epoch{2}) || c != (CloudState{}) {
		t.Errorf("another epoch: %x, %+v", e, c)
	}
}
