package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// SentByMailet matches mails that a mailet put into the spool: bounces,
// forwards, replies, and mails that RemoteDelivery handed to its bounce
// processor. They have the attribute org.apache.james.SentByMailet.
//
//	<mailet match="SentByMailet" class="ToProcessor">
//	  <processor>transport</processor>
//	</mailet>
//
// Condition: none.
//
// Differs from James: nothing.
type SentByMailet struct{}

func newSentByMailet(string) (container.Matcher, error) { return &SentByMailet{}, nil }

// Match returns all recipients when the attribute is there.
func (*SentByMailet) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	_, ok := m.Attributes[container.AttrSentByMailet]
	return container.All(m, ok), nil
}
