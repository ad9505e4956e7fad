package export

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// notPublic are address ranges that a webhook does not reach unless its
// configuration allows them: this machine, private networks, and what a cloud
// or a router offers to its own. Ranges that carry IPv4 addresses inside IPv6
// ones are among them, since their end is not seen here.
func notPublic() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// parseAllowed reads the ranges that a configuration allows.
func parseAllowed(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil || a.Zone() != "" {
				return nil, fmt.Errorf("allow: %q is no address range; it is to be like 10.1.2.0/24 or 10.1.2.3", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// errAddress is a refused address.
var errAddress = errors.New("the address is not public")

// checkAddress refuses an address that is not public and not allowed.
func checkAddress(address string, refused, allowed []netip.Prefix) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errAddress, address)
	}
	a := ap.Addr().Unmap().WithZone("")
	for _, p := range allowed {
		if p.Contains(a) {
			return nil
		}
	}
	for _, p := range refused {
		if p.Contains(a) {
			return fmt.Errorf("%w: %s is in %s; if it is meant, name it under allow in the sink's configuration", errAddress, a, p)
		}
	}
	return nil
}

// guardedDial dials as the standard library does, and checks the address that
// is really connected to, after its name was resolved: a name that resolves
// to something else the second time gains nothing.
func guardedDial(allowed []netip.Prefix) func(context.Context, string, string) (net.Conn, error) {
	refused := notPublic()
	d := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		return checkAddress(address, refused, allowed)
	}}
	return d.DialContext
}

// hostOnly is an error of an HTTP client without its URL, whose path or query
// may be a secret.
func hostOnly(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	where := "the receiver"
	if p, perr := url.Parse(u.URL); perr == nil {
		where = p.Host
	}
	return fmt.Errorf("%s %s: %w", u.Op, where, u.Err)
}
