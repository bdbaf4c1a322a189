package agent

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		raw, origin, url string
		plain            bool
	}{
		{"ws://127.0.0.1:8080", "ws://127.0.0.1:8080", "ws://127.0.0.1:8080/sync", false},
		{"ws://LOCALHOST:8080/", "ws://localhost:8080", "ws://LOCALHOST:8080/sync", false},
		{"ws://[::1]:9", "ws://[::1]:9", "ws://[::1]:9/sync", false},
		{"wss://Cloud.Example.org", "wss://cloud.example.org:443", "wss://Cloud.Example.org/sync", false},
		{"wss://cloud.example.org:4443/x", "wss://cloud.example.org:4443", "wss://cloud.example.org:4443/x", false},
		{"ws://cloud.example.org", "ws://cloud.example.org:80", "ws://cloud.example.org/sync", true},
	} {
		got, err := parseTarget(c.raw, c.plain)
		if err != nil || got.origin != c.origin || got.url != c.url {
			t.Errorf("%s: got %+v, %v", c.raw, got, err)
		}
	}
	for _, raw := range []string{"", "http://x", "ws://", "wss://:443", "wss://u:p@x", "cloud.example.org", "wss://x#f", "wss://\x7f"} {
		if _, err := parseTarget(raw, true); err == nil {
			t.Errorf("%q is taken", raw)
		}
	}
	for _, raw := range []string{"ws://cloud.example.org", "ws://192.168.1.2:80", "ws://127.0.0.1.example.org"} {
		if _, err := parseTarget(raw, false); !errors.Is(err, ErrPlain) {
			t.Errorf("%q: got %v, want ErrPlain", raw, err)
		}
	}
}

func TestTrustedTime(t *testing.T) {
	built := epochOfCode
	dead := time.Unix(3600, 0)
	alive := built.AddDate(1, 0, 0)
	later := built.AddDate(2, 0, 0)
	for _, c := range []struct {
		name                  string
		clock, lastGood, want time.Time
	}{
		{"a living clock", alive, later, alive},
		{"a dead clock", dead, later, later},
		{"a dead clock and nothing remembered", dead, time.Unix(0, 0), built},
	} {
		if got := trustedTime(c.clock, built, c.lastGood); !got.Equal(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestMemoryOutlivesARestart(t *testing.T) {
	home := t.TempDir()
	m, err := openMemory(home)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	if err := errors.Join(m.sawVersion("wss://a:443", 2), m.sawVersion("wss://a:443", 1), m.sawTime(now), m.sawPing(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for i := range unknownForksMax + 1 {
		ok, err := m.mayFork(now)
		if err != nil || ok != (i < unknownForksMax) {
			t.Fatalf("fork %d: %v, %v", i, ok, err)
		}
	}
	m, err = openMemory(home)
	if err != nil {
		t.Fatal(err)
	}
	if m.version("wss://a:443") != 2 || m.version("wss://b:443") != 0 || !m.lastGood().Equal(now) || m.ping() != 5*time.Minute {
		t.Errorf("read back %+v", m.data)
	}
	if ok, _ := m.mayFork(now.Add(time.Hour)); ok {
		t.Error("the day's forks are forgotten")
	}
	if ok, _ := m.mayFork(now.Add(25 * time.Hour)); !ok {
		t.Error("no fork a day later")
	}
	if fi, err := os.Stat(filepath.Join(home, memoryFile)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", fi.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(home, memoryFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openMemory(home); err == nil {
		t.Error("a damaged file is taken")
	}
}
