package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// RecipientCountExceeds matches mails with more recipients than a number.
//
//	<mailet match="RecipientCountExceeds=50" class="ToProcessor">
//	  <processor>error</processor>
//	</mailet>
//
// Condition: a whole number of at least 1.
//
// Differs from James: nothing.
type RecipientCountExceeds struct{ limit int }

func newRecipientCountExceeds(condition string) (container.Matcher, error) {
	n, err := positive(condition)
	if err != nil {
		return nil, err
	}
	return &RecipientCountExceeds{n}, nil
}

// Match returns all recipients when there are more than the limit.
func (r *RecipientCountExceeds) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, len(m.Recipients) > r.limit), nil
}
