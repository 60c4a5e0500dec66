package dns

import (
	"context"
	"errors"
	"net/netip"
)

// MX is one mail exchanger of a domain. Host is in lower case, without the
// final dot; "." stands for a null MX (RFC 7505).
type MX struct {
	Host string
	Pref uint16
}

// Errors of a Resolver. Everything else is a programming error.
var (
	// ErrNotFound: the name does not exist, or has no record of the type.
	ErrNotFound = errors.New("no such record")
	// ErrTemporary: no usable answer now (timeout, SERVFAIL, refused).
	ErrTemporary = errors.New("temporary DNS failure")
)

// Resolver looks names up. Names are absolute, with or without the final dot.
// Errors wrap ErrNotFound or ErrTemporary.
type Resolver interface {
	// MX returns the exchangers in order of preference, equal ones shuffled. It
	// does not fall back to the domain itself.
	MX(ctx context.Context, domain string) ([]MX, error)
	// Addrs returns the IPv4 and IPv6 addresses of a host.
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
	// Reverse returns the first PTR name of an address.
	Reverse(ctx context.Context, ip netip.Addr) (string, error)
	TXT(ctx context.Context, name string) ([]string, error)
}
