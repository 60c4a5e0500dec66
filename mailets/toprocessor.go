package mailets

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// ToProcessor hands the mail to another processor, which runs at once.
//
//	<mailet match="All" class="ToProcessor">
//	  <processor>relay-denied</processor>
//	  <notice>550 - Requested action not taken: relaying denied</notice>
//	</mailet>
//
// Parameters:
//
//   - processor (required): name of the processor, which must exist. The
//     mail's own one changes nothing.
//   - notice: text for the mail's error message, put below the one that is
//     there. Bounces quote it as the reason.
//   - debug: accepted and of no effect.
//
// Differs from James: debug does not log more.
type ToProcessor struct {
	processor, notice string
}

func newToProcessor(p *conf.Params) container.Mailet {
	t := &ToProcessor{processor: p.Required("processor"), notice: p.String("notice", "")}
	p.Bool("debug", false)
	return t
}

// Service sets the state, and the error message if there is a notice.
func (t *ToProcessor) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	m.State = t.processor
	switch {
	case t.notice == "":
	case m.ErrorMessage == "":
		m.ErrorMessage = t.notice
	default:
		m.ErrorMessage += "\r\n" + t.notice
	}
	return nil
}

// ReferredStates returns the processor.
func (t *ToProcessor) ReferredStates() []string { return []string{t.processor} }
