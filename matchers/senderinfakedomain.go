package matchers

import (
	"context"
	"errors"
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// SenderInFakeDomain matches when nobody can write to the envelope sender: its
// domain has no mail exchanger and no address of its own, says that it takes no
// mail (RFC 7505), or its first exchanger is in a list of networks, such as the
// addresses to which a registry leads all domains that do not exist. The null
// sender does not match.
//
//	<mailet match="SenderInFakeDomain=64.94.110.11" class="ToProcessor">
//	  <processor>spam</processor>
//	</mailet>
//
// Condition: networks as for RemoteAddrInNetwork, or nothing.
//
// Differs from James: as RemoteAddrInNetwork; a look-up that fails for now is
// logged and does not match, instead of condemning every sender while DNS is
// down; so does an exchanger that has no address. All addresses of the exchanger
// count.
type SenderInFakeDomain struct {
	dns      mxLookup
	log      *slog.Logger
	networks networks
}

func newSenderInFakeDomain(r mxLookup, p networkParser) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		n, err := p.parse(condition)
		if err != nil {
			return nil, err
		}
		return &SenderInFakeDomain{r, p.log, n}, nil
	}
}

// Match returns all recipients when the sender's domain is a fake.
func (s *SenderInFakeDomain) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Sender.IsNull() {
		return nil, nil
	}
	hosts, err := mailServers(ctx, s.dns, m.Sender.Domain)
	if err == nil && len(hosts) == 0 {
		return m.Recipients, nil
	}
	if err == nil && len(s.networks) > 0 {
		var fake bool
		if fake, err = s.leadsNowhere(ctx, hosts[0]); fake {
			return m.Recipients, nil
		}
	}
	if err != nil && !errors.Is(err, dns.ErrNotFound) {
		s.log.WarnContext(ctx, "domain of the sender cannot be looked up; taken as no match", "from", m.Sender.Pretty(), "err", err)
	}
	return nil, nil
}

// leadsNowhere reports whether an address of host is in the networks.
func (s *SenderInFakeDomain) leadsNowhere(ctx context.Context, host string) (bool, error) {
	ips, err := s.dns.Addrs(ctx, host)
	for _, ip := range ips {
		if s.networks.contains(ip.String()) {
			return true, nil
		}
	}
	return false, err
}
