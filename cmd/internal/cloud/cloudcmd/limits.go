package cloudcmd

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"sidekeep/cmd/internal/cloud"
)

// limitFlags are the flags of serve that bound what clients can make it hold.
type limitFlags struct {
	memory       string
	counts       cloud.Limits
	trustedProxy []string
}

// filesKept are the open files that are no connections.
const filesKept = 64

func (f *limitFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.memory, "memory", fmt.Sprintf("%dMiB", cloud.MemoryDefault>>20), "memory to stay within, such as 256MiB or 2GiB")
	fl.IntVar(&f.counts.Sessions, "sessions", 0, "connections at once (default: by memory and open files, at most 10000)")
	fl.IntVar(&f.counts.Unauthenticated, "unauthenticated", 0, "connections at once that have not authenticated (default: by memory, at most 1024)")
	fl.IntVar(&f.counts.Reseeds, "reseeds", 0, "accounts that write in bulk at once (default: by memory, at most 64)")
	fl.IntVar(&f.counts.AddressConnections, "address-connections", 0,
		fmt.Sprintf("connections of one address at once, 0 without bound (default %d, on loopback 0)", cloud.AddressConnectionsPublic))
	fl.IntVar(&f.counts.AddressUnauthenticated, "address-unauthenticated", 0,
		fmt.Sprintf("of these not authenticated, 0 without bound (default %d, on loopback 0)", cloud.AddressUnauthenticatedPublic))
	fl.IntVar(&f.counts.AddressRate, "address-rate", 0,
		fmt.Sprintf("new connections of one address in a second, 0 without bound (default %d, on loopback 0)", cloud.AddressRatePublic))
	fl.DurationVar(&f.counts.AuthTime, "auth-time", cloud.AuthTimeDefault, "time in which a connection must have authenticated")
	fl.DurationVar(&f.counts.MessageGrace, "message-grace", cloud.MessageGraceDefault, "time in which a message that began must be whole, and a second more for each KiB")
	fl.StringArrayVar(&f.trustedProxy, "trusted-proxy", nil, "address or network of a reverse proxy whose X-Forwarded-For is believed")
}

// limits returns the limits; local says that only this machine can connect.
func (f *limitFlags) limits(fl *pflag.FlagSet, local bool) (cloud.Limits, error) {
	l := f.counts
	memory, err := parseBytes(f.memory)
	if err != nil {
		return l, fmt.Errorf("%w: --memory %s: %w", errUsage, f.memory, err)
	}
	l.Memory = memory
	if !local {
		for name, n := range map[string]struct {
			to     *int
			public int
		}{
			"address-connections":     {&l.AddressConnections, cloud.AddressConnectionsPublic},
			"address-unauthenticated": {&l.AddressUnauthenticated, cloud.AddressUnauthenticatedPublic},
			"address-rate":            {&l.AddressRate, cloud.AddressRatePublic},
		} {
			if !fl.Changed(name) {
				*n.to = n.public
			}
		}
	}
	full, err := l.Filled()
	if err != nil {
		return l, fmt.Errorf("%w: %w", errUsage, hinted{err, "raise --memory, or lower --sessions and --unauthenticated"})
	}
	return fitFiles(full, fl)
}

// fitFiles takes account of how many files the process may open.
func fitFiles(l cloud.Limits, fl *pflag.FlagSet) (cloud.Limits, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur > 1<<30 {
		return l, nil
	}
	// Go has raised the soft limit to the hard one.
	room := int(files.Cur) - filesKept - l.Unauthenticated
	if l.Sessions <= room {
		return l, nil
	}
	if fl.Changed("sessions") || room <= 0 {
		return l, fmt.Errorf("%w: %w", errUsage, hinted{
			fmt.Errorf("%d sessions and %d unauthenticated connections need more than the %d open files that this process may have", l.Sessions, l.Unauthenticated, files.Cur),
			"raise the limit (ulimit -n, LimitNOFILE), or lower --sessions and --unauthenticated"})
	}
	l.Sessions = room
	return l, nil
}

func (f *limitFlags) proxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range f.trustedProxy {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: --trusted-proxy %s: not an address or network", errUsage, text)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// parseBytes reads a size such as 512MiB; without a unit it is in bytes.
func parseBytes(text string) (int64, error) {
	number, shift := strings.TrimSpace(text), 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if n, ok := strings.CutSuffix(number, unit); ok {
			number, shift = strings.TrimSpace(n), bits
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > 1<<62>>shift {
		return 0, fmt.Errorf("not a size such as 512MiB")
	}
	return n << shift, nil
}
