package cloud

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestManySessionsLeaveLessGarbage: the collector's pace follows the number of
// sessions, with a distance between the two, and GOGC counts more.
func TestManySessionsLeaveLessGarbage(t *testing.T) {
	percent := func() int { // there is no other way to read it
		p := debug.SetGCPercent(77)
		debug.SetGCPercent(p)
		return p
	}
	was := percent()
	defer debug.SetGCPercent(was)
	if _, set := os.LookupEnv("GOGC"); set {
		t.Skip("GOGC is set")
	}
	is := func(when string, want int) {
		t.Helper()
		if got := percent(); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	debug.SetGCPercent(gcPercentFew)
	for n := 1; n < gcSessions; n++ {
		collect(n, true)
	}
	is("few", gcPercentFew)
	collect(gcSessions, true)
	is("many", gcPercentMany)
	for n := gcSessions - 1; n > gcSessions/2; n-- {
		collect(n, false)
	}
	is("some less", gcPercentMany)
	collect(gcSessions/2, false)
	is("few again", gcPercentFew)
	t.Setenv("GOGC", "200")
	collect(gcSessions, true)
	is("with GOGC", gcPercentFew)
}
