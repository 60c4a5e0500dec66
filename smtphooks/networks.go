package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container/dns"
)

// Networks is a set of addresses, as <authorizedAddresses> writes it.
type Networks []netip.Prefix

// Contains reports whether ip is in the set.
func (n Networks) Contains(ip netip.Addr) bool {
	for _, p := range n {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// NetworkHost is an entry whose addresses must be looked up.
type NetworkHost struct {
	Name string
	bits string
}

// ParseNetwork reads one entry: an address, 127.*, *, address/bits,
// address/mask, address%bits, or a host name with or without bits. Exactly one of
// the results is set.
func ParseNetwork(word string) (n Networks, h *NetworkHost, err error) {
	if word == "*" {
		return Networks{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}, nil, nil
	}
	if strings.HasSuffix(word, ".*") {
		p, err := parseWildcard(word)
		return Networks{p}, nil, err
	}
	base, bits, _ := strings.Cut(strings.Replace(word, "%", "/", 1), "/")
	ip, err := netip.ParseAddr(strings.Trim(base, "[]"))
	if err != nil {
		if base == "" || strings.ContainsAny(base, ":*") || strings.Trim(base, "0123456789.") == "" {
			return nil, nil, fmt.Errorf("%q is neither an address nor a network nor a host name", word)
		}
		if _, err := maskBits(bits, 32); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", word, err)
		}
		return nil, &NetworkHost{Name: base, bits: bits}, nil
	}
	p, err := prefix(ip, bits)
	if err != nil {
		return nil, nil, fmt.Errorf("%q: %w", word, err)
	}
	return Networks{p}, nil, nil
}

// parseWildcard reads 127.* and the like: the written octets count.
func parseWildcard(word string) (netip.Prefix, error) {
	parts := strings.Split(word, ".")
	for i, p := range parts {
		if p == "*" {
			parts = parts[:i]
			break
		}
	}
	text := strings.Join(parts, ".") + strings.Repeat(".0", max(0, 4-len(parts)))
	ip, err := netip.ParseAddr(text)
	if err != nil || strings.Count(word, ".") > 3 {
		return netip.Prefix{}, fmt.Errorf("%q is not a network", word)
	}
	return netip.PrefixFrom(ip, 8*len(parts)), nil
}

func prefix(ip netip.Addr, bits string) (netip.Prefix, error) {
	ip = ip.Unmap().WithZone("")
	n, err := maskBits(bits, ip.BitLen())
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(ip, n).Masked(), nil
}

// maskBits reads a number of bits or an IPv4 mask; nothing means all bits.
func maskBits(s string, size int) (int, error) {
	if s == "" {
		return size, nil
	}
	if mask, err := netip.ParseAddr(s); err == nil && mask.Is4() && size == 32 {
		b := mask.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		n := 0
		for v&(1<<31) != 0 {
			v <<= 1
			n++
		}
		if v != 0 {
			return 0, fmt.Errorf("mask %s has gaps", s)
		}
		return n, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > size {
		return 0, fmt.Errorf("%q is not a number of bits from 0 to %d, nor a mask", s, size)
	}
	return n, nil
}

// Resolve looks the addresses of h up.
func (h NetworkHost) Resolve(ctx context.Context, r dns.Resolver) (Networks, error) {
	ips := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	if !strings.EqualFold(h.Name, "localhost") {
		var err error
		if ips, err = r.Addrs(ctx, h.Name); err != nil {
			return nil, fmt.Errorf("look up %s: %w", h.Name, err)
		}
	}
	var out Networks
	for _, ip := range ips {
		bits := h.bits
		if ip.Unmap().Is6() {
			bits = "" // a mask written for IPv4 says nothing about the other family
		}
		p, err := prefix(ip, bits)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// networkList is a list of networks and host names in the parameter of a hook.
// Host names are looked up when the list is asked, with the cache of the
// resolver.
type networkList struct {
	networks Networks
	hosts    []NetworkHost
}

// parseNetworkList reads the items of a list.
func parseNetworkList(items []string) (networkList, error) {
	var l networkList
	for _, word := range items {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		n, h, err := ParseNetwork(word)
		if err != nil {
			return networkList{}, err
		}
		l.networks = append(l.networks, n...)
		if h != nil {
			l.hosts = append(l.hosts, *h)
		}
	}
	return l, nil
}

// contains reports whether ip is in the list. The error is of host names that
// cannot be looked up now, when no other entry has the address.
func (l networkList) contains(ctx context.Context, r dns.Resolver, ip netip.Addr) (bool, error) {
	if l.networks.Contains(ip) {
		return true, nil
	}
	if len(l.hosts) == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	var failed error
	for _, h := range l.hosts {
		n, err := h.Resolve(ctx, r)
		if n.Contains(ip) {
			return true, nil
		}
		if err != nil && !errors.Is(err, dns.ErrNotFound) {
			failed = err
		}
	}
	return false, failed
}

// lookupLimit bounds all DNS lookups that one command of a client causes in one
// handler.
const lookupLimit = 10 * time.Second
