package mailets

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// WithPriority sets the priority that the mail has in queues from now on
// (attribute MAIL_PRIORITY).
//
//	<mailet match="SenderIs=alarm@example.com" class="WithPriority">
//	  <priority>7</priority>
//	</mailet>
//
// Parameters:
//
//   - priority (required): from -9 to 9; 9 goes first.
//
// Differs from James: nothing.
type WithPriority struct{ priority int32 }

func newWithPriority(p *conf.Params) container.Mailet {
	p.Required("priority")
	n := p.Int("priority", 0)
	if n < -9 || n > 9 {
		p.Fail("priority", fmt.Errorf("%d is not from -9 to 9", n))
	}
	return &WithPriority{int32(n)}
}

// Service sets the attribute.
func (w *WithPriority) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	m.Set(container.AttrPriority, w.priority)
	return nil
}
