package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// Not matches the recipients that none of its children matches. Every child is
// asked. Without children it matches everybody.
//
//	<matcher name="stranger" match="org.apache.james.mailetcontainer.impl.matchers.Not">
//	  <matcher match="SMTPAuthSuccessful"/>
//	</matcher>
//
// Condition: none. Children: any number of <matcher>.
//
// Differs from James: the short name Not is known too.
type Not struct{ group }

func newNot(string) (container.Matcher, error) { return &Not{}, nil }

// Match returns the recipients that no child matches.
func (n *Not) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	counts, err := n.countMatches(ctx, m)
	if err != nil {
		return nil, err
	}
	return pick(m, counts, func(n int) bool { return n == 0 }), nil
}
