package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sidekeep/cmd/internal/cloud/cloudcmd"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sidekeep":       func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"sidekeep-cloud": func() { os.Exit(cloudcmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script: one script a feature. Beside the commands
// of testscript they have
//
//	exits CODE COMMAND...   run a command that must end with that exit code
//	json FILE PATH WANT     the value at PATH (a/0/b; len counts) of a JSON file is WANT
//	remember NAME FILE [PATH]  put a file's text, or a value in it, into a variable
//	awaitfile FILE          wait until a file exists and is not empty
//	mode FILE MODE          the permissions of a file are exactly MODE
//	repeat N FILE           write FILE N times into FILE-1 .. FILE-N, %d replaced by the number
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	runScripts(t, files...)
}

// TestCase07TypoJoin: words with a slip whose checksum holds.
func TestCase07TypoJoin(t *testing.T) { runScripts(t, "testdata/case/case07_typo_join.txtar") }

// TestCase08JoinEmpty: the right words, and a cloud that lost everything.
func TestCase08JoinEmpty(t *testing.T) { runScripts(t, "testdata/case/case08_join_empty.txtar") }

// TestCase25Rekey: a handset is revoked, the account gets new keys.
func TestCase25Rekey(t *testing.T) { runScripts(t, "testdata/case/case25_rekey.txtar") }

func runScripts(t *testing.T, files ...string) {
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(2 * time.Minute), // a script that hangs is ended, with what it started
		Setup: func(env *testscript.Env) error {
			sample, err := filepath.Abs("../../../testdata/sample")
			env.Setenv("SAMPLE", sample)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("SIDEKEEP_HOME", env.WorkDir+"/one")
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     cmdExits,
			"json":      cmdJSON,
			"remember":  cmdRemember,
			"awaitfile": cmdAwaitFile,
			"mode":      cmdMode,
			"repeat":    cmdRepeat,
		},
	})
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	if got := jsonAt(ts, ts.ReadFile(args[0]), args[1]); (got == args[2]) == neg {
		ts.Fatalf("%s is %q, want %q (negated: %v)", args[1], got, args[2], neg)
	}
}

// jsonAt gives the value at a path as text: strings as they are, all else as JSON.
func jsonAt(ts *testscript.TestScript, text, path string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		ts.Fatalf("not JSON: %v", err)
	}
	for _, p := range strings.Split(path, "/") {
		switch in := v.(type) {
		case map[string]any:
			if p == "len" {
				v = float64(len(in))
				continue
			}
			v = in[p]
		case []any:
			if p == "len" {
				v = float64(len(in))
				continue
			}
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(in) {
				return "(nothing)"
			}
			v = in[i]
		default:
			return "(nothing)"
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	return string(b)
}

func cmdRemember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: remember NAME FILE [PATH]")
	}
	text := strings.TrimSpace(ts.ReadFile(args[1]))
	if len(args) == 3 {
		text = jsonAt(ts, text, args[2])
	}
	ts.Setenv(args[0], text)
}

func cmdAwaitFile(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(path); err == nil && (info.Size() > 0 || info.Mode()&os.ModeSocket != 0) {
			return
		}
	}
	ts.Fatalf("%s did not appear", args[0])
}

func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

func cmdRepeat(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := ts.ReadFile(args[1])
	var b strings.Builder
	for i := 1; i <= n; i++ {
		b.WriteString(strings.ReplaceAll(text, "%d", strconv.Itoa(i)))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}
