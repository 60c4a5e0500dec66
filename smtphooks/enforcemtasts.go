package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// EnforceMtaSts refuses mail over connections without TLS, for domains that
// publish an MTA-STS policy (RFC 8461) which all senders must heed.
//
//	<handler class="org.apache.james.smtpserver.tls.EnforceMtaSts"/>
//
// The reply to MAIL is "571 StartTLS required".
//
// Parameters: none.
//
// Differs from James: nothing.
type EnforceMtaSts struct{}

func newEnforceMtaSts(*conf.Params, Services) any { return EnforceMtaSts{} }

// Mail implements MailHook.
func (EnforceMtaSts) Mail(_ context.Context, s *Session, _ container.Address) Decision {
	if s.TLSProtocol == "" {
		return Refuse(571, "", "StartTLS required")
	}
	return Decision{}
}
