package matchers

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/container"
)

// SenderIsLocal matches when the envelope sender has an account here, by itself
// or by an alias. The null sender is not local.
//
//	<mailet match="SenderIsLocal" class="Null"/>
//
// Condition: none.
//
// Differs from James: nothing.
type SenderIsLocal struct{ local localAddresses }

func newSenderIsLocal(l localAddresses) container.MatcherFactory {
	return func(string) (container.Matcher, error) { return &SenderIsLocal{l}, nil }
}

// Match returns all recipients when the sender is local; an error when the
// local data cannot be read.
func (s *SenderIsLocal) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Sender.IsNull() {
		return nil, nil
	}
	ok, err := s.local.IsLocalAddress(ctx, m.Sender)
	if err != nil {
		return nil, fmt.Errorf("look up sender %s: %w", m.Sender, err)
	}
	return container.All(m, ok), nil
}
