package smtphooks

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
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
	if isPostmaster(rcpt.Address) {
		return Decision{Action: OK}
	}
	return Decision{}
}

// isPostmaster reports whether a is called postmaster or abuse, in any case.
func isPostmaster(a container.Address) bool {
	return strings.EqualFold(a.Local, "postmaster") || strings.EqualFold(a.Local, "abuse")
}
