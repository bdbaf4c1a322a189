package localstore

import (
	"fmt"
	"strings"
	"testing"
)

// TestHistoryIsCountedOnce: what one process counted of the history the next one
// need not count again, and a sum that is no good is counted anew.
func TestHistoryIsCountedOnce(t *testing.T) {
	dir := t.TempDir()
	_, s := filled(t, dir, historySumEvery+10, Options{})
	kept := func() string {
		t.Helper()
		return strings.TrimSpace(mustShell(t, dir, "SELECT value FROM meta WHERE key = 'history_sum'"))
	}
	counted := func(s *Store) int64 { // the changes that it has not counted
		t.Helper()
		var left int64
		must(t, s.read(t.Context(), func(c *session) error {
			over, _, err := s.historyOver(c)
			if err == nil && over {
				t.Error("over its budget")
			}
			left = s.historyBytes
			return err
		}))
		return left
	}
	must(t, s.Maintain(t.Context()))
	want := fmt.Sprintf("%d %d", s.historySeen, s.historyBytes)
	if got := kept(); got != want || s.historyBytes < historySumEvery*historyRowBytes {
		t.Fatalf("kept %q, want %q", got, want)
	}
	bytes := s.historyBytes

	// Another process takes it: it would not see that the rows are larger now.
	mustShell(t, dir, "UPDATE history SET par = '{\"FN\":\"FN\"}' WHERE n <= 10")
	next := openTest(t, dir, Options{})
	if got := counted(next); got != bytes {
		t.Errorf("the next process counts %d bytes, %d were kept", got, bytes)
	}
	// One that can not be is counted anew.
	for _, bad := range []string{"'text'", "x'0102'", "'-5 3'", "'999999999 1'", "'5 -1'", "5"} {
		mustShell(t, dir, "UPDATE meta SET value = "+bad+" WHERE key = 'history_sum'")
		if got := counted(openTest(t, dir, Options{})); got <= bytes {
			t.Errorf("%s: %d bytes, there are more than %d", bad, got, bytes)
		}
	}
	// Over the budget the history is made smaller, and its sum is counted again.
	mustShell(t, dir, "UPDATE meta SET value = '"+want+"' WHERE key = 'history_sum'")
	small := openTest(t, dir, Options{HistoryBytes: bytes - 1})
	must(t, small.Maintain(t.Context()))
	if got := kept(); got != "" {
		t.Errorf("after an eviction %q is kept", got)
	}
}
