package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// SenderHostIs matches when the domain of the envelope sender is in a list, as
// SenderDomainIs does. The null sender does not match.
//
//	<mailet match="SenderHostIs=example.com, example.net" class="Null"/>
//
// Condition: one or more domains, separated by commas, blanks or tabs.
//
// Differs from James: as HostIs.
type SenderHostIs struct{ domains map[string]bool }

func newSenderHostIs(condition string) (container.Matcher, error) {
	d, err := domains(condition)
	if err != nil {
		return nil, err
	}
	return &SenderHostIs{d}, nil
}

// Match returns all recipients when the sender is in one of the domains.
func (s *SenderHostIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, !m.Sender.IsNull() && s.domains[m.Sender.Domain]), nil
}
