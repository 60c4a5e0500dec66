package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// client is the Resolver over a set of servers.
type client struct {
	cfg   Config
	cache *cache
}

// New returns a resolver with a cache of its own. It is safe for concurrent
// use, and opens nothing until it is asked.
func New(c Config) Resolver {
	c = c.withDefaults()
	return &client{cfg: c, cache: newCache(c.CacheSize)}
}

// records returns the records of the type at name, from the cache or a server.
// The result is shared and must not be changed.
func (r *client) records(ctx context.Context, name string, typ uint16) ([]dns.RR, error) {
	key := cacheKey{name, typ}
	e, ok := r.cache.get(key, r.cfg.Now())
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, r.cfg.Total)
		defer cancel()
		rrs, ttl, err := r.fetch(ctx, name, typ)
		if err != nil {
			return nil, err
		}
		now := r.cfg.Now()
		e = cacheEntry{rrs: rrs, expires: now.Add(ttl)}
		r.cache.put(key, e, now)
	}
	if len(e.rrs) == 0 {
		return nil, fmt.Errorf("%s has no %s record: %w", strings.TrimSuffix(name, "."), dns.TypeToString[typ], ErrNotFound)
	}
	return e.rrs, nil
}

// fetch asks for name and for the targets of aliases until there is an answer.
func (r *client) fetch(ctx context.Context, name string, typ uint16) ([]dns.RR, time.Duration, error) {
	ttl := maxTTL
	for range maxAliases {
		m, err := r.ask(ctx, name, typ)
		if err != nil {
			return nil, 0, err
		}
		rrs, rest, t := follow(m, name, typ)
		ttl = min(ttl, t)
		if len(rrs) > 0 {
			return rrs, ttl, nil
		}
		if rest == "" || m.Rcode == dns.RcodeNameError || hasSOA(m) {
			return nil, min(ttl, r.negativeTTL(m)), nil
		}
		next, err := canonical(rest)
		if err != nil {
			return nil, 0, fmt.Errorf("alias at %s: %w", name, err)
		}
		if next == name {
			break
		}
		name = next
	}
	return nil, 0, fmt.Errorf("look up %s %s: chain of aliases does not end: %w", name, dns.TypeToString[typ], ErrTemporary)
}

// hasSOA tells an answer that speaks about the end of a chain of aliases, and
// says that nothing is there, from one that stops half way (RFC 2308 §2.2).
func hasSOA(m *dns.Msg) bool {
	return slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
}

// MX implements Resolver. A domain that has exchangers, none of which has a
// usable name, gives ErrTemporary: the domain's own address must not be used
// instead (RFC 5321 §5.1).
func (r *client) MX(ctx context.Context, domain string) ([]MX, error) {
	if _, ok := literal(domain); ok {
		return nil, fmt.Errorf("%s is an address, not a domain: %w", domain, ErrNotFound)
	}
	name, err := canonical(domain)
	if err != nil {
		return nil, err
	}
	if isLocalhost(name) {
		return nil, fmt.Errorf("localhost has no MX record: %w", ErrNotFound)
	}
	rrs, err := r.records(ctx, name, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	out := make([]MX, 0, len(rrs))
	for _, rr := range rrs {
		mx := rr.(*dns.MX)
		host := strings.ToLower(strings.TrimSuffix(mx.Mx, "."))
		switch {
		case host == "" && len(rrs) == 1:
			return []MX{{Host: ".", Pref: mx.Preference}}, nil // RFC 7505 §3
		case validName(host):
			out = append(out, MX{Host: host, Pref: mx.Preference})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no MX record names a host: %w", domain, ErrTemporary)
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	slices.SortStableFunc(out, func(a, b MX) int { return int(a.Pref) - int(b.Pref) })
	return out, nil
}

// Addrs implements Resolver: IPv4 addresses first. One family is enough for an
// answer; when there is none, a temporary failure of either counts.
func (r *client) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, ok := literal(host); ok {
		return []netip.Addr{ip}, nil
	}
	name, err := canonical(host)
	if err != nil {
		return nil, err
	}
	if isLocalhost(name) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	var rrs [2][]dns.RR
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() { rrs[1], errs[1] = r.records(ctx, name, dns.TypeAAAA) })
	rrs[0], errs[0] = r.records(ctx, name, dns.TypeA)
	wg.Wait()
	out := appendAddrs(appendAddrs(nil, rrs[0]), rrs[1])
	if len(out) > 0 {
		return out, nil
	}
	if errors.Is(errs[1], ErrTemporary) {
		return nil, errs[1]
	}
	if errs[0] == nil {
		errs[0] = fmt.Errorf("%s has no usable address: %w", host, ErrNotFound)
	}
	return nil, errs[0]
}

func appendAddrs(out []netip.Addr, rrs []dns.RR) []netip.Addr {
	for _, rr := range rrs {
		var b []byte
		switch t := rr.(type) {
		case *dns.A:
			b = t.A
		case *dns.AAAA:
			b = t.AAAA
		}
		if ip, ok := netip.AddrFromSlice(b); ok && !slices.Contains(out, ip.Unmap()) {
			out = append(out, ip.Unmap())
		}
	}
	return out
}

// Reverse implements Resolver.
func (r *client) Reverse(ctx context.Context, ip netip.Addr) (string, error) {
	if !ip.IsValid() {
		return "", fmt.Errorf("no address: %w", ErrNotFound)
	}
	name, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return "", fmt.Errorf("reverse name of %s: %v: %w", ip, err, ErrNotFound)
	}
	rrs, err := r.records(ctx, name, dns.TypePTR)
	if err != nil {
		return "", err
	}
	for _, rr := range rrs {
		if host := strings.ToLower(strings.TrimSuffix(rr.(*dns.PTR).Ptr, ".")); validName(host) {
			return host, nil
		}
	}
	return "", fmt.Errorf("no PTR record of %s names a host: %w", ip, ErrNotFound)
}

// TXT implements Resolver. The parts of one record are joined.
func (r *client) TXT(ctx context.Context, name string) ([]string, error) {
	n, err := canonical(name)
	if err != nil {
		return nil, err
	}
	rrs, err := r.records(ctx, n, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(rrs))
	for _, rr := range rrs {
		out = append(out, unescape(strings.Join(rr.(*dns.TXT).Txt, "")))
	}
	return out, nil
}

// unescape undoes the zone file form (\" \\ \DDD) in which the library gives
// text.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		if i+2 < len(s) && isDigit(s[i]) && isDigit(s[i+1]) && isDigit(s[i+2]) {
			b = append(b, byte(int(s[i]-'0')*100+int(s[i+1]-'0')*10+int(s[i+2]-'0')))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
