package agent

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"sidekeep/syncproto/seal"
)

// target is a cloud's address.
type target struct {
	url    string // to dial
	origin string // scheme://host:port, signed in the handshake
	tls    bool
}

// parseTarget reads a cloud's address. A missing path means /sync. Plain ws is
// for loopback, unless it is allowed.
func parseTarget(raw string, allowPlain bool) (target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return target{}, fmt.Errorf("%q is not a ws:// or wss:// address", raw)
	}
	origin, err := seal.Origin(raw)
	if err != nil {
		return target{}, err
	}
	host := strings.ToLower(u.Hostname())
	if u.Scheme == "ws" && !allowPlain && !isLoopback(host) {
		return target{}, fmt.Errorf("%s: %w: ws:// is for loopback only", host, ErrPlain)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/sync"
	}
	return target{url: u.String(), origin: origin, tls: u.Scheme == "wss"}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
