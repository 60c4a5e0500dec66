package smtphooks

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// SetMimeHeaderHandler puts a header field into every message of the server, in
// place of all fields of that name that it came with.
//
//	<handler class="org.apache.james.smtpserver.SetMimeHeaderHandler">
//	  <headername>X-Received-On</headername>
//	  <headervalue>port 25</headervalue>
//	</handler>
//
// Parameters:
//
//   - headername (required): the name of the field.
//   - headervalue (required): its value.
//
// Differs from James: a name that cannot be a field name stops the start; a
// missing Date, Message-ID or MIME-Version is not added.
type SetMimeHeaderHandler struct{ name, value string }

func newSetMimeHeader(p *conf.Params, _ Services) any {
	h := &SetMimeHeaderHandler{p.Required("headername"), p.Required("headervalue")}
	if h.name != "" && !mime.ValidName(h.name) {
		p.Fail("headername", fmt.Errorf("%q is not the name of a header field", h.name))
	}
	return h
}

// Message implements MessageHook.
func (h *SetMimeHeaderHandler) Message(_ context.Context, _ *Session, m *container.Mail) Decision {
	m.Message.SetHeader(mime.Set(m.Message.Header(), h.name, h.value))
	return Decision{}
}
