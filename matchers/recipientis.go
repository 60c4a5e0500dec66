package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// RecipientIs matches the recipients that are in a list.
//
//	<mailet match="RecipientIs=boss@example.com, ceo@example.com" class="Null"/>
//
// Condition: one or more addresses, separated by commas, blanks or tabs.
//
// Differs from James: nothing.
type RecipientIs struct{ list addressSet }

func newRecipientIs(condition string) (container.Matcher, error) {
	list, err := addresses(condition)
	if err != nil {
		return nil, err
	}
	return &RecipientIs{list}, nil
}

// Match returns the recipients in the list.
func (r *RecipientIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.Each(m, r.list.has), nil
}
