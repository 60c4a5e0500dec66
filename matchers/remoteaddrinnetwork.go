package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// RemoteAddrInNetwork matches mails that came from an address in a list of
// networks. Mails made by the server itself come from 127.0.0.1.
//
//	<mailet match="RemoteAddrInNetwork=127.0.0.1, 10.2.*, 2001:db8::/32" class="ToProcessor">
//	  <processor>transport</processor>
//	</mailet>
//
// Condition: networks, separated by commas; empty matches never. Each is an
// address (10.1.2.3, ::1), a network with a prefix length or an IPv4 mask
// (10.0.0.0/8, 10.0.0.0/255.0.0.0, 2001:db8::/32), an IPv4 wildcard (10.2.*, * for
// all of IPv4), or a host name, looked up once at start (mx.example.com,
// mx.example.com/24; a length up to 32 is for its IPv4 addresses). A name that
// cannot be found is logged and left out.
//
// Differs from James: an IPv6 prefix length is a number of bits; a host name
// stands for all its addresses, not for the first; an entry such as 1* or foo* is
// refused instead of meaning all of IPv4; a remote address that is a name is not
// looked up.
type RemoteAddrInNetwork struct{ networks networks }

func newRemoteAddrInNetwork(p networkParser) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		n, err := p.parse(condition)
		if err != nil {
			return nil, err
		}
		return &RemoteAddrInNetwork{n}, nil
	}
}

// Match returns all recipients when the remote address is in the list.
func (r *RemoteAddrInNetwork) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, r.networks.contains(m.RemoteAddr)), nil
}
