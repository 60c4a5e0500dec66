package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// RecipientDomainIs matches the recipients whose domain is in a list, as HostIs
// does.
//
//	<mailet match="RecipientDomainIs=example.com, example.net" class="Null"/>
//
// Condition: one or more domains, separated by commas, blanks or tabs.
//
// Differs from James: as HostIs.
type RecipientDomainIs struct{ domains map[string]bool }

func newRecipientDomainIs(condition string) (container.Matcher, error) {
	d, err := domains(condition)
	if err != nil {
		return nil, err
	}
	return &RecipientDomainIs{d}, nil
}

// Match returns the recipients in one of the domains.
func (r *RecipientDomainIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, func(a container.Address) bool { return r.domains[a.Domain] }), nil
}
