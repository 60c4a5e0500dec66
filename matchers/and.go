package matchers

import (
	"context"

	"github.com/mailetd/mailetd/container"
)

// And matches the recipients that all its children match. The children are
// asked in order, and not beyond the first that leaves nobody over: a counter
// such as AtMost behind it does not move. Without children it matches nobody.
//
//	<matcher name="dsn-temporary" match="org.apache.james.mailetcontainer.impl.matchers.And">
//	  <matcher match="IsRemoteDeliveryTemporaryError"/>
//	  <matcher match="DSNDelayRequested"/>
//	</matcher>
//
// Condition: none. Children: any number of <matcher>.
//
// Differs from James: the short name And is known too. A child is not asked
// either when the children before it have no recipient in common.
type And struct{ group }

func newAnd(string) (container.Matcher, error) { return &And{}, nil }

// Match returns the intersection of what the children match.
func (a *And) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if len(a.children) == 0 {
		return nil, nil
	}
	left := m.Recipients
	for _, child := range a.children {
		got, err := child.Match(ctx, m)
		if err != nil {
			return nil, err
		}
		if left = intersect(m, left, got); len(left) == 0 {
			return nil, nil
		}
	}
	return left, nil
}

// intersect returns the addresses of left that are in got; left itself when
// that is all of them.
func intersect(m *container.Mail, left, got []container.Address) []container.Address {
	in := membership(m, got)
	n := 0
	for n < len(left) && in(left[n]) {
		n++
	}
	if n == len(left) {
		return left
	}
	out := append([]container.Address(nil), left[:n]...)
	for _, r := range left[n+1:] {
		if in(r) {
			out = append(out, r)
		}
	}
	return out
}
