package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// SenderIsNull matches mails with the null sender <>: bounces and
// notifications.
//
//	<mailet match="SenderIsNull" class="Null"/>
//
// Condition: none.
//
// Differs from James: nothing.
type SenderIsNull struct{}

func newSenderIsNull(string) (container.Matcher, error) { return &SenderIsNull{}, nil }

// Match returns all recipients when there is no sender.
func (*SenderIsNull) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, m.Sender.IsNull()), nil
}
