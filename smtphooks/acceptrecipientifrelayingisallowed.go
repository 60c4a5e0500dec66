package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
)

// AcceptRecipientIfRelayingIsAllowed accepts all recipients of clients that may
// relay, because of their address or their authentication, at once: the hooks
// behind it are not asked.
//
//	<handler class="org.apache.james.protocols.smtp.core.AcceptRecipientIfRelayingIsAllowed"/>
//
// Put ahead of ValidRcptHandler it lets own clients send to local addresses that
// do not exist, and have the bounce tell them.
//
// Parameters: none.
//
// Differs from James: nothing.
type AcceptRecipientIfRelayingIsAllowed struct{}

func newAcceptRecipientIfRelaying(*conf.Params, Services) any {
	return AcceptRecipientIfRelayingIsAllowed{}
}

// Rcpt implements RcptHook.
func (AcceptRecipientIfRelayingIsAllowed) Rcpt(_ context.Context, s *Session, _ Recipient) Decision {
	if s.Relaying {
		return Decision{Action: OK}
	}
	return Decision{}
}
