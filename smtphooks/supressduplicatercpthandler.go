package smtphooks

import (
	"context"
	"slices"

	"github.com/mailetd/mailetd/conf"
)

// SupressDuplicateRcptHandler (sic) takes a recipient that the client names a
// second time for granted: the reply is the same, and the mail has the recipient
// once.
//
//	<handler class="org.apache.james.protocols.smtp.core.fastfail.SupressDuplicateRcptHandler"/>
//
// In LMTP it has a reply to the message for each time that it was named.
//
// Addresses are compared without regard to upper and lower case. A recipient
// that is repeated with other parameters (NOTIFY, ORCPT) goes the way of any
// other.
//
// Parameters: none.
//
// Differs from James: there the recipient is added again all the same.
type SupressDuplicateRcptHandler struct{}

func newSupressDuplicateRcpt(*conf.Params, Services) any { return SupressDuplicateRcptHandler{} }

// Rcpt implements RcptHook.
func (SupressDuplicateRcptHandler) Rcpt(_ context.Context, s *Session, rcpt Recipient) Decision {
	again := slices.ContainsFunc(s.Tx.Recipients, func(r Recipient) bool {
		return r.Address.Equal(rcpt.Address) && slices.Equal(r.Params, rcpt.Params)
	})
	if again {
		return Decision{Action: OK, Duplicate: true}
	}
	return Decision{}
}
