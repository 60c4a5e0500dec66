package matchers

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// XOriginatingIpInNetwork matches mails whose field X-Originating-IP, which web
// mail programs write, names an address in a list of networks. Whoever sends a
// mail can write this field.
//
//	<mailet match="org.apache.james.transport.mailets.XOriginatingIpInNetwork=192.0.2.0/24" class="Null"/>
//
// Condition: networks as for RemoteAddrInNetwork; empty matches never.
//
// Differs from James: as RemoteAddrInNetwork; the short name
// XOriginatingIpInNetwork is known too; a value that is a name is not looked up.
type XOriginatingIpInNetwork struct{ networks networks }

func newXOriginatingIpInNetwork(p networkParser) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		n, err := p.parse(condition)
		if err != nil {
			return nil, err
		}
		return &XOriginatingIpInNetwork{n}, nil
	}
}

// Match returns all recipients when the address is in the list.
func (x *XOriginatingIpInNetwork) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	v, ok := mime.Get(m.Message.Header(), "X-Originating-IP")
	if !ok {
		return nil, nil
	}
	return container.All(m, x.networks.contains(strings.NewReplacer("[", "", "]", "").Replace(v))), nil
}
