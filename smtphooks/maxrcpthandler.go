package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
)

// MaxRcptHandler limits the recipients of one mail.
//
//	<handler class="org.apache.james.smtpserver.fastfail.MaxRcptHandler">
//	  <maxRcpt>100</maxRcpt>
//	</handler>
//
// The reply to the first one too many, and to all that follow, is
// "452 4.5.3 Requested action not taken: max recipients reached"; the client
// sends another mail to the rest (RFC 5321 §4.5.3.1.10). The answer to EHLO tells
// the limit (LIMITS RCPTMAX=100, RFC 9422), unless <disabledFeatures> names LIMITS.
//
// Parameters:
//
//   - maxRcpt (default 0, which is no limit): the number of recipients.
//
// Differs from James: there 0 refuses every recipient, and EHLO does not tell the
// limit.
type MaxRcptHandler struct{ limit int }

func newMaxRcpt(p *conf.Params, _ Services) any {
	h := &MaxRcptHandler{p.Int("maxRcpt", 0)}
	if h.limit <= 0 {
		p.Warn("maxRcpt", "MaxRcptHandler without a maxRcpt above 0 limits nothing")
	}
	return h
}

// RecipientLimit implements RecipientLimit.
func (h *MaxRcptHandler) RecipientLimit() int { return max(h.limit, 0) }

// Rcpt implements RcptHook.
func (h *MaxRcptHandler) Rcpt(_ context.Context, s *Session, _ Recipient) Decision {
	if h.limit > 0 && len(s.Tx.Recipients) >= h.limit {
		return Defer(452, "4.5.3", "Requested action not taken: max recipients reached")
	}
	return Decision{}
}
