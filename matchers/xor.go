package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// Xor matches the recipients that an odd number of its children matches: with
// two children, those that exactly one of them matches. Every child is asked.
// Without children it matches nobody.
//
//	<matcher name="half-known" match="org.apache.james.mailetcontainer.impl.matchers.Xor">
//	  <matcher match="SenderIsLocal"/>
//	  <matcher match="RecipientIsLocal"/>
//	</matcher>
//
// Condition: none. Children: any number of <matcher>.
//
// Differs from James: the short name Xor is known too; the recipients keep their
// order.
type Xor struct{ group }

func newXor(string) (container.Matcher, error) { return &Xor{}, nil }

// Match returns the recipients that an odd number of children match.
func (x *Xor) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	counts, err := x.countMatches(ctx, m)
	if err != nil {
		return nil, err
	}
	return pick(m, counts, func(n int) bool { return n%2 == 1 }), nil
}
