package smtphooks

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// SmtpRequireTlsMessageHook notes on the mail what its sender wants of TLS (RFC
// 8689), for RemoteDelivery: the attribute REQUIRETLS is true when MAIL had that
// parameter, and false when the message has the field TLS-Required with the value
// No, once.
//
//	<handler class="org.apache.james.smtpserver.tls.SmtpRequireTlsMessageHook"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type SmtpRequireTlsMessageHook struct{}

func newRequireTLSMessage(*conf.Params, Services) any { return SmtpRequireTlsMessageHook{} }

// Message implements MessageHook.
func (SmtpRequireTlsMessageHook) Message(_ context.Context, s *Session, m *container.Mail) Decision {
	if s.Tx.State(requireTLS{}) != nil {
		m.Set(container.AttrRequireTLS, true)
		return Decision{}
	}
	v := mime.Values(m.Message.Header(), "TLS-Required")
	if len(v) == 1 && strings.EqualFold(v[0], "No") {
		m.Set(container.AttrRequireTLS, false)
	}
	return Decision{}
}
