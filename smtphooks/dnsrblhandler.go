package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// DNSRBLHandler refuses clients whose address is in a DNS blacklist (RFC 5782).
//
//	<handler class="org.apache.james.smtpserver.fastfail.DNSRBLHandler">
//	  <rblservers>
//	    <whitelist>list.dnswl.org</whitelist>
//	    <blacklist>zen.spamhaus.org</blacklist>
//	    <blacklist>bl.spamcop.net</blacklist>
//	  </rblservers>
//	  <getDetail>false</getDetail>
//	</handler>
//
// The lists are asked once for a connection, at the first MAIL or RCPT, the white
// ones first; then the sender and each recipient are refused with "554 5.7.1
// Rejected: unauthenticated e-mail from /{ip} is restricted.  Contact the
// postmaster for details." Clients that may relay are left alone. A list
// that does not answer counts as one that does not have the address; all lists
// together have 10 seconds. But a client in a black list is put off with "451 4.4.3"
// while a white one does not answer.
//
// Parameters:
//
//   - rblservers.whitelist (repeatable): the zone of a list that vouches for its
//     addresses.
//   - rblservers.blacklist (repeatable): the zone of a list. One list of either
//     kind is required.
//   - getDetail (default false): whether the TXT record of the list is the text of
//     the reply.
//
// Differs from James: IPv6 addresses are looked up too; an answer outside
// 127.0.0.0/8 is no listing, nor is one in 127.255.255.0/24, with which lists
// refuse to answer; a white list that does not answer is a reason to put off, not
// to refuse; zones may be written as a comma list.
type DNSRBLHandler struct {
	s            Services
	white, black []string
	detail       bool
}

func newDNSRBL(p *conf.Params, s Services) any {
	h := &DNSRBLHandler{s: s, white: zones(p, "rblservers.whitelist"), black: zones(p, "rblservers.blacklist"),
		detail: p.Bool("getDetail", false)}
	if len(h.white)+len(h.black) == 0 {
		p.Fail("", errors.New("please configure whitelist or blacklist"))
	}
	return h
}

// zones reads a list of domains.
func zones(p *conf.Params, name string) []string {
	var out []string
	for _, word := range p.List(name) {
		zone, err := container.ParseDomain(strings.TrimSuffix(word, "."))
		if err != nil {
			p.Fail(name, fmt.Errorf("want the zone of a list: %w", err))
			continue
		}
		out = append(out, zone)
	}
	return out
}

// Key of the connection state for what the lists say of the client.
type rblKey struct{ h *DNSRBLHandler }

// Mail implements MailHook.
func (h *DNSRBLHandler) Mail(ctx context.Context, s *Session, _ container.Address) Decision {
	return h.judge(ctx, s)
}

// Rcpt implements RcptHook.
func (h *DNSRBLHandler) Rcpt(ctx context.Context, s *Session, _ Recipient) Decision {
	return h.judge(ctx, s)
}

func (h *DNSRBLHandler) judge(ctx context.Context, s *Session) Decision {
	if s.Relaying {
		return Decision{}
	}
	d, known := s.State(rblKey{h}).(Decision)
	if !known {
		d = h.ask(ctx, s.RemoteAddr)
		s.SetState(rblKey{h}, d)
	}
	return d
}

// ask looks the address up in all lists, until one has it.
func (h *DNSRBLHandler) ask(ctx context.Context, ip netip.Addr) Decision {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	unsure := false
	for _, zone := range h.white {
		ok, err := h.listed(ctx, reversed(ip)+zone)
		if ok {
			return Decision{}
		}
		unsure = unsure || err != nil
	}
	for _, zone := range h.black {
		name := reversed(ip) + zone
		if ok, _ := h.listed(ctx, name); !ok {
			continue
		}
		if unsure {
			return Defer(451, "4.4.3", "Temporarily rejected: Problem on looking up "+ip.String())
		}
		h.s.Log.InfoContext(ctx, "client is in a blacklist", "client", ip.String(), "list", zone)
		if text := listDetail(ctx, h.s.DNS, name, h.detail); text != "" {
			return Refuse(554, "5.7.1", text)
		}
		return Refuse(554, "5.7.1", fmt.Sprintf("Rejected: unauthenticated e-mail from /%s is restricted.  Contact the postmaster for details.", ip))
	}
	return Decision{}
}

func (h *DNSRBLHandler) listed(ctx context.Context, name string) (bool, error) {
	ok, err := listed(ctx, h.s.DNS, name)
	if err != nil {
		h.s.Log.WarnContext(ctx, "list gives no answer; taken as not listed", "name", name, "err", err)
	}
	return ok, err
}

// listed reports whether a list has the name: an address in 127.0.0.0/8. Lists
// refuse to answer with 127.255.255.0/24, and one that went out of service may
// answer with the address of a web site.
func listed(ctx context.Context, r dns.Resolver, name string) (bool, error) {
	answers, err := r.Addrs(ctx, name)
	if err != nil && !errors.Is(err, dns.ErrNotFound) {
		return false, err
	}
	for _, a := range answers {
		if a = a.Unmap(); !a.Is4() || a.As4()[0] != 127 {
			continue
		}
		if b := a.As4(); b[1] == 255 && b[2] == 255 {
			return false, fmt.Errorf("%s: the list refuses to answer (%s)", name, a)
		}
		return true, nil
	}
	return false, nil
}

// maxDetail bounds the text that a list contributes to a reply.
const maxDetail = 400

// listDetail returns the TXT record of a listed name as a line of a reply; "" when
// there is none, or it is not wanted.
func listDetail(ctx context.Context, r dns.Resolver, name string, wanted bool) string {
	if !wanted {
		return ""
	}
	texts, err := r.TXT(ctx, name)
	if err != nil || len(texts) == 0 {
		return ""
	}
	line := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return ' '
		}
		return c
	}, texts[0])
	return strings.TrimSpace(line[:min(len(line), maxDetail)])
}

// reversed returns the octets of an IPv4 address, or the nibbles of an IPv6
// address, in reverse order, each with a dot behind it (RFC 5782 §2.1, §2.4).
func reversed(ip netip.Addr) string {
	ip = ip.Unmap()
	octets := ip.AsSlice()
	var b strings.Builder
	for i := len(octets) - 1; i >= 0; i-- {
		if ip.Is4() {
			fmt.Fprintf(&b, "%d.", octets[i])
		} else {
			fmt.Fprintf(&b, "%x.%x.", octets[i]&0xf, octets[i]>>4)
		}
	}
	return b.String()
}
