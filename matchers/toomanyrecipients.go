package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// TooManyRecipients matches mails with more recipients than a number, as
// RecipientCountExceeds does.
//
//	<mailet match="TooManyRecipients=50" class="ToProcessor">
//	  <processor>error</processor>
//	</mailet>
//
// Condition: a whole number of at least 1.
//
// Differs from James: nothing.
type TooManyRecipients struct{ limit int }

func newTooManyRecipients(condition string) (container.Matcher, error) {
	n, err := positive(condition)
	if err != nil {
		return nil, err
	}
	return &TooManyRecipients{n}, nil
}

// Match returns all recipients when there are more than the limit.
func (t *TooManyRecipients) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return container.All(m, len(m.Recipients) > t.limit), nil
}
