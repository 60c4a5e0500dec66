package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// SendMailHandler puts the mail into the queue spool. Only when it is on disk
// does the client read "250 2.6.0 Message received"; when that was not possible
// it reads "451 4.0.0 Error processing message." It is part of the core bundles,
// and there the last hook.
//
//	<handler class="org.apache.james.smtpserver.SendMailHandler"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type SendMailHandler struct{ s Services }

func newSendMail(_ *conf.Params, s Services) any { return &SendMailHandler{s} }

// Message implements MessageHook. The mail belongs to the queue afterwards.
func (h *SendMailHandler) Message(ctx context.Context, s *Session, m *container.Mail) Decision {
	err := h.s.Queue.Commit(ctx, repository.Change{Entries: []container.Entry{
		{Mail: m, Queue: container.SpoolQueue, Delay: s.Tx.Delay},
	}})
	if err != nil {
		h.s.Log.ErrorContext(ctx, "mail not spooled", "mail", m.Name, "err", err)
		return Defer(451, "4.0.0", "Error processing message.")
	}
	return Decision{Action: OK, Code: 250, Enhanced: "2.6.0", Text: "Message received"}
}
