package tidy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const security = "agent/SECURITY.md"

// TestCases holds that SECURITY.md goes through all 25 cases in order, and that
// each names tests that exist and carry its number.
func TestCases(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| [a-z0-9-]+ \| .* \| (.*) \|$`).FindAllStringSubmatch(read(t, security), -1)
	if len(rows) != 25 {
		t.Fatalf("%s: %d cases, not 25", security, len(rows))
	}
	for i, row := range rows {
		n := i + 1
		if row[1] != strconv.Itoa(n) {
			t.Errorf("%s: case %s stands in place %d", security, row[1], n)
		}
		if row[2] == "" {
			t.Errorf("%s: case %d names no test", security, n)
			continue
		}
		prefix := "TestCase" + ("0" + row[1])[len(row[1])-1:]
		for _, group := range strings.Split(row[2], "; ") {
			folder, names, ok := strings.Cut(group, ": ")
			folder = strings.Trim(folder, "`")
			if !ok {
				t.Errorf("%s: case %d: %q is not PACKAGE: TESTS", security, n, group)
				continue
			}
			there := declared(t, folder, "_test.go", testFunc)
			for _, name := range strings.Split(names, ", ") {
				if !strings.HasPrefix(name, prefix) || !slices.Contains(there, name) {
					t.Errorf("%s: case %d: no %s in %s", security, n, name, folder)
				}
			}
		}
	}
}
