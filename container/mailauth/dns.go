package mailauth

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/mailetd/mailetd/container/dns"
)

// Resolver is what this package needs of DNS.
type Resolver interface {
	MX(ctx context.Context, domain string) ([]dns.MX, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
	Reverse(ctx context.Context, ip netip.Addr) (string, error)
	TXT(ctx context.Context, name string) ([]string, error)
}

// netResolver has the methods of *net.Resolver that the libraries call. They
// look at errors of type *net.DNSError, unwrapped.
type netResolver struct{ r Resolver }

func dnsError(name string, err error) error {
	if err == nil {
		return nil
	}
	return &net.DNSError{
		Err: err.Error(), Name: name,
		IsNotFound: errors.Is(err, dns.ErrNotFound), IsTemporary: !errors.Is(err, dns.ErrNotFound),
	}
}

// LookupTXT returns the TXT records of name.
func (n netResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	txts, err := n.r.TXT(ctx, name)
	return txts, dnsError(name, err)
}

// LookupMX returns the exchangers of name; a null MX (RFC 7505) is none.
func (n netResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	list, err := n.r.MX(ctx, name)
	var out []*net.MX
	for _, mx := range list {
		if mx.Host != "." {
			out = append(out, &net.MX{Host: mx.Host, Pref: mx.Pref})
		}
	}
	return out, dnsError(name, err)
}

// LookupIPAddr returns the addresses of a host.
func (n netResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	list, err := n.r.Addrs(ctx, host)
	var out []net.IPAddr
	for _, a := range list {
		out = append(out, net.IPAddr{IP: a.AsSlice()})
	}
	return out, dnsError(host, err)
}

// LookupAddr returns the first name of an address.
func (n netResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: addr, IsNotFound: true}
	}
	name, err := n.r.Reverse(ctx, ip)
	if err != nil {
		return nil, dnsError(addr, err)
	}
	return []string{name}, nil
}
