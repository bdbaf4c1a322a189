package model

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// folder is where histories keep their files: in memory if there is such a place.
func folder() (string, error) {
	base := "/dev/shm"
	if fi, err := os.Stat(base); err != nil || !fi.IsDir() {
		base = ""
	}
	return os.MkdirTemp(base, "sidekeep-model-")
}

// play carries out a script in a world of its own.
func play(s script) (err error) {
	dir, err := folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	err = errors.Join(w.run(s), w.close())
	if err == nil {
		tally(w)
	}
	return err
}

// What the histories of a run were made of.
var tallyMu sync.Mutex
var tallied = map[string]int{}

func tally(w *world) {
	tallyMu.Lock()
	defer tallyMu.Unlock()
	for k, n := range w.counts {
		tallied[k] += n
	}
	tallied["versions"] += len(w.ledger.versions)
	for _, e := range w.ledger.events {
		tallied["event "+e.kind.String()]++
		if e.rescued {
			tallied["event rescued"]++
		}
		if len(e.copies) > 0 {
			tallied["event forked"]++
		}
	}
	for _, h := range w.handsets {
		for _, r := range h.rows.records {
			if r.vid == nil {
				continue
			}
			if v := w.ledger.versions[*r.vid].version; v.Dead() {
				tallied["final dead"]++
			} else if len(v.Conflicts()) > 0 {
				tallied["final conflict"]++
			} else {
				tallied["final alive"]++
			}
		}
	}
}

// shrink takes actions out of a script as long as it fails, for some time.
func shrink(s script, fails func(script) bool, limit time.Duration) script {
	end := time.Now().Add(limit)
	for size := max(1, len(s)/2); ; {
		shorter := false
		for at := 0; at < len(s) && time.Now().Before(end); {
			try := append(append(script{}, s[:at]...), s[min(len(s), at+size):]...)
			if fails(try) {
				s, shorter = try, true
			} else {
				at += size
			}
		}
		if time.Now().After(end) || size == 1 && !shorter {
			return s
		}
		if !shorter {
			size = max(1, size/2)
		}
	}
}

// TestHistories plays random histories: some, or as many as SIDEKEEP_HISTORIES
// says, from the seed SIDEKEEP_SEED on, or in the long form a drawn one.
func TestHistories(t *testing.T) {
	count, seed := 12, uint64(300_000) // the short form is the same every time
	if os.Getenv("SIDEKEEP_HISTORIES") != "" {
		seed = rand.Uint64N(1 << 40)
	}
	if testing.Short() {
		count = 4
	}
	count = int(number(t, "SIDEKEEP_HISTORIES", uint64(count)))
	seed = number(t, "SIDEKEEP_SEED", seed)
	t.Logf("%d histories from SIDEKEEP_SEED=%d on", count, seed)
	var next, failed atomic.Uint64
	var workers sync.WaitGroup
	started := time.Now()
	for range min(runtime.GOMAXPROCS(0), count) {
		workers.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= uint64(count) || failed.Load() >= 5 {
					return
				}
				if i > 0 && i%500 == 0 {
					fmt.Printf("%d histories in %v\n", i, time.Since(started).Round(time.Second))
				}
				if err := play(scriptOf(seed + i)); err != nil {
					failed.Add(1)
					report(t, seed+i, err)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("in %v: %v", time.Since(started).Round(time.Second), tallied)
}

func report(t *testing.T, seed uint64, err error) {
	s := shrink(scriptOf(seed), func(s script) bool { return play(s) != nil }, time.Duration(number(t, "SIDEKEEP_SHRINK", 20))*time.Second)
	t.Errorf("again with SIDEKEEP_SEED=%d go test -run TestOneHistory ./cmd/internal/endtoend/model\n%v\nshrunk, it fails with\n%v\nin\n%s", seed, err, play(s), s)
}

// TestRegressions plays the scripts that once failed.
func TestRegressions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.script")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := parseScript(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := play(s); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOneHistory plays the history of SIDEKEEP_SEED, or the script in the file
// that SIDEKEEP_SCRIPT names.
func TestOneHistory(t *testing.T) {
	var s script
	switch file := os.Getenv("SIDEKEEP_SCRIPT"); {
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if s, err = parseScript(string(text)); err != nil {
			t.Fatal(err)
		}
	case os.Getenv("SIDEKEEP_SEED") != "":
		s = scriptOf(number(t, "SIDEKEEP_SEED", 0))
	default:
		t.Skip("neither SIDEKEEP_SEED nor SIDEKEEP_SCRIPT is set")
	}
	t.Logf("the script:\n%s", s)
	if err := play(s); err != nil {
		t.Fatal(err)
	}
}

// TestDrawnHistories lets rapid draw and shrink histories.
func TestDrawnHistories(t *testing.T) {
	if os.Getenv("SIDEKEEP_HISTORIES") == "" {
		t.Skip("part of the long form: SIDEKEEP_HISTORIES is not set")
	}
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("15"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := script(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) action {
			return draw(verbWeights, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") })
		}), 1, 40).Draw(t, "script"))
		if err := play(s); err != nil {
			t.Fatalf("%v\nin\n%s", err, s)
		}
	})
}

func number(t *testing.T, env string, otherwise uint64) uint64 {
	s := os.Getenv(env)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return n
}
