package endtoend

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
)

// TestPicturesWaitForRoom: a device with little space left takes records, and
// fetches pictures when there is room again.
func TestPicturesWaitForRoom(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	picture := a.picture("beach", 400_000)
	a.add(record.Contacts, "ada", "FN", "Ada")
	a.sync()

	var free atomic.Uint64
	free.Store(1 << 20)
	b := person.join(t, "b", cloud.URL, func(c *agent.Config) {
		c.FreeBytes = func() (uint64, error) { return free.Load(), nil }
		c.SpaceEvery = 20 * time.Millisecond
	})
	err := b.trySync(30 * time.Second)
	var not *agent.NotInSyncError
	if !errors.As(err, &not) || not.ChunksMissing != 7 || len(not.Kinds) != 0 {
		t.Fatalf("a sync with little space: %v", err)
	}
	b.get("ada")

	b.run()
	a.add(record.Notes, "n", "SUMMARY", "records go on")
	a.sync()
	b.has("n", "SUMMARY:records", 10*time.Second)
	s, err := b.agent.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, p := range s.Problems {
		told = told || p.Code == "space"
	}
	if !told || s.Blobs.Missing != 7 || s.InSync() {
		t.Errorf("status with little space: %+v", s)
	}
	free.Store(1 << 30)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s, err = b.agent.Status(context.Background()); err != nil {
			t.Fatal(err)
		}
		if s.Blobs.Missing == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not go on when there is room: %+v", s)
		}
	}
	sameBytes(t, "picture on b", b.pictureBytes("beach"), picture)
}

// TestTheClockDecidesNothing lets two devices whose clocks say 1970, 2038 and
// anything between edit the same records: what wins is as with equal clocks.
func TestTheClockDecidesNothing(t *testing.T) {
	play := func(clocks func(device, step int) time.Time) []string {
		cloud := cloudtest.Start(t, cloudtest.Options{})
		person := newAccount(t)
		var step int
		join := func(name string, n int) *device {
			return person.join(t, name, cloud.URL, func(c *agent.Config) { c.Now = func() time.Time { return clocks(n, step) } })
		}
		a, b := join("a", 0), join("b", 1)
		a.add(record.Contacts, "ada", "FN", "Ada")
		a.add(record.Contacts, "bob", "FN", "Bob")
		settle(a, b)
		for step = 1; step <= 4; step++ {
			first, second := a, b
			if step%2 == 0 {
				first, second = b, a
			}
			first.set("ada", "NOTE", fmt.Sprintf("first of %d", step))
			settle(first, second)
			second.set("ada", "NOTE", fmt.Sprintf("then of %d", step)) // has seen it: wins
			first.set("ada", "ORG", fmt.Sprintf("beside %d", step))
			settle(second, first)
			same(t, a, b)
		}
		b.remove("bob")
		settle(b, a)
		var out []string
		for _, name := range []string{"ada", "bob"} {
			r := a.get(name)
			out = append(out, fmt.Sprintln(r.Deleted, line(&r, "NOTE:"), line(&r, "ORG:"), len(r.Conflicts)))
		}
		return out
	}
	now := time.Now()
	want := fmt.Sprint(play(func(int, int) time.Time { return now }))
	if want != "[false NOTE:then of 4 ORG:beside 4 0\n true   0\n]" {
		t.Errorf("with equal clocks: %s", want)
	}
	for name, clocks := range map[string]func(int, int) time.Time{
		"1970 and 2038": func(d, _ int) time.Time { return time.Unix(int64(d)*2147483648, 0) },
		"2038 and 1970": func(d, _ int) time.Time { return time.Unix(int64(1-d)*2147483648, 0) },
		"jumping":       func(d, step int) time.Time { return time.Unix(int64((step*7+d*3)%5)*500_000_000, 0) },
	} {
		if got := fmt.Sprint(play(clocks)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
