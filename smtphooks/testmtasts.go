package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// TestMtaSts logs a warning for each MAIL over a connection without TLS: what
// EnforceMtaSts would refuse.
//
//	<handler class="org.apache.james.smtpserver.tls.TestMtaSts"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type TestMtaSts struct{ s Services }

func newTestMtaSts(_ *conf.Params, s Services) any { return &TestMtaSts{s} }

// Mail implements MailHook.
func (h *TestMtaSts) Mail(ctx context.Context, s *Session, sender container.Address) Decision {
	if s.TLSProtocol == "" {
		h.s.Log.WarnContext(ctx, "Attempt to send to us a clear text message", "client", s.RemoteAddr.String(), "from", sender.Pretty())
	}
	return Decision{}
}
