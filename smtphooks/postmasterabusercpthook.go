package smtphooks

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/conf"
)

// PostmasterAbuseRcptHook accepts recipients called postmaster or abuse at once:
// the hooks behind it are not asked. It is part of the core bundles, and there
// the last RcptHook.
//
//	<handler class="org.apache.james.protocols.smtp.core.PostmasterAbuseRcptHook"/>
//
// Handlers written in the chain come before it: ValidRcptHandler still wants
// postmaster to exist.
//
// Parameters: none.
//
// Differs from James: nothing.
type PostmasterAbuseRcptHook struct{}

func newPostmasterAbuse(*conf.Params, Services) any { return PostmasterAbuseRcptHook{} }

// Rcpt implements RcptHook.
func (PostmasterAbuseRcptHook) Rcpt(_ context.Context, _ *Session, rcpt Recipient) Decision {
	if strings.EqualFold(rcpt.Address.Local, "postmaster") || strings.EqualFold(rcpt.Address.Local, "abuse") {
		return Decision{Action: OK}
	}
	return Decision{}
}
