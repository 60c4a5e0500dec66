package smtphooks

import (
	"context"
	"errors"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SetMailAttributeMessageHook sets an attribute on every mail of the server, so
// that processors can tell where a mail came in.
//
//	<handler class="org.apache.james.smtpserver.SetMailAttributeMessageHook">
//	  <name>submission</name>
//	  <value>yes</value>
//	</handler>
//
// Parameters:
//
//   - name (required): the name of the attribute.
//   - value (required): its value, a string; it may be empty.
//
// Differs from James: nothing.
type SetMailAttributeMessageHook struct{ name, value string }

func newSetMailAttribute(p *conf.Params, _ Services) any {
	h := &SetMailAttributeMessageHook{name: p.Required("name")}
	var given bool
	if h.value, given = p.Lookup("value"); !given {
		p.Fail("value", errors.New("a value is required"))
	}
	return h
}

// Message implements MessageHook.
func (h *SetMailAttributeMessageHook) Message(_ context.Context, _ *Session, m *container.Mail) Decision {
	m.Set(h.name, h.value)
	return Decision{}
}
