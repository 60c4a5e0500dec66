package matchers

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// hostLookup is what network lists need of DNS.
type hostLookup interface {
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// lookupTime bounds the look-up of one host name while the configuration loads.
const lookupTime = 5 * time.Second

// networks is a list of IPv4 and IPv6 networks.
type networks []netip.Prefix

// contains reports whether the address, as text, is in one of the networks. What
// is no address is in none.
func (n networks) contains(addr string) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, p := range n {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// networkParser reads network lists: addresses, networks with a prefix length or
// an IPv4 mask, IPv4 wildcards such as 10.2.*, and host names. Host names are
// looked up once; what cannot be found is logged and left out, as in James.
//
// Source: org.apache.james.dnsservice.library.netmatcher.NetMatcher, except that
// an IPv6 prefix is a number of bits.
type networkParser struct {
	dns hostLookup
	log *slog.Logger
}

// parse reads a comma list. An empty list has no networks.
func (p networkParser) parse(list string) (networks, error) {
	if list == "" {
		return nil, nil
	}
	var all networks
	for item := range strings.SplitSeq(list, ",") {
		n, err := p.item(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		all = append(all, n...)
	}
	return all, nil
}

func (p networkParser) item(s string) (networks, error) {
	if s == "" {
		return nil, fmt.Errorf("empty entry in a network list")
	}
	if strings.HasSuffix(s, "*") {
		return p.wildcard(s)
	}
	addr, mask := s, ""
	if i := strings.LastIndexAny(s, "/%"); i >= 0 {
		if addr, mask = s[:i], s[i+1:]; mask == "" {
			return nil, fmt.Errorf("no prefix length after %q", s)
		}
	}
	ips, isName, err := p.addresses(addr)
	if err != nil {
		return nil, err
	}
	if isName {
		return p.around(ips, s, mask)
	}
	var all networks
	for _, ip := range ips {
		n, err := network(ip, mask)
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", s, err)
		}
		all = append(all, n)
	}
	return all, nil
}

// around returns the networks of the addresses of a host. One length for both
// families makes no sense: up to 32 bits, or a mask, are meant for IPv4, more for
// IPv6, and the other family has its single addresses.
func (p networkParser) around(ips []netip.Addr, s, mask string) (networks, error) {
	n := -1
	if mask != "" {
		var err error
		if n, err = prefixLength(mask, true); err != nil || n > 128 {
			return nil, fmt.Errorf("network %q: %q is not a prefix length", s, mask)
		}
	}
	var all networks
	for _, ip := range ips {
		length := ip.BitLen()
		if n >= 0 && ip.Is4() == (n <= 32) {
			length = n
		}
		all = append(all, netip.PrefixFrom(ip, length).Masked())
	}
	return all, nil
}

// network returns the network of ip with a mask as written; without a mask it is
// the address alone.
func network(ip netip.Addr, mask string) (netip.Prefix, error) {
	n := ip.BitLen()
	if mask != "" {
		var err error
		if n, err = prefixLength(mask, ip.Is4()); err != nil {
			return netip.Prefix{}, err
		}
	}
	return ip.Prefix(n)
}

// prefixLength reads a number of bits, or an IPv4 mask such as 255.255.255.0.
func prefixLength(mask string, v4 bool) (int, error) {
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && v4 {
		b := m.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		n := bits.LeadingZeros32(^v)
		if v<<n != 0 {
			return 0, fmt.Errorf("mask %s is not a row of ones followed by zeros", mask)
		}
		return n, nil
	}
	n, err := strconv.ParseUint(mask, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is not a prefix length", mask)
	}
	return int(n), nil
}

// wildcard reads *, 10.*, 10.2.* and 10.2.3.*.
func (p networkParser) wildcard(s string) (networks, error) {
	octets := strings.Split(strings.TrimSuffix(s, "*"), ".")
	if n := len(octets) - 1; n > 3 || octets[n] != "" || strings.Contains(s, ":") {
		return nil, fmt.Errorf("%q is not a wildcard network: want *, 10.*, 10.2.* or 10.2.3.*", s)
	}
	octets = octets[:len(octets)-1]
	var b [4]byte
	for i, o := range octets {
		v, err := strconv.ParseUint(o, 10, 8)
		if err != nil {
			p.log.Warn("wildcards stand for addresses, not for names; network left out", "network", s)
			return nil, nil
		}
		b[i] = byte(v)
	}
	return networks{netip.PrefixFrom(netip.AddrFrom4(b), 8*len(octets))}, nil
}

// addresses returns the addresses that s names: itself, or those of the host.
func (p networkParser) addresses(s string) (ips []netip.Addr, isName bool, err error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" {
			return nil, false, fmt.Errorf("address %q has a zone", s)
		}
		return []netip.Addr{ip.Unmap()}, false, nil
	}
	host, err := container.ParseDomain(s)
	if err != nil {
		return nil, false, fmt.Errorf("%q is neither an address nor a host name", s)
	}
	if p.dns == nil {
		p.log.Warn("host in a network list left out: there is no DNS", "host", host)
		return nil, true, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	ips, err = p.dns.Addrs(ctx, host)
	if err != nil {
		p.log.Warn("host in a network list cannot be resolved; left out", "host", host, "err", err)
		return nil, true, nil
	}
	out := make([]netip.Addr, len(ips))
	for i, ip := range ips {
		out[i] = ip.Unmap()
	}
	return out, true, nil
}
