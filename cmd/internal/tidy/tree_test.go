package tidy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// top returns the module's folder, two above this package's parent.
func top(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func relative(t *testing.T, path string) string {
	return strings.TrimPrefix(path, top(t)+string(filepath.Separator))
}

// tracked returns the names of all files that git knows and that still exist.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = top(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("this is no git checkout, so what belongs to it is unknown: %v", err)
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(top(t), name)); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// TestTopLevel holds that the repository's first page stays a page.
func TestTopLevel(t *testing.T) {
	allowed := []string{".ci", ".gitattributes", ".gitignore", "LICENSE", "README.md", "agent", "cmd", "go.mod", "go.sum", "localstore", "syncproto", "testdata"}
	for _, name := range tracked(t) {
		if first, _, _ := strings.Cut(name, "/"); !slices.Contains(allowed, first) {
			t.Errorf("%s: %s has no place at the top", name, first)
		}
	}
}

// TestNoMachine holds that no file knows the machine it was written on, or the
// hosts of package registries. The names are put together here so that this
// file passes its own test.
func TestNoMachine(t *testing.T) {
	forbidden := []string{"/work" + "/main", "/work" + "/wt", "/work" + "/shared", "/ro" + "ot/", "/tmp/" + "bash_jobs",
		"proxy." + "golang.org", "registry." + "npmjs", "deb." + "debian.org", "sum." + "golang.org"}
	for _, name := range tracked(t) {
		data, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range forbidden {
			if at := bytes.Index(data, []byte(word)); at >= 0 {
				t.Errorf("%s:%d: names %s", name, 1+bytes.Count(data[:at], []byte("\n")), word)
			}
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && bytes.Contains(data, []byte("../sha"+"red")) {
			t.Errorf("%s: code that ships knows a folder beside the repository", name)
		}
	}
}

// TestSizes holds that nothing large slips in.
func TestSizes(t *testing.T) {
	const fileBytesMax, treeBytesMax = 1 << 20, 24 << 20
	total := int64(0)
	for _, name := range tracked(t) {
		info, err := os.Stat(filepath.Join(top(t), name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > fileBytesMax {
			t.Errorf("%s: %d bytes", name, info.Size())
		}
		total += info.Size()
	}
	if total > treeBytesMax {
		t.Errorf("the tree has %d bytes, at most %d are meant", total, treeBytesMax)
	}
}

// TestExecutable holds that the check scripts can be run.
func TestExecutable(t *testing.T) {
	for _, name := range []string{"run", "fuzz"} {
		info, err := os.Stat(filepath.Join(top(t), ".ci", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o111 == 0 {
			t.Errorf(".ci/%s is not executable", name)
		}
	}
}
