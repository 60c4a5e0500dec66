package smtphooks

import (
	"context"
	"fmt"

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

// givenRcpts are the recipients of a transaction that were looked at: there may be
// many thousands.
type givenRcpts struct {
	seen map[string]bool
	n    int // of the list
}

type givenRcptsKey struct{}

// Rcpt implements RcptHook.
func (SupressDuplicateRcptHandler) Rcpt(_ context.Context, s *Session, rcpt Recipient) Decision {
	g, ok := s.Tx.State(givenRcptsKey{}).(*givenRcpts)
	if !ok {
		g = &givenRcpts{seen: map[string]bool{}}
		s.Tx.SetState(givenRcptsKey{}, g)
	}
	for ; g.n < len(s.Tx.Recipients); g.n++ {
		g.seen[rcptKey(s.Tx.Recipients[g.n])] = true
	}
	if g.seen[rcptKey(rcpt)] {
		return Decision{Action: OK, Duplicate: true}
	}
	return Decision{}
}

// rcptKey is the same for equal addresses with the same parameters.
func rcptKey(r Recipient) string {
	if len(r.Params) == 0 {
		return r.Address.Key()
	}
	key := r.Address.Key()
	for _, p := range r.Params {
		key += fmt.Sprintf(" %q %q %t", p.Name, p.Value, p.HasValue)
	}
	return key
}
