package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// NextHopLacksDSN matches the recipients that were handed to a host which does
// not offer DSN: nobody behind it will report their delivery, so that a client
// which asked for NOTIFY=SUCCESS has to be told "relayed" by us (RFC 3461
// §5.2.2). Use it behind RemoteDelivery's onSuccess.
//
//	<matcher name="dsn-relayed" match="org.apache.james.mailetcontainer.impl.matchers.And">
//	  <matcher match="DSNSuccessRequested"/>
//	  <matcher match="NextHopLacksDSN"/>
//	</matcher>
//
// Condition: none.
//
// Differs from James: James has no such class.
type NextHopLacksDSN struct{}

func newNextHopLacksDSN(string) (container.Matcher, error) { return &NextHopLacksDSN{}, nil }

// Match returns the recipients whose last outcome is "relayed".
func (*NextHopLacksDSN) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, func(a container.Address) bool {
		o, ok := m.Outcome(a)
		return ok && o.Result == container.Relayed
	}), nil
}
