package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// SenderIs matches when the envelope sender is in a list.
//
//	<mailet match="SenderIs=&lt;&gt; mailer@example.com" class="Null"/>
//
// Condition: one or more addresses, separated by commas, blanks or tabs; <> is
// the null sender.
//
// Differs from James: nothing.
type SenderIs struct{ list addressSet }

func newSenderIs(condition string) (container.Matcher, error) {
	list, err := addresses(condition)
	if err != nil {
		return nil, err
	}
	return &SenderIs{list}, nil
}

// Match returns all recipients when the sender is in the list.
func (s *SenderIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, s.list.has(m.Sender)), nil
}
