package lab

import (
	"bytes"
	"strings"
	"testing"
)

// TestOutage runs the whole drill.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("the drill takes some ten seconds; not with -short")
	}
	var out bytes.Buffer
	if err := runOutage(t.Context(), &out, &out, false, false); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "nothing lost") && !t.Failed() {
		t.Errorf("the story has no good end:\n%s", out.String())
	}
}

// TestCrash runs some rounds; the full run is `sidekeep-lab crash`.
func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("the kill loop takes some ten seconds; not with -short")
	}
	var out bytes.Buffer
	if err := runCrash(t.Context(), &out, 12, 20091001, false); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestDrills runs the short form of each drill; `sidekeep-lab drill all --long`
// is the long one.
func TestDrills(t *testing.T) {
	if testing.Short() {
		t.Skip("drills take some seconds each; not with -short")
	}
	for _, d := range drills {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel() // as many at once as go test's -parallel allows
			var out bytes.Buffer
			if _, err := runDrill(t.Context(), d, &out, drillOptions{seed: 20091001}); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}
