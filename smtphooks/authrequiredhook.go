package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// AuthRequiredHook refuses MAIL from clients that may not relay, when the server
// is configured with <auth><required>true</required></auth>. It is part of
// CoreCmdHandlerLoader.
//
//	<handler class="org.apache.james.smtpserver.AuthRequiredHook"/>
//
// The reply is "530 5.7.1 Authentication Required".
//
// Parameters: none.
//
// Differs from James: nothing.
type AuthRequiredHook struct{ required bool }

func newAuthRequired(_ *conf.Params, s Services) any {
	return &AuthRequiredHook{s.Server.Auth.Required}
}

// Mail implements MailHook.
func (h *AuthRequiredHook) Mail(_ context.Context, s *Session, _ container.Address) Decision {
	if h.required && !s.Relaying {
		return Refuse(530, "5.7.1", "Authentication Required")
	}
	return Decision{}
}
