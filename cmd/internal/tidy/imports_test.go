package tidy

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "sidekeep/"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

// packages returns every package that the module's packages need, by path.
// Imports of tests are not part of it.
func packages(t *testing.T) map[string]*pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,Imports,Standard", "./...")
	cmd.Dir = top(t)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	all := map[string]*pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = &p
	}
}

// closure returns what the packages that match from need, each with one chain
// of imports that leads to it. Packages outside the module are leaves unless
// deep is set.
func closure(all map[string]*pkg, from func(string) bool, deep bool) map[string]string {
	chain := map[string]string{}
	var queue []string
	for path, p := range all {
		if !p.Standard && from(strings.TrimPrefix(path, module)) && strings.HasPrefix(path, module) {
			chain[path] = path
			queue = append(queue, path)
		}
	}
	slices.Sort(queue)
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if !deep && !strings.HasPrefix(path, module) {
			continue
		}
		for _, dep := range all[path].Imports {
			if _, seen := chain[dep]; !seen && all[dep] != nil {
				chain[dep] = chain[path] + " -> " + dep
				queue = append(queue, dep)
			}
		}
	}
	return chain
}

// within returns a matcher for the given folders of the module and all below.
func within(folders ...string) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
	}
}

func exactly(paths ...string) func(string) bool {
	return func(path string) bool { return slices.Contains(paths, path) }
}

func without(list []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(p string) bool { return p == one })
}

var network = []string{"net", "net/http", "net/rpc", "crypto/tls", "github.com/coder/websocket"}
var drivers = []string{"database/sql", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "github.com/lib/pq"}
var impure = slices.Concat(network, drivers, []string{"os", "os/exec", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "log/slog", "log"})

// rules are those of the layout: imports point down, and what must stay pure
// reaches nothing that is not.
var rules = []struct {
	name   string
	from   func(string) bool
	deep   bool // look into packages outside the module, too
	module []string
	others []string
}{
	{name: "the record's algebra, ranges and formats are pure", from: within("localstore/record", "localstore/rangeset"),
		module: []string{"localstore", "syncproto", "agent", "cmd"}, others: impure},
	{name: "formats are pure but for the files they are given", from: within("localstore/pim"),
		module: []string{"localstore", "syncproto", "agent", "cmd"}, others: without(impure, "os")},
	{name: "the device's database knows no network", from: within("localstore"),
		module: []string{"syncproto", "agent", "cmd"}, others: network},
	// net is there for joining host and port; TestPure looks that nothing else of it is used. dictgen is a program.
	{name: "the contract is pure", from: func(p string) bool {
		return within("syncproto")(p) && p != "syncproto/ws" && p != "syncproto/seal/dictgen"
	},
		module: []string{"localstore", "agent", "cmd"}, others: without(impure, "net")},
	{name: "the websocket adapter stands on the contract alone", from: within("syncproto/ws"),
		module: []string{"localstore", "agent", "cmd"}, others: drivers},
	{name: "the agent knows no command and no SQL", from: exactly("agent"), module: []string{"cmd"}},
	{name: "the cloud is blind", from: within("cmd/internal/cloud", "cmd/internal/cloudstore", "cmd/sidekeep-cloud"),
		module: []string{"agent", "localstore", "localstore/pim", "cmd/internal/cli", "cmd/internal/lab"}},
	{name: "a handset carries no server, no PostgreSQL and no lab", from: within("cmd/sidekeep"), deep: true,
		module: []string{"cmd/internal/cloud", "cmd/internal/cloudstore", "cmd/internal/lab", "testdata"},
		others: []string{"github.com/jackc/pgx/v5", "github.com/lib/pq", "github.com/prometheus/client_golang/prometheus", "testing"}},
}

// TestImports holds the layout's import rules over everything that is linked.
// A forbidden name of the module stands for the package itself; a forbidden
// folder's packages are listed one by one by the closure.
func TestImports(t *testing.T) {
	all := packages(t)
	for _, rule := range rules {
		reached := closure(all, rule.from, rule.deep)
		if len(reached) == 0 {
			t.Errorf("%s: no package is covered by the rule", rule.name)
		}
		for path, chain := range reached {
			inside, ours := strings.CutPrefix(path, module)
			switch {
			case ours && rule.from(inside):
			case ours && (slices.Contains(rule.module, inside) || slices.ContainsFunc(rule.module, func(f string) bool { return f != "localstore" && within(f)(inside) })):
				t.Errorf("%s: %s", rule.name, chain)
			case !ours && slices.Contains(rule.others, path):
				t.Errorf("%s: %s", rule.name, chain)
			}
		}
	}
}

// TestSingleImporters holds dependencies that only one package may know.
func TestSingleImporters(t *testing.T) {
	only := map[string][]string{
		"github.com/coder/websocket": {"syncproto/ws"},
		"nhooyr.io/websocket":        {}, // the old name of the same library
		// The lab plays an app that edits a handset's data through SQL.
		"modernc.org/sqlite": {"localstore", "cmd/internal/cloudstore/sqlitestore", "cmd/internal/lab"},
		"database/sql":       {"localstore", "cmd/internal/cloudstore/sqlitestore", "cmd/internal/lab"},
	}
	for path, p := range packages(t) {
		importer, ours := strings.CutPrefix(path, module)
		if !ours {
			continue
		}
		for dep, allowed := range only {
			if slices.Contains(p.Imports, dep) && !slices.Contains(allowed, importer) {
				t.Errorf("%s imports %s, which only %v may", importer, dep, allowed)
			}
		}
	}
}
