package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SmtpMtPriorityMessageHook gives the mail the priority that the client asked for
// with MT-PRIORITY, in the attribute MAIL_PRIORITY, which the queues heed.
//
//	<handler class="org.apache.james.smtpserver.priority.SmtpMtPriorityMessageHook"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type SmtpMtPriorityMessageHook struct{}

func newMtPriorityMessage(*conf.Params, Services) any { return SmtpMtPriorityMessageHook{} }

// Message implements MessageHook.
func (SmtpMtPriorityMessageHook) Message(_ context.Context, s *Session, m *container.Mail) Decision {
	if n, ok := s.Tx.State(mtPriority{}).(int32); ok {
		m.Set(container.AttrPriority, n)
	}
	return Decision{}
}
