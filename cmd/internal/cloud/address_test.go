package cloud

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestAddressesAreGrouped(t *testing.T) {
	for _, test := range []struct{ a, want string }{
		{"192.0.2.7", "192.0.2.7/32"}, {"::ffff:192.0.2.7", "192.0.2.7/32"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"}, {"fe80::1%eth0", "fe80::/64"},
	} {
		if got := grouped(netip.MustParseAddr(test.a)); got.String() != test.want {
			t.Errorf("%s: %s", test.a, got)
		}
	}
}

func TestForwardedFor(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, test := range []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{"203.0.113.9"}, "203.0.113.9"},
		{[]string{"198.51.100.1, 203.0.113.9, 10.1.1.1"}, "203.0.113.9"}, // the first is the client's own claim
		{[]string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		{[]string{"203.0.113.9, noise"}, ""},
		{[]string{"10.1.1.1"}, ""},
	} {
		got := forwardedFor(http.Header{"X-Forwarded-For": test.values}, proxies)
		if got.IsValid() != (test.want != "") || got.IsValid() && got.String() != test.want {
			t.Errorf("%v: %v", test.values, got)
		}
	}
}

func TestVisitors(t *testing.T) {
	limits := Limits{AddressConnections: 5, AddressUnauthenticated: 3, AddressRate: 2}
	v := visitors{limits: limits, by: map[netip.Prefix]*visitor{}}
	a, b, now := grouped(netip.MustParseAddr("192.0.2.1")), grouped(netip.MustParseAddr("192.0.2.2")), time.Unix(1_000_000, 0)
	enter := func(from netip.Prefix, want bool) {
		t.Helper()
		if got := v.enter(from, now); got != want {
			t.Errorf("enter: %v, want %v (%+v)", got, want, v.by[from])
		}
	}
	for range 3 {
		enter(a, true)
	}
	enter(a, false) // three that have not authenticated
	enter(b, true)
	for range 3 {
		v.known(a)
	}
	enter(a, true)
	enter(a, true)
	enter(a, false) // five connections
	v.leave(a, false)
	v.leave(a, false)
	enter(a, true)
	v.leave(a, false)
	enter(a, true)
	v.leave(a, false)
	enter(a, true)
	v.leave(a, false)
	enter(a, false) // eight within a second: four times the rate
	now = now.Add(time.Second)
	enter(a, true)
	enter(a, true)
	v.leave(a, false)
	enter(a, false)
	enter(netip.Prefix{}, true) // no address: not counted
	for i := range visitorsMax + 1000 {
		now = now.Add(time.Millisecond)
		from := grouped(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		if v.enter(from, now) {
			v.leave(from, false)
		}
	}
	if len(v.by) > visitorsMax {
		t.Errorf("%d addresses are remembered", len(v.by))
	}
	if o := v.by[a]; o == nil || o.open != 4 {
		t.Errorf("an address with connections was forgotten: %+v", o)
	}
}
