package agent

import (
	"fmt"
	"testing"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// When other devices were seen is remembered across runs, without a write for
// each answer of the cloud, and within bounds whatever the cloud says.
func TestMemoryOfDevicesSeen(t *testing.T) {
	home := t.TempDir()
	m, err := openMemory(home)
	if err != nil {
		t.Fatal(err)
	}
	device := func(n int, at uint64) syncproto.DeviceSeen {
		return syncproto.DeviceSeen{Device: [32]byte{byte(n), byte(n >> 8)}, At: at}
	}
	kept := func(n int) string {
		t.Helper()
		seen, err := DevicesSeen(home)
		if err != nil {
			t.Fatal(err)
		}
		at, ok := seen[seal.DeviceKey(device(n, 0).Device).String()]
		return fmt.Sprint(len(seen), ok, at.Unix())
	}
	for _, c := range []struct {
		said []syncproto.DeviceSeen
		want string
	}{
		{[]syncproto.DeviceSeen{device(1, 1000), device(2, 1000)}, "2 true 1000"},
		{nil, "2 true 1000"},
		{[]syncproto.DeviceSeen{device(1, 1000+seenGrain-1)}, "2 true 1000"},
		{[]syncproto.DeviceSeen{device(1, 1000+seenGrain)}, fmt.Sprint("2 true ", 1000+seenGrain)},
		{[]syncproto.DeviceSeen{device(1, 1<<63)}, fmt.Sprint("2 true ", int64(1)<<40)},
	} {
		if err := m.sawDevices(c.said); err != nil {
			t.Fatal(err)
		}
		if got := kept(1); got != c.want {
			t.Errorf("after %v: %s, want %s", c.said, got, c.want)
		}
	}
	for n := range 40 * syncproto.DevicesMax {
		if err := m.sawDevices([]syncproto.DeviceSeen{device(n, 5)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.data.Seen); n > seenMax+1 {
		t.Errorf("%d devices are remembered", n)
	}
}
