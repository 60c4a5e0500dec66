package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/dns"
)

// ValidRcptMX refuses recipients whose domain has a mail exchanger in a network
// where none can be, such as 127.0.0.0/8. It is meant for servers that own clients
// submit mail to.
//
//	<handler class="org.apache.james.smtpserver.fastfail.ValidRcptMX">
//	  <invalidMXNetworks>127.0.0.0/8, 0.0.0.0/8, 10.0.0.0/8, 192.168.0.0/16</invalidMXNetworks>
//	</handler>
//
// The reply is "530 5.7.1 Invalid MX /{address of the client} for domain {domain}.
// Reject email"; when the domain cannot be looked up now it is "451 Temporary
// problem. Please try again later". Recipients in local domains pass. A domain
// without MX records passes.
//
// Parameters:
//
//   - invalidMXNetworks (required): a comma list of addresses, networks and host
//     names.
//
// Differs from James: there the configuration is refused when it has
// invalidMXNetworks and taken when it has none; every address of an exchanger is
// looked at, not only the first; all local domains pass, not only localhost.
type ValidRcptMX struct {
	s      Services
	banned networkList
}

// maxExchangers is how many exchangers of a domain are looked at.
const maxExchangers = 20

func newValidRcptMX(p *conf.Params, s Services) any {
	p.Required("invalidMXNetworks")
	l, err := parseNetworkList(p.List("invalidMXNetworks"))
	if err != nil {
		p.Fail("invalidMXNetworks", err)
	}
	return &ValidRcptMX{s, l}
}

// Rcpt implements RcptHook.
func (h *ValidRcptMX) Rcpt(ctx context.Context, s *Session, rcpt Recipient) Decision {
	domain := rcpt.Address.Domain
	isLocal, err := h.s.Local.IsLocalDomain(ctx, domain)
	if err != nil {
		h.s.Log.ErrorContext(ctx, "domain list not readable", "err", err)
		return trouble()
	}
	if _, err := netip.ParseAddr(domain); err == nil || isLocal {
		return Decision{}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	list, err := h.s.DNS.MX(ctx, domain)
	switch {
	case errors.Is(err, dns.ErrNotFound):
		return Decision{}
	case err != nil:
		h.s.Log.WarnContext(ctx, "domain of the recipient not looked up", "to", rcpt.Address.Pretty(), "err", err)
		return Decision{Action: DenySoft}
	}
	for _, mx := range list[:min(len(list), maxExchangers)] {
		ips, err := h.s.DNS.Addrs(ctx, mx.Host)
		if err != nil {
			continue // the delivery will find out
		}
		for _, ip := range ips {
			if banned, _ := h.banned.contains(ctx, h.s.DNS, ip.Unmap()); banned { // else the delivery will find out
				return Refuse(530, "5.7.1", fmt.Sprintf("Invalid MX /%s for domain %s. Reject email", s.RemoteAddr, domain))
			}
		}
	}
	return Decision{}
}
