package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is the largest answer asked for over UDP: what passes every usual
// path without fragments.
const udpSize = 1232

// ask puts one question to the servers in turn until one gives an answer that
// can be used: the records of the name, or the certainty that there are none.
// Servers that were silent are asked a second time: a packet may get lost.
func (r *client) ask(ctx context.Context, name string, typ uint16) (*dns.Msg, error) {
	var errs []error
	servers := r.cfg.Servers
	for range 2 {
		var silent []string
		for _, server := range servers {
			if len(errs) > 0 && ctx.Err() != nil {
				break
			}
			m, err := r.askServer(ctx, server, name, typ)
			if err == nil {
				return m, nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", server, err))
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
				silent = append(silent, server)
			}
		}
		servers = silent
	}
	return nil, fmt.Errorf("look up %s %s: %w: %w", name, dns.TypeToString[typ], errors.Join(errs...), ErrTemporary)
}

// askServer asks one server, first with EDNS0; old servers that refuse it are
// asked again without (RFC 6891 §6.2.2).
func (r *client) askServer(ctx context.Context, server, name string, typ uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, typ)
	q.SetEdns0(udpSize, false)
	m, err := r.roundTrip(ctx, server, q)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		q = new(dns.Msg)
		q.SetQuestion(name, typ)
		m, err = r.roundTrip(ctx, server, q)
	}
	if err != nil {
		return nil, err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("server answers %s", dns.RcodeToString[m.Rcode])
	}
	return m, nil
}

// errGarbled: what arrived cannot be read to its end.
var errGarbled = errors.New("answer cannot be read")

// roundTrip sends q over UDP, and over TCP when the answer was cut short: by the
// server, which says so, or because it is larger than what we read.
func (r *client) roundTrip(ctx context.Context, server string, q *dns.Msg) (*dns.Msg, error) {
	m, err := r.exchange(ctx, "udp", server, q)
	if err == nil && m.Truncated || errors.Is(err, errGarbled) {
		return r.exchange(ctx, "tcp", server, q)
	}
	return m, err
}

func (r *client) exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	c := dns.Client{Net: network, Timeout: r.cfg.Timeout}
	m, _, err := c.ExchangeContext(ctx, q, server)
	if err != nil && m != nil {
		return nil, fmt.Errorf("%w: %w", errGarbled, err)
	}
	if err != nil {
		return nil, err
	}
	if err := sameQuestion(q, m); err != nil {
		return nil, err
	}
	return m, nil
}

// sameQuestion checks that m answers q: the library compares only the ID.
func sameQuestion(q, m *dns.Msg) error {
	if !m.Response {
		return errors.New("server sent a query")
	}
	if len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil // a refusal that did not read the question
	}
	if len(m.Question) != 1 {
		return errors.New("server does not repeat the question")
	}
	want, got := q.Question[0], m.Question[0]
	if !strings.EqualFold(want.Name, got.Name) || want.Qtype != got.Qtype || want.Qclass != got.Qclass {
		return fmt.Errorf("server answers another question (%q)", got.Name)
	}
	return nil
}

// follow collects the records of the type that belong to name, going through
// aliases. It returns the name at which the chain ended; rest is not empty when
// that is an alias whose target the answer says nothing about.
func follow(m *dns.Msg, name string, typ uint16) (rrs []dns.RR, rest string, ttl time.Duration) {
	ttl = maxTTL
	for range maxAliases {
		var target string
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			switch {
			case h.Rrtype == typ:
				rrs = append(rrs, rr)
			case h.Rrtype == dns.TypeCNAME:
				target = rr.(*dns.CNAME).Target
			default:
				continue
			}
			ttl = min(ttl, time.Duration(h.Ttl)*time.Second)
		}
		if len(rrs) > 0 || target == "" {
			return rrs, rest, ttl
		}
		name, rest = target, target
	}
	return nil, rest, ttl
}

// maxAliases bounds a chain of CNAME records.
const maxAliases = 10

// negativeTTL returns how long the absence in m may be remembered: the lesser
// of the SOA's own TTL and its minimum field (RFC 2308 §5).
func (r *client) negativeTTL(m *dns.Msg) time.Duration {
	if r.cfg.NegativeTTL > 0 {
		return r.cfg.NegativeTTL
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(maxNegativeTTL, time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second)
		}
	}
	return 0
}
