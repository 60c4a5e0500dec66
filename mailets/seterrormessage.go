package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// SetErrorMessage sets the error message of the mail, in place of the one that is
// there. Bounces quote it as the reason.
//
//	<mailet match="All" class="SetErrorMessage">
//	  <errorMessage>550 5.7.1 we do not take such mail</errorMessage>
//	</mailet>
//
// Parameters:
//
//   - errorMessage (required): the text.
//
// Differs from James: nothing.
type SetErrorMessage struct{ message string }

func newSetErrorMessage(p *conf.Params) container.Mailet {
	return &SetErrorMessage{p.Required("errorMessage")}
}

// Service sets the error message.
func (s *SetErrorMessage) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	m.ErrorMessage = s.message
	return nil
}
