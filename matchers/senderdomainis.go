package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// SenderDomainIs matches when the domain of the envelope sender is in a list.
// The null sender does not match.
//
//	<mailet match="SenderDomainIs=example.com, example.net" class="Null"/>
//
// Condition: one or more domains, separated by commas, blanks or tabs.
//
// Differs from James: as HostIs.
type SenderDomainIs struct{ domains map[string]bool }

func newSenderDomainIs(condition string) (container.Matcher, error) {
	d, err := domains(condition)
	if err != nil {
		return nil, err
	}
	return &SenderDomainIs{d}, nil
}

// Match returns all recipients when the sender is in one of the domains.
func (s *SenderDomainIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, !m.Sender.IsNull() && s.domains[m.Sender.Domain]), nil
}
