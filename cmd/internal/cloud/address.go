package cloud

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// visitors counts the connections of each address. It is not safe for several
// goroutines: the front's mutex guards it.
type visitors struct {
	limits Limits
	by     map[netip.Prefix]*visitor
}

// visitor is what is open from one address. IPv6 addresses of one /64 are one:
// whoever has one of them has all.
type visitor struct {
	open    int
	waiting int     // of these not authenticated
	tokens  float64 // new connections that are free
	at      time.Time
}

const (
	// burst is how many seconds' worth of new connections may come at once.
	burst = 4
	// visitorsMax bounds the addresses that are remembered without a connection.
	visitorsMax = 65_536
)

// enter counts a new connection. It reports false, and counts nothing, if the
// address has had its share.
func (v *visitors) enter(from netip.Prefix, now time.Time) bool {
	l := v.limits
	if !from.IsValid() || l.AddressConnections == 0 && l.AddressUnauthenticated == 0 && l.AddressRate == 0 {
		return true
	}
	rate := float64(l.AddressRate)
	o := v.by[from]
	if o == nil {
		if len(v.by) >= visitorsMax && !v.forget(now) {
			return false
		}
		o = &visitor{tokens: rate * burst, at: now}
		v.by[from] = o
	}
	o.tokens = min(o.tokens+rate*now.Sub(o.at).Seconds(), rate*burst)
	o.at = now
	if l.AddressConnections > 0 && o.open >= l.AddressConnections ||
		l.AddressUnauthenticated > 0 && o.waiting >= l.AddressUnauthenticated ||
		rate > 0 && o.tokens < 1 {
		return false
	}
	o.open++
	o.waiting++
	o.tokens--
	return true
}

// known says that a connection of the address has authenticated.
func (v *visitors) known(from netip.Prefix) {
	if o := v.by[from]; o != nil {
		o.waiting--
	}
}

// leave says that a connection has ended, and whether it had authenticated.
func (v *visitors) leave(from netip.Prefix, known bool) {
	o := v.by[from]
	if o == nil {
		return
	}
	o.open--
	if !known {
		o.waiting--
	}
	if o.open == 0 && v.limits.AddressRate == 0 {
		delete(v.by, from)
	}
}

// forget drops the addresses with nothing open that may come again as if new. It
// reports whether there is room now.
func (v *visitors) forget(now time.Time) bool {
	for from, o := range v.by {
		if o.open == 0 && now.Sub(o.at) >= burst*time.Second {
			delete(v.by, from)
		}
	}
	return len(v.by) < visitorsMax
}

// grouped returns what counts as one address.
func grouped(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // not an address: counted nowhere
	}
	return p
}

func addressOf(addr net.Addr) netip.Addr {
	if a, ok := addr.(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// forwardedFor returns the address that a trusted proxy says it forwards for: the
// last one in X-Forwarded-For that is not a trusted proxy's own. What stands
// before it anybody could have written.
func forwardedFor(h http.Header, proxies []netip.Prefix) netip.Addr {
	list := strings.Split(strings.Join(h.Values("X-Forwarded-For"), ","), ",")
	for _, entry := range slices.Backward(list) {
		a, err := netip.ParseAddr(strings.TrimSpace(entry))
		if err != nil {
			return netip.Addr{}
		}
		if a = a.Unmap(); !within(proxies, a) {
			return a
		}
	}
	return netip.Addr{}
}
