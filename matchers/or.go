package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// Or matches the recipients that any of its children matches. Every child is
// asked. Without children it matches nobody.
//
//	<matcher name="relay-allowed" match="org.apache.james.mailetcontainer.impl.matchers.Or">
//	  <matcher match="SMTPAuthSuccessful"/>
//	  <matcher match="SMTPIsAuthNetwork"/>
//	  <matcher match="SentByMailet"/>
//	</matcher>
//
// Condition: none. Children: any number of <matcher>.
//
// Differs from James: the short name Or is known too; the recipients keep their
// order.
type Or struct{ group }

func newOr(string) (container.Matcher, error) { return &Or{}, nil }

// Match returns the union of what the children match.
func (o *Or) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	counts, err := o.countMatches(ctx, m)
	if err != nil {
		return nil, err
	}
	return pick(m, counts, func(n int) bool { return n > 0 }), nil
}
