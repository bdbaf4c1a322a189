package cli

import (
	"errors"
	"testing"
)

func TestCloudURL(t *testing.T) {
	for _, c := range []struct {
		in    string
		plain bool
		want  string // "" for refused
	}{
		{"wss://cloud.example.org", false, "wss://cloud.example.org"},
		{"WSS://Cloud.Example.ORG:8443/", false, "wss://cloud.example.org:8443"},
		{"ws://127.0.0.1:8080", false, "ws://127.0.0.1:8080"},
		{"ws://[::1]:8080", false, "ws://[::1]:8080"},
		{"ws://localhost", false, "ws://localhost"},
		{"ws://192.168.1.5:80", false, ""},
		{"ws://192.168.1.5:80", true, "ws://192.168.1.5:80"},
		{"ws://127.0.0.1.example.org", false, ""},
		{"ws://localhost.example.org", false, ""},
		{"https://cloud.example.org", false, ""},
		{"cloud.example.org", false, ""},
		{"wss://", false, ""},
		{"wss://me:pw@cloud.example.org", false, ""},
		{"wss://cloud.example.org/sidekeep/", false, "wss://cloud.example.org/sidekeep"},
		{"wss://cloud.example.org/?a=b", false, ""},
		{"", false, ""},
	} {
		got, err := cloudURL(c.in, c.plain)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("cloudURL(%q, %v) = %q, %v", c.in, c.plain, got, err)
		}
		if err != nil && exitCode(err) != ExitUsage {
			t.Errorf("cloudURL(%q): exit code %d", c.in, exitCode(err))
		}
	}
}

func TestLockTellsHolder(t *testing.T) {
	dir := t.TempDir()
	l, err := takeLock(dir, "run")
	if err != nil {
		t.Fatal(err)
	}
	var held *lockedError
	if _, err := takeLock(dir, "sync"); !errors.As(err, &held) || held.pid == 0 || held.what != "run" {
		t.Fatalf("second lock: %v", err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	l, err = takeLock(dir, "sync")
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	l.release()
}
