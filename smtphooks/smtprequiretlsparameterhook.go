package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
)

// SmtpRequireTlsParameterHook takes the parameter REQUIRETLS of MAIL (RFC 8689):
// the mail must not travel in the clear from here on either. On a connection
// without TLS, where the extension is not announced, the parameter is passed over
// like any unknown one.
//
//	<handler class="org.apache.james.smtpserver.tls.SmtpRequireTlsParameterHook"/>
//
// Parameters: none.
//
// Differs from James: the parameter counts under implicit TLS too, where James
// announces and then ignores it; with a value it is refused with 501 5.5.4.
type SmtpRequireTlsParameterHook struct{}

func newRequireTLSParameter(*conf.Params, Services) any { return SmtpRequireTlsParameterHook{} }

// requireTLS is in the transaction state of a mail with REQUIRETLS.
type requireTLS struct{}

// MailParams implements MailParamHook.
func (SmtpRequireTlsParameterHook) MailParams() []string { return []string{"REQUIRETLS"} }

// MailParam implements MailParamHook.
func (SmtpRequireTlsParameterHook) MailParam(_ context.Context, s *Session, p Param) Decision {
	switch {
	case s.TLSProtocol == "":
		return Decision{}
	case p.HasValue:
		return badParam("REQUIRETLS takes no value")
	case s.Tx.State(requireTLS{}) != nil:
		return Refuse(501, "", "The Mail parameter cannot contain more than one REQUIRETLS parameter at the same time")
	}
	s.Tx.SetState(requireTLS{}, true)
	return Decision{}
}
