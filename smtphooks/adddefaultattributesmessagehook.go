package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// AddDefaultAttributesMessageHook notes on the mail where it came from: remote
// host and address, and the attributes org.apache.james.SMTPSessionID,
// org.apache.james.HELO, org.apache.james.ssl.protocol and .cipher (under TLS),
// org.apache.james.SMTPAuthUser (when authenticated) and
// org.apache.james.SMTPIsAuthNetwork (when the client may relay). It is part of
// the core bundles.
//
//	<handler class="org.apache.james.smtpserver.AddDefaultAttributesMessageHook"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type AddDefaultAttributesMessageHook struct{}

func newAddDefaultAttributes(*conf.Params, Services) any { return AddDefaultAttributesMessageHook{} }

// Message implements MessageHook.
func (AddDefaultAttributesMessageHook) Message(ctx context.Context, s *Session, m *container.Mail) Decision {
	m.RemoteHost = s.RemoteHost(ctx)
	m.RemoteAddr = s.RemoteAddr.String()
	m.Set(container.AttrSMTPSessionID, s.ID)
	if s.Helo != "" {
		m.Set(container.AttrHELO, s.Helo)
	}
	if s.TLSProtocol != "" {
		m.Set(container.AttrTLSProtocol, s.TLSProtocol)
		m.Set(container.AttrTLSCipher, s.TLSCipher)
	}
	if s.User != "" {
		m.Set(container.AttrSMTPAuthUser, s.User)
	}
	if s.Relaying {
		m.Set(container.AttrSMTPIsAuthNetwork, true)
	}
	return Decision{}
}
