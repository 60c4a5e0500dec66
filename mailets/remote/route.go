package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/mailetd/mailetd/container/dns"
)

// target is one address to contact, and the name it was found under.
type target struct {
	host string
	addr netip.AddrPort
}

// maxTargets bounds how many addresses one attempt contacts, so that a domain
// with hundreds of dead ones does not keep a worker for hours.
const maxTargets = 32

// candidates returns the addresses to try for a domain, best first. retries is
// how often the mail was retried before.
func (in *Instance) candidates(ctx context.Context, domain string, retries int) ([]target, error) {
	var out []target
	var err error
	switch ip, perr := netip.ParseAddr(domain); {
	case len(in.cfg.Gateways) > 0:
		out, err = in.gatewayTargets(ctx)
	case perr == nil && isNowhere(ip):
		err = noHost(domain, false)
	case perr == nil:
		out, err = in.withoutSelf(domain, []dns.MX{{Host: domain}}, [][]netip.Addr{{ip.Unmap()}})
	default:
		out, err = in.mxTargets(ctx, domain, retries)
	}
	return out[:min(len(out), maxTargets)], err
}

// gatewayTargets resolves the gateways, in random order with load balancing.
// Those that do not resolve are passed over. As in James, a set of gateways
// without any address is a temporary failure: the fault is ours.
func (in *Instance) gatewayTargets(ctx context.Context) ([]target, error) {
	list := slices.Clone(in.cfg.Gateways)
	if in.cfg.LoadBalance {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	var out []target
	var errs []error
	circle := false
	for _, g := range list {
		port := g.Port
		if port == 0 {
			port = in.cfg.port()
		}
		addrs, err := in.addrs(ctx, g.Host)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, ip := range addrs {
			t := target{g.Host, netip.AddrPortFrom(ip, uint16(port))}
			// Another port of this host may be a filter; our own is a circle.
			if in.services.Self != nil && in.services.Self(t.addr) {
				circle = true
				continue
			}
			out = append(out, t)
		}
	}
	if len(out) == 0 && circle {
		return nil, &cause{status: "5.4.6", permanent: true, text: "the gateway is this server: mail for it loops back"}
	}
	if len(out) == 0 {
		return nil, &cause{status: "4.4.3", text: "no address of a gateway found", err: errors.Join(errs...)}
	}
	return out, nil
}

// mxTargets follows RFC 5321 §5.1: the exchangers in order of preference, or
// the domain itself when it has none.
func (in *Instance) mxTargets(ctx context.Context, domain string, retries int) ([]target, error) {
	mxs, err := in.services.DNS.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNotFound):
		mxs = []dns.MX{{Host: domain}}
	case err != nil:
		return nil, temporaryDNS(domain, err)
	case len(mxs) == 1 && mxs[0].Host == ".":
		return nil, &cause{status: "5.1.10", code: 556, permanent: true, text: fmt.Sprintf("domain %s takes no mail (null MX)", domain)}
	}
	implicit := err != nil
	mxs = mxs[:min(len(mxs), maxTargets)]
	addrs, found, temporary := in.resolveAll(ctx, mxs)
	switch {
	case found:
		return in.withoutSelf(domain, mxs, addrs)
	case temporary != nil:
		return nil, temporaryDNS(domain, temporary)
	case implicit:
		return nil, noHost(domain, retries < in.cfg.MaxDNSRetries)
	default:
		// As James: the exchangers are named, only their addresses are missing.
		return nil, &cause{status: "4.4.4", text: fmt.Sprintf("no mail server of %s has an address", domain)}
	}
}

// resolveAll resolves all exchangers at once. It tells whether there is any
// address, and why one may be missing for now.
func (in *Instance) resolveAll(ctx context.Context, mxs []dns.MX) (addrs [][]netip.Addr, found bool, temporary error) {
	addrs = make([][]netip.Addr, len(mxs))
	errs := make([]error, len(mxs))
	var wg sync.WaitGroup
	for i, mx := range mxs[1:] {
		wg.Go(func() { addrs[i+1], errs[i+1] = in.addrs(ctx, mx.Host) })
	}
	addrs[0], errs[0] = in.addrs(ctx, mxs[0].Host)
	wg.Wait()
	for i, err := range errs {
		found = found || len(addrs[i]) > 0
		if errors.Is(err, dns.ErrTemporary) {
			temporary = err
		}
	}
	return addrs, found, temporary
}

// withoutSelf puts the addresses in order, and leaves out this host with all
// that is not preferred to it: mail must not go round in circles (RFC 5321
// §5.1).
func (in *Instance) withoutSelf(domain string, mxs []dns.MX, addrs [][]netip.Addr) ([]target, error) {
	limit := len(mxs)
	for i, mx := range mxs {
		if in.isSelf(mx.Host, addrs[i]) {
			limit = slices.IndexFunc(mxs, func(m dns.MX) bool { return m.Pref == mx.Pref })
			break
		}
	}
	if limit == 0 {
		return nil, &cause{status: "5.4.6", permanent: true, text: fmt.Sprintf("mail for %s loops back to this host", domain)}
	}
	var out []target
	for i, mx := range mxs[:limit] {
		for _, ip := range addrs[i] {
			out = append(out, target{mx.Host, netip.AddrPortFrom(ip, uint16(in.cfg.port()))})
		}
	}
	if len(out) == 0 {
		return nil, &cause{status: "4.4.4", text: fmt.Sprintf("no mail server of %s that is preferred to this host has an address", domain)}
	}
	return out, nil
}

// addrs resolves a host, leaving out addresses that no host has, and those of a
// family that the configured local address cannot reach.
func (in *Instance) addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	all, err := in.services.DNS.Addrs(ctx, host)
	if err != nil {
		return nil, err
	}
	bind := in.cfg.Bind
	out := slices.DeleteFunc(slices.Clone(all), func(ip netip.Addr) bool {
		return isNowhere(ip) || bind.IsValid() && ip.Is4() != bind.Is4()
	})
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no address that can be reached: %w", host, dns.ErrNotFound)
	}
	return out, nil
}

// isNowhere reports whether an address is none of a host. The system takes 0.0.0.0
// and :: for this machine, so that a stranger's domain could send mail round and
// round.
func isNowhere(ip netip.Addr) bool {
	return ip.IsUnspecified() || ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// isSelf reports whether a host is this server, by name or by one of its
// addresses.
func (in *Instance) isSelf(host string, addrs []netip.Addr) bool {
	for _, name := range []string{in.services.Hostname, in.cfg.HeloName} {
		if name != "" && strings.EqualFold(host, strings.TrimSuffix(name, ".")) {
			return true
		}
	}
	self := in.services.Self
	return self != nil && slices.ContainsFunc(addrs, func(ip netip.Addr) bool {
		port := uint16(in.cfg.port())
		if ip.IsLoopback() && (self(netip.AddrPortFrom(netip.IPv4Unspecified(), port)) || self(netip.AddrPortFrom(netip.IPv6Unspecified(), port))) {
			return true // who listens everywhere does so on all of 127.0.0.0/8
		}
		return self(netip.AddrPortFrom(ip, port))
	})
}

func temporaryDNS(domain string, err error) error {
	return &cause{status: "4.4.3", text: "Temporary problem looking up mail server for host: " + domain, err: err}
}

func noHost(domain string, again bool) error {
	c := &cause{status: "5.1.2", permanent: true, text: fmt.Sprintf("There are no DNS entries for the hostname %s", domain)}
	if again {
		c.permanent, c.status = false, "4.1.2"
	}
	return c
}
