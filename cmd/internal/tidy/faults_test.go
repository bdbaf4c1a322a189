package tidy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// faults is the document whose promises are held here.
const faults = "agent/FAULTS.md"

var (
	faultLine  = regexp.MustCompile(`(?m)^### (\d+)\. `)
	testsLine  = regexp.MustCompile(`(?m)^- Tests: (.*)$`)
	drillsLine = regexp.MustCompile(`(?m)^- Drills: (.*)$`)
	testFunc   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	drillEntry = regexp.MustCompile(`(?m)^\t\{"(\w+)", "`)
	command    = regexp.MustCompile(`\bUse:\s+"(\w+)`)
)

// TestFaults holds that FAULTS.md goes through all seventeen faults in order, and
// that every test and drill it names exists.
func TestFaults(t *testing.T) {
	sections := strings.Split(read(t, faults), "\n### ")[1:]
	if len(sections) != 17 {
		t.Fatalf("%s: %d faults, not 17", faults, len(sections))
	}
	drills := declared(t, "cmd/internal/lab", "", drillEntry, command)
	for i, section := range sections {
		section = "### " + section
		if n := faultLine.FindStringSubmatch(section); n == nil || n[1] != strconv.Itoa(i+1) {
			t.Errorf("%s: section %d begins %.20q", faults, i+1, section)
		}
		named, played := testsLine.FindStringSubmatch(section), drillsLine.FindStringSubmatch(section)
		if named == nil || played == nil {
			t.Errorf("%s: fault %d names no tests or no drills", faults, i+1)
			continue
		}
		for _, group := range strings.Split(named[1], "; ") {
			folder, names, ok := strings.Cut(group, ": ")
			folder = strings.Trim(folder, "`")
			if !ok {
				t.Errorf("%s: fault %d: %q is not PACKAGE: TESTS", faults, i+1, group)
				continue
			}
			there := declared(t, folder, "_test.go", testFunc)
			for _, name := range strings.Split(names, ", ") {
				if !slices.Contains(there, name) {
					t.Errorf("%s: fault %d: no %s in %s", faults, i+1, name, folder)
				}
			}
		}
		for _, name := range strings.Split(played[1], ", ") {
			if name != "none" && !slices.Contains(drills, name) {
				t.Errorf("%s: fault %d: sidekeep-lab knows no drill %s", faults, i+1, name)
			}
		}
	}
}

// declared returns what the patterns find in the Go files of a folder whose
// names end in suffix.
func declared(t *testing.T, folder, suffix string, patterns ...*regexp.Regexp) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top(t), folder, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Errorf("%s: no files *%s in %s: %v", faults, suffix, folder, err)
	}
	for _, file := range files {
		if filepath.Ext(file) != ".go" {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range patterns {
			for _, found := range pattern.FindAllStringSubmatch(string(source), -1) {
				names = append(names, found[1])
			}
		}
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
