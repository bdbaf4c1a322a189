package lab

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"sidekeep/localstore/record"
)

// TestMain lets the test binary play the roles that the lab's binary plays.
func TestMain(m *testing.M) {
	if code, ok := actRole(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// TestInterrupted checks that an interrupted drill ends what it started and
// leaves no folder.
func TestInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes; not with -short")
	}
	b, err := newBench("sidekeep-lab-test")
	if err != nil {
		t.Fatal(err)
	}
	cloud := b.server("cloud")
	if err := cloud.on(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := cloud.proc.cmd.Process.Pid
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cloud.on(ctx); err == nil {
		t.Error("a cloud started after the interruption")
	}
	if err := b.Close(false); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d still runs", pid)
	}
	if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
		t.Errorf("%s still exists", b.dir)
	}
}

func TestContentLines(t *testing.T) {
	in := "BEGIN:VCALENDAR\r\nPRODID:head\r\nBEGIN:VEVENT\r\nSUMMARY:a long\r\n  line\r\nBEGIN:VALARM\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n" +
		"BEGIN:VCARD\nNOTE;ENCODING=QUOTED-PRINTABLE:one=\n two=\nthree\nEND:VCARD\n"
	want := []string{"BEGIN:VEVENT", "SUMMARY:a long line", "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM", "END:VEVENT",
		"BEGIN:VCARD", "NOTE;ENCODING=QUOTED-PRINTABLE:one twothree", "END:VCARD"}
	if got := contentLines([]byte(in)); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestOriginalsNoticed checks that the proof can fail: a changed line, a line
// that stands once instead of twice, a changed picture.
func TestOriginalsNoticed(t *testing.T) {
	card := "BEGIN:VCARD\nTEL:1\nTEL:1\nEND:VCARD\n"
	in := fstest.MapFS{"a.vcf": {Data: []byte(card)}, "b.jpg": {Data: []byte("picture")}}
	for _, out := range []struct {
		name, card, picture string
		ok                  bool
	}{
		{"equal", "BEGIN:VCARD\r\nX-NEW:1\r\nTEL:1\r\nTEL\r\n :1\r\nEND:VCARD\r\n", "picture", true},
		{"changed line", "BEGIN:VCARD\nTEL:1\nTEL:2\nEND:VCARD\n", "picture", false},
		{"line once", "BEGIN:VCARD\nTEL:1\nEND:VCARD\n", "picture", false},
		{"changed picture", card, "pictura", false},
	} {
		dir := t.TempDir()
		for name, data := range map[string]string{"contacts.vcf": out.card, "x.jpg": out.picture} {
			if err := os.WriteFile(dir+"/"+name, []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := originalsIn(exports(dir), in); (err == nil) != out.ok {
			t.Errorf("%s: %v", out.name, err)
		}
	}
}

// TestLedgerNotices checks that each kind of loss is noticed.
func TestLedgerNotices(t *testing.T) {
	l := newLedger()
	for n := range 3 {
		l.try("a", record.Contacts, n+1)
		l.ack("a")
	}
	l.try("a", record.Contacts, 4) // cut short
	l.try("b", record.Contacts, 5) // never acknowledged
	l.try("c", record.Contacts, 6)
	l.ack("c")
	l.tryDelete("c")
	l.ackDelete("c")
	good := []map[string]found{
		{"a": {number: 3}, "c": {number: 6, deleted: true}},
		{"a": {number: 4}, "b": {number: 5}, "c": {number: 6, deleted: true}},
	}
	for _, shown := range good {
		if wrong := l.lost(shown, true); len(wrong) > 0 {
			t.Errorf("%v: %v", shown, wrong)
		}
	}
	if wrong := l.lost(map[string]found{"a": {number: 3}}, false); len(wrong) > 0 {
		t.Errorf("deleted before it left the handset: %v", wrong)
	}
	bad := []map[string]found{
		{"c": {number: 6, deleted: true}},
		{"a": {number: 2}, "c": {number: 6, deleted: true}},
		{"a": {number: 9}, "c": {number: 6, deleted: true}},
		{"a": {number: 3, deleted: true}, "c": {number: 6, deleted: true}},
		{"a": {number: 3}, "c": {number: 6}},
		{"a": {number: 3}}, // its own handset keeps what it deleted
	}
	for _, shown := range bad {
		if wrong := l.lost(shown, true); len(wrong) != 1 {
			t.Errorf("%v: %v", shown, wrong)
		}
	}
}

func TestTable(t *testing.T) {
	rows := []row{
		{"1 first", record.Contacts, map[string]*cell{"one": {Live: 3, Digest: "00aa"}, "cloud": {Live: 3, Digest: "00aa"}}},
		{"2 second", record.Contacts, map[string]*cell{"one": {Live: 3, Deleted: 1, Unsynced: 2, Digest: "0123456789"}, "cloud": {Live: 2, Digest: "00aa"}}},
	}
	var b bytes.Buffer
	printTable(&b, []string{"one", "two", "cloud"}, rows)
	for _, want := range []string{"00aa (2 equal)", "3+1 *2", "differ: one 01234567, cloud 00aa"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

func TestUntil(t *testing.T) {
	calls := 0
	err := until(t.Context(), "it happens", 30*time.Millisecond, func() (string, error) { calls++; return "not so", nil })
	if err == nil || !strings.Contains(err.Error(), "it happens: not so") || calls < 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
