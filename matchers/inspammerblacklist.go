package matchers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// InSpammerBlacklist matches mails that came from an address in a DNS blacklist
// (RFC 5782): there is an address record for the reversed address below the
// zone. A look-up that fails is logged and counts as not listed.
//
//	<mailet match="InSpammerBlacklist=zen.spamhaus.org." class="ToProcessor">
//	  <processor>spam</processor>
//	</mailet>
//
// Condition: the zone of the list, with or without the final dot.
//
// Differs from James: IPv6 addresses are looked up too (RFC 5782 §2.4); an
// answer outside 127.0.0.0/8 is no listing (a list that went out of service may
// answer with the address of a web site), nor is one in 127.255.255.0/24, with
// which lists refuse to answer; a zone that is no domain name stops the start.
type InSpammerBlacklist struct {
	dns  hostLookup
	log  *slog.Logger
	zone string
}

func newInSpammerBlacklist(r hostLookup, log *slog.Logger) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		zone, err := container.ParseDomain(strings.TrimSuffix(condition, "."))
		if err != nil {
			return nil, fmt.Errorf("want the zone of a blacklist: %w", err)
		}
		return &InSpammerBlacklist{r, log, zone}, nil
	}
}

// Match returns all recipients when the remote address is listed.
func (b *InSpammerBlacklist) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	ip, err := netip.ParseAddr(m.RemoteAddr)
	if err != nil {
		return nil, nil
	}
	name := reversed(ip.Unmap().WithZone("")) + b.zone
	answers, err := b.dns.Addrs(ctx, name)
	if err != nil && !errors.Is(err, dns.ErrNotFound) {
		b.log.WarnContext(ctx, "blacklist gives no answer; taken as not listed", "name", name, "err", err)
	}
	for _, a := range answers {
		if a = a.Unmap(); a.Is4() && a.As4()[0] == 127 {
			if b4 := a.As4(); b4[1] != 255 || b4[2] != 255 {
				return m.Recipients, nil
			}
			b.log.WarnContext(ctx, "blacklist refuses to answer; taken as not listed", "name", name, "answer", a.String())
		}
	}
	return nil, nil
}

// reversed returns the octets of an IPv4 address, or the nibbles of an IPv6
// address, in reverse order, each with a dot behind it.
func reversed(ip netip.Addr) string {
	var b strings.Builder
	octets := ip.AsSlice()
	for i := len(octets) - 1; i >= 0; i-- {
		if ip.Is4() {
			fmt.Fprintf(&b, "%d.", octets[i])
		} else {
			fmt.Fprintf(&b, "%x.%x.", octets[i]&0xf, octets[i]>>4)
		}
	}
	return b.String()
}
