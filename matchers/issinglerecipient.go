package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// IsSingleRecipient matches mails with exactly one recipient. Once a mail has
// been split, each part is looked at by itself.
//
//	<mailet match="IsSingleRecipient" class="Null"/>
//
// Condition: none.
//
// Differs from James: nothing.
type IsSingleRecipient struct{}

func newIsSingleRecipient(string) (container.Matcher, error) { return &IsSingleRecipient{}, nil }

// Match returns the recipient when it is the only one.
func (*IsSingleRecipient) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, len(m.Recipients) == 1), nil
}
