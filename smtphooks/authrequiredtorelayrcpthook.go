package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
)

// AuthRequiredToRelayRcptHook refuses recipients in foreign domains unless the
// client may relay: it comes from an address in <authorizedAddresses> or is
// authenticated. It is part of the core bundles.
//
//	<handler class="org.apache.james.smtpserver.AuthRequiredToRelayRcptHook"/>
//
// The reply is "530 5.7.1 Authentication Required" when AUTH is offered to this
// client, else "550 5.7.1 Requested action not taken: relaying denied".
//
// Parameters: none.
//
// Differs from James: when the domain list cannot be read the recipient is put
// off with 451 instead of being refused for good.
type AuthRequiredToRelayRcptHook struct{ s Services }

func newAuthRequiredToRelay(_ *conf.Params, s Services) any { return &AuthRequiredToRelayRcptHook{s} }

// Rcpt implements RcptHook.
func (h *AuthRequiredToRelayRcptHook) Rcpt(ctx context.Context, s *Session, rcpt Recipient) Decision {
	if s.Relaying {
		return Decision{}
	}
	isLocal, err := h.s.Local.IsLocalDomain(ctx, rcpt.Address.Domain)
	switch {
	case err != nil:
		h.s.Log.ErrorContext(ctx, "domain list not readable", "err", err)
		return trouble()
	case isLocal:
		return Decision{}
	case s.AuthAnnounced:
		return Refuse(530, "5.7.1", "Authentication Required")
	}
	return Refuse(550, "5.7.1", "Requested action not taken: relaying denied")
}
