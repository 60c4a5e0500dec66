package matchers

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/container"
)

// SenderHostIsLocal matches when the domain of the envelope sender is in the
// domain list, whether the sender has an account or not. The null sender does
// not match.
//
//	<mailet match="SenderHostIsLocal" class="Null"/>
//
// Condition: none.
//
// Differs from James: nothing.
type SenderHostIsLocal struct{ local localDomains }

func newSenderHostIsLocal(l localDomains) container.MatcherFactory {
	return func(string) (container.Matcher, error) { return &SenderHostIsLocal{l}, nil }
}

// Match returns all recipients when the sender's domain is local; an error when
// the domain list cannot be read.
func (s *SenderHostIsLocal) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Sender.IsNull() {
		return nil, nil
	}
	is, err := s.local.IsLocalDomain(ctx, m.Sender.Domain)
	if err != nil {
		return nil, fmt.Errorf("look up domain %s: %w", m.Sender.Domain, err)
	}
	return container.All(m, is), nil
}
