package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// RemoteAddrNotInNetwork matches mails that did not come from an address in a
// list of networks; also those whose address is unknown.
//
//	<mailet match="RemoteAddrNotInNetwork=127.0.0.1, 10.2.*" class="ToProcessor">
//	  <processor>relay-denied</processor>
//	</mailet>
//
// Condition: networks as in RemoteAddrInNetwork; empty matches always.
//
// Differs from James: as RemoteAddrInNetwork.
type RemoteAddrNotInNetwork struct{ networks networks }

func newRemoteAddrNotInNetwork(p networkParser) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		n, err := p.parse(condition)
		if err != nil {
			return nil, err
		}
		return &RemoteAddrNotInNetwork{n}, nil
	}
}

// Match returns all recipients when the remote address is not in the list.
func (r *RemoteAddrNotInNetwork) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, !r.networks.contains(m.RemoteAddr)), nil
}
