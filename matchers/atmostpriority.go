package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// AtMostPriority matches mails whose priority is a number or lower: the Integer
// attribute MAIL_PRIORITY, from -9 to 9, which WithPriority sets. A mail
// without a priority does not match.
//
//	<mailet match="AtMostPriority=5" class="Null"/>
//
// Condition: a whole number of at least 1.
//
// Differs from James: nothing.
type AtMostPriority struct{ priority int }

func newAtMostPriority(condition string) (container.Matcher, error) {
	n, err := positive(condition)
	if err != nil {
		return nil, err
	}
	return &AtMostPriority{n}, nil
}

// Match returns all recipients when the priority is a number or lower.
func (a *AtMostPriority) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	n, ok := m.Attributes.Int(container.AttrPriority)
	return container.All(m, ok && n <= a.priority), nil
}
