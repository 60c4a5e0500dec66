package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// HostIs matches the recipients whose domain is in a list.
//
//	<mailet match="HostIs=example.com, example.net" class="Null"/>
//
// Condition: one or more domains, separated by commas, blanks or tabs.
//
// Differs from James: a condition without any domain (HostIs=) stops the start
// instead of matching nobody.
type HostIs struct{ domains map[string]bool }

func newHostIs(condition string) (container.Matcher, error) {
	d, err := domains(condition)
	if err != nil {
		return nil, err
	}
	return &HostIs{d}, nil
}

// Match returns the recipients in one of the domains.
func (h *HostIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, func(a container.Address) bool { return h.domains[a.Domain] }), nil
}
